"""I17: what one target says about another leads to nothing, however it says it; what the other says itself does."""

from __future__ import annotations

import random
from pathlib import Path

from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, gauges, rule_file, walk
from support.remediator import Direct, Pool
from support.targets import answer, target

from remediation.actuator import Actuator, Journal
from remediation.book import REHEARSED_KEY
from watchkeeper.app.lifecycle import stop

STEP, PAGES, SEED = 5, 24, 20261129
RULES = """
groups: []
remediations:
  - name: drain
    when: shop_errors_ratio{job="shop"} > 0.1
    observers: {passive: 'shop_hurt_users{job="shop"} > 0'}
    confirm: 2 of 3
    interval: 5s
    action: haproxy
    target: web
    parameters: {drain: web1}
    mode: auto
    owner: ada
    service: shop
    verify: shop_errors_ratio{job="shop"} > 0.1
"""
#: Labels that the honest target has, and those that a clash would be renamed to.
STOLEN: tuple[dict[str, str], ...] = (
    {"job": "shop"}, {"job": "shop", "instance": "INSTANCE"}, {"exported_job": "shop"}, {"service": "shop"},
    {"job": "shop", "service": "shop", "source": "shop"}, {"job": ""}, {" job": "shop"}, {"__name__": "up"},
    {"job": 'shop",instance="x'}, {"le": "+Inf", "job": "shop"}, {},
)  # fmt: skip
VALUES = ("1", "+Inf", "NaN", "1e308", "-1", "1 9999999999999", "1 1")
NAMES = ("shop_errors_ratio", "shop_hurt_users", "up", "probe_success", "ALERTS", "watchkeeper_leader")


def lies(chance: random.Random, instance: str) -> bytes:
    """A page about somebody else: his names, his labels, absurd values, his series many times over."""
    lines = []
    for _ in range(chance.randint(5, 60)):
        labels = chance.choice(STOLEN)
        text = ",".join(f'{name}="{value.replace("INSTANCE", instance)}"' for name, value in labels.items())
        lines.append(f"{chance.choice(NAMES)}{{{text}}} {chance.choice(VALUES)}")
    kinds = [f"# TYPE {chance.choice(NAMES)} {chance.choice(('gauge', 'counter', 'histogram'))}" for _ in range(2)]
    return answer("\n".join([*kinds, *lines, ""]).encode())


async def test_a_target_that_lies_about_another_moves_nothing_and_the_other_itself_does(tmp_path: Path) -> None:
    rule_file(tmp_path, RULES)
    pool = Pool()
    settings = {"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}
    core = Actuator(Journal(tmp_path / "journal"), {"web": settings}, tmp_path / "kill-switch", kinds=lambda _: pool)
    async with target() as honest, target() as liar:
        sources = [
            {"kind": "openmetrics", "name": name, "url": server.url(), "interval": f"{STEP}s", "service": name}
            for name, server in (("shop", honest), ("liar", liar))
        ]
        collect = {"host": False, "own_logs": False, "sources": sources}
        engine = build(tmp_path, actuator=Direct(core), collect=collect, remediation={"targets": [settings]})
        instance = f"127.0.0.1:{honest.port}"
        honest.pages["/metrics"] = gauges(shop_errors_ratio=0, shop_hurt_users=0)
        with engine.state.begin() as unit:
            unit.documents.put(f"{REHEARSED_KEY}haproxy/web", {"at": "now"}, at=clock_of(engine).now())
        await begin(engine)
        chance = random.Random(SEED)
        for _ in range(PAGES):
            liar.pages["/metrics"] = lies(chance, instance)
            await walk(engine, STEP)
        with engine.state.read() as unit:
            assert unit.actions.recent(engine.started_at) == []  # not even suspected
        assert pool.effects == []
        # the liar says that all is well while it is not
        honest.pages["/metrics"] = gauges(shop_errors_ratio=0.9, shop_hurt_users=3)
        liar.pages["/metrics"] = answer(
            b'shop_errors_ratio{job="shop"} 0\nshop_hurt_users{job="shop"} 0\n'
            + f'shop_errors_ratio{{job="shop",instance="{instance}"}} NaN\n'.encode()
        )
        await walk(engine, 6 * STEP)
        assert pool.servers["web1"]["state"] == "drain"
        assert pool.executed() == 1
        assert_ledgers(engine)
        await stop(engine)
