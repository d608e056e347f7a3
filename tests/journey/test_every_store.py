"""What the other journeys show on whole estates, small enough to be shown on every sample store each time."""

from __future__ import annotations

import asyncio
import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient
from support.engines import NOON, build, clock_of, fit_here
from support.failover_config import LINK, rules
from support.journey import assert_ledgers, begin, both_robots, rule_file, scraped, walk
from support.kept import Kept, everywhere, shown_now
from support.remediator import Direct, Pool
from support.robots import robots
from support.targets import Target, answer, target

from remediation.actuator import Actuator, Journal
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.clock import to_ms
from watchkeeper.model import ActionState, Layout, Tick, labels
from watchkeeper.promql import Vector
from watchkeeper.store.samples.remote import RemoteStore

# --- a dual link ----------------------------------------------------------------------------------------------------

WEB: dict[str, Any] = {"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}
TRIAL = {**WEB, "name": "trial", "test_parameters": {"ready": ["backup"], "drain": ["primary"]}}
CHECKOUT = {
    "name": "checkout",
    "service": "checkout",
    "target": "web",
    "primary": "primary",
    "backup": "backup",
    "primary_probe": 'probe_success{copy="primary"}',
    "backup_probe": 'probe_success{copy="backup"}',
    **LINK,
}


def pair() -> Pool:
    return Pool(servers={"primary": {"state": "ready", "weight": 100}, "backup": {"state": "drain", "weight": 100}})


class Link:
    """Two copies behind a proxy, as probes and the proxy's own counter see them."""

    def __init__(self) -> None:
        self.web, self.dead, self.errors = pair(), False, 0

    def page(self) -> bytes:
        """What it says after another second."""
        served = [name for name, each in self.web.servers.items() if each["state"] == "ready"]
        self.errors += self.dead and "primary" in served
        front = any(not (self.dead and name == "primary") for name in served)
        lines = [
            f'probe_success{{copy="primary"}} {0 if self.dead else 1}',
            'probe_success{copy="backup"} 1',
            f'probe_success{{copy="front"}} {int(front)}',
            f'haproxy_server_connection_errors_total{{proxy="shop",server="primary"}} {self.errors}',
        ]
        return answer("".join(f"{line}\n" for line in lines).encode())


async def seconds(engine: Engine, server: Target, link: Link, count: int) -> None:
    for _ in range(count):
        server.pages["/metrics"] = link.page()
        await walk(engine, 1)


@everywhere
async def test_a_dead_primary_is_left_for_its_backup_and_both_robots_hear_of_it(tmp_path: Path) -> None:
    rule_file(tmp_path, rules("auto"))
    link, trial = Link(), pair()
    targets = {"web": WEB, "trial": TRIAL}
    hands = Direct(Actuator(Journal(tmp_path / "journal"), targets, tmp_path / "kill-switch", kinds=lambda _: link.web))
    tries = Actuator(Journal(tmp_path / "trial"), targets, tmp_path / "kill-switch", kinds=lambda _: trial)
    async with target() as server, robots() as double:
        engine = build(
            tmp_path,
            actuator=hands,
            collect=scraped(server, interval="1s"),
            notify=both_robots(double),
            remediation={"targets": [{**WEB, "test_target": "trial"}, TRIAL], "links": [CHECKOUT]},
        )
        server.pages["/metrics"] = link.page()
        await begin(engine)
        await seconds(engine, server, link, 12)
        real, hands.core = hands.core, tries
        await engine.remediation.remediator.rehearse(clock_of(engine).now(), "checkout_failover")
        hands.core = real
        assert link.web.effects == []

        link.dead = True
        await seconds(engine, server, link, 12)
        assert [link.web.servers[name]["state"] for name in ("primary", "backup")] == ["drain", "ready"]
        assert link.web.executed() == 1
        await seconds(engine, server, link, 8)
        with engine.state.read() as unit:
            (action,) = [row for row in unit.actions.recent(engine.started_at) if row.token]
        assert action.state is ActionState.SUCCEEDED
        for kind in ("dingtalk", "wecom"):
            said = [str(request.json) for request in double.accepted if request.kind == kind]
            assert sum("the primary of checkout is down" in text for text in said) >= 1
        assert_ledgers(engine)
        await stop(engine)


# --- figures, forecasts, reports --------------------------------------------------------------------------------------

#: The newest day of the file is yesterday in Shanghai.
LAST = date(2026, 3, 1)
STEPS, STEP = 3 * 144, timedelta(minutes=10)
CALLS = "sum(increase(calls_total[1h]))"
SECTIONS: dict[str, Any] = {
    "business": {
        "history": "4h",
        "kpis": [
            {"name": "calls", "period": "hour", "source": {"kind": "promql", "query": CALLS}},
            {"name": "signups", "predict": True, "source": {"kind": "csv", "file": "signups.csv"}},
        ],
    },
    "objectives": {"items": [{"name": "shop", "service": "web", "query": "probe_success", "owner": "ada"}]},
    "forecasting": {"enabled": True, "step": "10m", "horizon": "2h"},
    "capacity": {
        "enabled": True,
        "host_pools": False,
        "pools": [{"name": "data", "resource": "disk", "query": "disk_used_bytes", "limit": 10_000, "unit": "bytes"}],
    },
}  # fmt: skip


def signups(folder: Path) -> None:
    days = [LAST - timedelta(days=back) for back in range(60, -1, -1)]
    lines = [f"{day},{200 + 3 * number - (60 if day.weekday() >= 5 else 0)}\n" for number, day in enumerate(days)]
    (folder / "signups.csv").write_text("date,value\n" + "".join(lines))


def past(engine: Engine) -> None:
    """Three days of a service, ten minutes apart, until now; its probe failed an hour ago."""
    layout = Layout(
        (labels("calls_total", node="a"), labels("calls_total", node="b"), labels("probe_success", service="web"),
         labels("cpu_usage", instance="a"), labels("disk_used_bytes", volume="data"))
    )  # fmt: skip
    for step in range(STEPS + 1):
        cpu = 0.4 + 0.2 * math.sin(step / 23)
        values = np.array([step * 100.0, step * 20.0, float(step != STEPS - 6), cpu, 5000.0 + 8 * step])
        at = to_ms(NOON - (STEPS - step) * STEP)
        engine.samples.append(Tick(target="service", time_ms=at, layout=layout, values=values))


def ask(engine: Engine, query: str) -> dict[str, float]:
    """Value by the label of most interest."""
    found = engine.promql.instant(query, to_ms(clock_of(engine).now()))
    assert isinstance(found, Vector)
    keys = [
        next((str(value) for name, value in series if name in ("kpi", "window", "quantile", "edge")), "")
        for series in found.series
    ]
    return dict(zip(keys, found.values.tolist(), strict=True))


@everywhere
async def test_figures_forecasts_and_reports_are_made_of_what_the_store_has(tmp_path: Path, kept: Kept) -> None:
    signups(tmp_path)
    engine = build(tmp_path, **SECTIONS)
    fit_here(engine)
    past(engine)
    if isinstance(engine.samples, RemoteStore):
        assert await asyncio.to_thread(engine.samples.deliver, 30.0)
    if kept.server is not None:
        shown_now(kept.server.url)
    now = clock_of(engine).advance(timedelta(seconds=21))
    engine.samples.maintain(now)
    await engine.business.step(now)
    await engine.predicting.step(now)
    await engine.objectives.step(now)
    await engine.foreseeing.forecast(now)
    await engine.foreseeing.capacity(now)

    figures = ask(engine, "watchkeeper_kpi")
    assert math.isclose(figures["calls"], 720, rel_tol=0.02)
    assert ask(engine, "watchkeeper_time_to_exhaustion_seconds")["expected"] > 0
    forecast = ask(engine, "watchkeeper_forecast{metric='cpu_usage'}")
    assert forecast["0.1"] <= forecast["0.5"] <= forecast["0.9"]

    token, _ = create_system_token(engine.state, "test", Role.OPERATOR, now=now)
    with TestClient(create(engine), headers={"authorization": f"Bearer {token}"}) as api:
        (row,) = [row for row in api.get("/api/wk/predictions").json()["rows"] if row["name"] == "signups"]
        assert (row["unknown"], len(row["forecast"])) == ("", 90)
        made = {kind: api.post(f"/api/wk/reports/{kind}", json={"language": "en"}) for kind in ("sla", "business")}
        tables = {kind: api.get(f"/api/wk/reports/{one.json()['id']}.csv").text for kind, one in made.items()}
    assert "shop" in tables["sla"]
    assert {line.split(",")[0] for line in tables["business"].splitlines()[1:]} == {"calls", "signups"}
    assert_ledgers(engine)
    await stop(engine)
