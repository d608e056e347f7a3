"""Both providers of a dual link are rated from their own probes, as series, over the API, and in the plan."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.engines import build
from support.journey import begin, rule_file, walk
from support.targets import answer, target

from watchkeeper.app.api.quality import quality as route
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.ask import Ask

LINK: dict[str, Any] = {
    "name": "maps",
    "service": "checkout",
    "target": "web",
    "primary": "amap",
    "backup": "baidu",
    "primary_probe": 'probe_success{copy="primary"}',
    "backup_probe": 'probe_success{copy="backup"}',
    "primary_cost": 1.5,
}


def an_engine(folder: Path, base: Any, **link: Any) -> Engine:
    rule_file(folder, "groups: []\n")
    sources = [
        {
            "kind": "http_probe",
            "name": copy,
            "interval": "5s",
            "labels": {"copy": copy},
            "steps": [{"name": "open", "url": base.url(f"/{copy}")}],
        }
        for copy in ("primary", "backup")
    ]
    remediation = {
        "targets": [{"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop"}],
        "links": [{**LINK, **link}],
    }
    return build(folder, collect={"host": False, "own_logs": False, "sources": sources}, remediation=remediation)


def answered(engine: Engine) -> dict[str, Any]:
    request: Any = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(engine=engine)))
    return route(request)


async def test_a_provider_that_fails_half_the_time_scores_low_and_says_why(tmp_path: Path) -> None:
    async with target(primary=answer(b"ok"), backup=answer(b"ok")) as server:
        engine = an_engine(tmp_path, server)
        await begin(engine)
        await walk(engine, 60)
        server.pages["/primary"] = answer(b"no", status="503 Oops")
        await walk(engine, 60)
        (link,) = answered(engine)["links"]
        primary, backup = link["providers"]
        assert (link["link"], link["serving"], primary["provider"], backup["provider"]) == (
            "maps", "primary", "amap", "baidu",
        )  # fmt: skip
        assert backup["score"] == 100
        assert primary["score"] < 60
        assert primary["worst"] == "success"
        assert primary["observed"]["success_ratio"] == pytest.approx(0.5, abs=0.1)
        assert primary["observed"]["errors"] == {"server": pytest.approx(11, abs=2)}
        lost = sum(part["lost"] for part in primary["components"])
        assert primary["score"] + lost == pytest.approx(100, abs=0.01)
        ask, now = Ask(engine.promql), engine.clock.now()
        ((series, value),) = ask('watchkeeper_quality_score{link="maps",provider="amap"}', now)
        assert value == pytest.approx(primary["score"], abs=0.01)
        assert dict(series)["service"] == "checkout"
        parts = {
            dict(each)["component"]: value
            for each, value in ask('watchkeeper_quality_component_score{provider="amap"}', now)
        }
        assert parts == {part["name"]: pytest.approx(part["score"], abs=0.01) for part in primary["components"]}
        states = {dict(each)["state"]: value for each, value in ask('watchkeeper_link_state{link="maps"}', now)}
        assert states == {"primary": 1.0, "backup": 0.0, "half_open": 0.0}
        costs = {dict(each)["provider"]: value for each, value in ask("watchkeeper_link_cost", now)}
        assert costs == {"amap": 1.5, "baidu": 0.0}
        for name in ("switches", "flaps"):
            ((_, count),) = ask(f"watchkeeper_link_{name}_total", now)
            assert count == 0
        assert (link["phase"], link["pinned"]) == ("primary", None)
        evidence = engine.remediation._facts(now).quality["maps"]
        assert evidence["amap"]["score"] == primary["score"]  # type: ignore[index]
        await stop(engine)


async def test_what_nobody_probes_is_unknown_and_has_no_series(tmp_path: Path) -> None:
    async with target(primary=answer(b"ok"), backup=answer(b"ok")) as server:
        engine = an_engine(tmp_path, server, backup_probe='probe_success{copy="nobody"}')
        await begin(engine)
        await walk(engine, 30)
        _, backup = answered(engine)["links"][0]["providers"]
        assert backup["score"] is None
        assert backup["unknown"].startswith("not measured: success")
        found = Ask(engine.promql)("watchkeeper_quality_score", engine.clock.now())
        assert [dict(series)["provider"] for series, _ in found] == ["amap"]
        await stop(engine)


async def test_an_answer_that_was_good_long_ago_costs_freshness(tmp_path: Path) -> None:
    async with target(primary=answer(b"ok"), backup=answer(b"ok")) as server:
        engine = an_engine(tmp_path, server)
        await begin(engine)
        await walk(engine, 30)
        server.pages["/backup"] = answer(b"no", status="503 Oops")
        await walk(engine, 300)
        _, backup = answered(engine)["links"][0]["providers"]
        age = backup["observed"]["last_good_age_seconds"]
        assert timedelta(seconds=280) <= timedelta(seconds=age) <= timedelta(seconds=310)
        freshness = next(part for part in backup["components"] if part["name"] == "freshness")
        assert freshness["score"] == pytest.approx(100 * (900 - age) / 840, abs=0.1)
        assert backup["score"] < 40
        assert not math.isnan(backup["score"])
        await stop(engine)
