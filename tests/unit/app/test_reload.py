"""A reload takes over everything or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from support.engines import build, clock_of, quiet
from support.journey import assert_ledgers, begin, gauges, scraped, walk
from support.targets import Target, target

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.reload import reload


def rewrite(folder: Path, **sections: Any) -> None:
    (folder / "watchkeeper.yaml").write_text(yaml.safe_dump(quiet(**sections)))


def source(server: Target, name: str, **more: Any) -> dict[str, Any]:
    return scraped(server, name=name, **more)["sources"][0]  # type: ignore[no-any-return]


def temperature(engine: Engine) -> list[str]:
    rows = engine.judging.ask("temperature", clock_of(engine).now())
    return sorted(dict(series)["job"] for series, _ in rows)


async def test_sources_come_go_and_change_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with target() as server:
        server.pages["/metrics"] = gauges(temperature=20)
        both = {"host": False, "own_logs": False, "sources": [source(server, "a"), source(server, "b")]}
        engine = build(tmp_path, collect=both)
        await begin(engine)
        await walk(engine, 6)
        assert temperature(engine) == ["a", "b"]
        kept = engine.sources["a"]
        rewrite(tmp_path, collect={**both, "sources": [source(server, "a"), source(server, "c")]})
        assert await reload(engine) == ""
        await walk(engine, 6)
        assert temperature(engine) == ["a", "c"]
        assert engine.sources["a"] is kept
        rewrite(tmp_path, collect={**both, "sources": [source(server, "a", labels={"zone": "x"})]})
        assert await reload(engine) == ""
        assert engine.sources["a"] is not kept
        assert_ledgers(engine)
        await stop(engine)


async def test_a_mistake_changes_nothing_and_names_its_place(tmp_path: Path) -> None:
    async with target() as server:
        server.pages["/metrics"] = gauges(temperature=20)
        engine = build(tmp_path, collect=scraped(server))
        await begin(engine)
        await walk(engine, 6)
        before = dict(engine.sources)
        rewrite(tmp_path, collect=scraped(server, urll="x"))
        answer = await reload(engine)
        assert "watchkeeper.yaml:" in answer
        assert "collect.sources[0].urll" in answer
        assert engine.judging.reload_error == answer
        assert engine.sources == before
        await walk(engine, 6)
        assert temperature(engine) == ["checkout"]
        await stop(engine)


async def test_the_hour_of_the_capacity_report_is_taken_over(tmp_path: Path) -> None:
    engine = build(tmp_path, capacity={"enabled": True, "report": "mon 08:00"}, time_zone="UTC")
    await begin(engine)
    rewrite(tmp_path, capacity={"enabled": True, "report": "tue 09:30"}, time_zone="UTC")
    assert await reload(engine) == ""
    due = engine.scheduler.jobs["capacity_report"].trigger.get_next_fire_time(None, clock_of(engine).now())
    assert f"{due:%a %H:%M}" == "Tue 09:30"
    await stop(engine)


async def test_channels_are_taken_over(tmp_path: Path) -> None:
    engine = build(tmp_path)
    await begin(engine)
    assert engine.telling.channels_view() == []
    rewrite(tmp_path, notify={"channels": [{"name": "screen", "kind": "console"}]})
    assert await reload(engine) == ""
    assert [row["name"] for row in engine.telling.channels_view()] == ["screen"]
    sent = await engine.telling.test("screen", "en", "lin", clock_of(engine).now())
    assert sent["state"] == "sent"
    await stop(engine)
