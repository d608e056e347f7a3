"""That we are alive is told: every minute to a dead-man switch outside, once a day to people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from support.engines import build, clock_of, quiet
from support.journey import assert_ledgers, begin, both_robots, gauges, scraped, walk
from support.robots import robots
from support.targets import Target, answer, target

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.reload import reload


def beats(server: Target) -> int:
    return sum(path == "/alive" for _method, path, _body in server.requests)


def counted(engine: Engine) -> dict[str, int]:
    samples = (sample for family in engine.telemetry.heartbeats.collect() for sample in family.samples)
    return {row.labels["outcome"]: int(row.value) for row in samples if row.name.endswith("_total")}


def to(server: Target, every: str) -> Mapping[str, Any]:
    return {"heartbeat": {"url": server.url("/alive"), "every": every}}


def next_digest(engine: Engine, after: datetime) -> datetime:
    due = engine.scheduler.jobs["digest"].trigger.get_next_fire_time(after, after)
    assert due is not None
    return due


async def test_the_switch_outside_hears_us_while_all_is_well_and_only_then(tmp_path: Path) -> None:
    async with target(alive=answer(b"OK")) as server:
        engine = build(tmp_path, notify=to(server, "7s"))  # never at the same moment as the steps of five seconds
        await begin(engine)
        await walk(engine, 16)
        assert beats(server) == counted(engine)["delivered"] == 3

        async def crash(_now: object) -> None:
            raise RuntimeError("nobody judges any more")

        tend = engine.scheduler.jobs["tend"]
        steady, tend.step = tend.step, crash
        await walk(engine, 10)
        assert beats(server) == 3
        assert counted(engine) == {"delivered": 3, "withheld": 1}
        tend.step = steady
        await walk(engine, 10)
        assert beats(server) == 4
        assert counted(engine) == {"delivered": 4, "withheld": 2}
        await stop(engine)


async def test_a_switch_that_refuses_or_is_gone_is_counted_and_stops_nobody(tmp_path: Path) -> None:
    async with target(alive=answer(b"no such check", status="404 Not Found"), metrics=gauges(heat=1)) as server:
        engine = build(tmp_path, notify=to(server, "5s"), collect=scraped(server))
        await begin(engine)
        await walk(engine, 1)
        server.pages["/alive"] = answer(b"", status="301 Moved", headers="Location: /elsewhere\r\n")
        await walk(engine, 5)
        assert counted(engine) == {"refused": 2}
        server._special["/alive"] = server._silent
        await walk(engine, 5)
        assert counted(engine) == {"refused": 2, "failed": 1}
        assert engine.sources["checkout"].state == "up"
        assert_ledgers(engine)
        await stop(engine)


async def test_a_reload_takes_the_heartbeat_and_the_hour_of_the_digest_over(tmp_path: Path) -> None:
    async with target(alive=answer(b"OK")) as server:
        engine = build(tmp_path)
        await begin(engine)
        await walk(engine, 5)
        assert beats(server) == 0
        changed = quiet(notify={**to(server, "5s"), "digest_at": "12:05"})
        (tmp_path / "watchkeeper.yaml").write_text(yaml.safe_dump(changed))
        assert await reload(engine) == ""
        await walk(engine, 16)
        assert beats(server) == 4
        now = clock_of(engine).now()
        assert next_digest(engine, now) - now < timedelta(minutes=5)
        (tmp_path / "watchkeeper.yaml").write_text(yaml.safe_dump(quiet()))
        assert await reload(engine) == ""
        await walk(engine, 6)
        assert beats(server) == 4
        await stop(engine)


async def test_once_a_day_people_are_told_that_we_are_alive_and_what_happened(tmp_path: Path) -> None:
    async with target() as server, robots() as double:
        server.pages["/metrics"] = gauges(heat=1)
        notify = {**both_robots(double), "digest_at": "12:01"}
        engine = build(tmp_path, notify=notify, collect=scraped(server))
        await begin(engine)
        await walk(engine, 59)
        assert double.accepted == []
        await walk(engine, 62)
        now = clock_of(engine).now()
        assert timedelta(hours=23) < next_digest(engine, now) - now < timedelta(hours=24)
        texts = {kind: [str(one.json) for one in double.accepted if one.kind == kind] for kind in ("dingtalk", "wecom")}
        assert [len(found) for found in texts.values()] == [1, 1]
        assert "Daily sign of life" in texts["wecom"][0]
        assert "Sources: 1 of 1 healthy" in texts["wecom"][0] or "Sources: 2 of 2 healthy" in texts["wecom"][0]
        assert_ledgers(engine)
        await stop(engine)
