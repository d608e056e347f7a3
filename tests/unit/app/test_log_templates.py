"""Kinds of lines: counted as series like any other, known again after a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from support.engines import NOON, build, clock_of
from support.journey import assert_ledgers, begin, walk

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.log_templates import SAVED_EVERY, LineTemplates
from watchkeeper.app.reload import reload
from watchkeeper.config.logs import Templates
from watchkeeper.model import LogBatch, labels

LINES = "".join(f"level=info msg=started worker={number}\n" for number in range(3)) + "level=error msg=refused card=7\n"


def collect(log: Path) -> dict[str, Any]:
    source = {"kind": "log_file", "name": "app", "paths": [str(log)], "interval": "5s", "service": "shop"}
    return {"host": False, "own_logs": False, "interval": "5s", "sources": [source]}


def counts(engine: Engine) -> dict[tuple[str, str], float]:
    rows = engine.judging.ask("log_template_lines_total", clock_of(engine).now())
    own = {dict(series)["template"]: (dict(series)["severity"], value) for series, value in rows}
    return {(one.text, own[one.id][0]): own[one.id][1] for one in engine.log_metrics.kinds(10) if one.id in own}


async def test_kinds_of_lines_are_series_and_known_again_after_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    engine = build(tmp_path, collect=collect(log), logs={"templates": {"enabled": True}})
    await begin(engine)
    await walk(engine, 6)
    with log.open("a") as file:
        file.write(LINES)
    await walk(engine, 10)
    expected = {("level=info msg=started worker=<*>", "info"): 3.0, ("level=error msg=refused card=<*>", "error"): 1.0}
    assert counts(engine) == expected
    new = engine.judging.ask("sum(increase(log_templates_first_seen_total[1m]))", clock_of(engine).now())
    assert new[0][1] > 1
    assert_ledgers(engine)
    await stop(engine)
    again = build(tmp_path, collect=collect(log), logs={"templates": {"enabled": True}})
    kinds = again.log_metrics.kinds(10)
    assert {one.text: one.count for one in kinds} == {text: count for (text, _), count in expected.items()}
    assert all(one.first_seen >= NOON and one.last_seen is None for one in kinds)
    await stop(again)


async def test_a_reload_begins_and_ends_it(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    engine = build(tmp_path, collect=collect(log))
    await begin(engine)
    assert "log_metrics" not in engine.sources
    file = tmp_path / "watchkeeper.yaml"
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(document | {"logs": {"templates": {"enabled": True}}}))
    await reload(engine)
    await walk(engine, 6)
    log.write_text(LINES)
    await walk(engine, 10)
    assert len(counts(engine)) == 2
    file.write_text(yaml.safe_dump(document))
    await reload(engine)
    assert "log_metrics" not in engine.sources
    await stop(engine)


async def test_lines_are_found_by_their_kind(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    engine = build(tmp_path, collect=collect(log), logs={"templates": {"enabled": True}})
    await begin(engine)
    await walk(engine, 6)
    log.write_text(LINES + "level=info msg=started worker=9 slowly\n")
    await walk(engine, 10)
    token, _ = create_system_token(engine.state, "test", Role.VIEWER, now=clock_of(engine).now())
    client = TestClient(create(engine), headers={"authorization": f"Bearer {token}"})
    names = {one["text"]: one["id"] for one in client.get("/api/wk/logs/templates").json()["templates"]}
    asked = {"template": names["level=info msg=started worker=<*>"], "buckets": 1}
    found = client.get("/api/wk/logs", params=asked).json()
    assert {line["text"] for line in found["lines"]} == set(LINES.splitlines()[:3])
    assert found["matched"] == 3
    assert len(client.get("/api/wk/logs", params={**asked, "query": "worker=2"}).json()["lines"]) == 1
    assert "no template 'x'" in client.get("/api/wk/logs", params={"template": "x"}).json()["error"]
    await stop(engine)


OPEN, READ, CLOSE = "file 7 was opened", "rows of file 7 were read", "file 7 was closed again"


def test_lines_out_of_order_and_rare_ones_are_counted_and_told_with_what_is_usual(tmp_path: Path) -> None:
    kinds = taken(tmp_path, "disk 5 is gone", *[OPEN, READ, CLOSE] * 4000)
    kinds.take(LogBatch.of(labels(None, {"service": "shop"}), [OPEN, CLOSE, "disk 9 is gone"], 0), NOON)
    own = (("service", "shop"),)
    counted = {name: value for name, labels_, value in kinds.readings() if labels_ == own}
    assert (counted["log_templates_rare_total"], counted["log_templates_out_of_order_total"]) == (1.0, 2.0)
    told = [(one.why, texts[one.template], [texts[name] for name in one.usual]) for one, texts in kinds.found()]
    opened, gone, closed, read = (
        "file <*> was opened", "disk <*> is gone", "file <*> was closed again", "rows of file <*> were read"
    )  # fmt: skip
    assert told == [("out_of_order", gone, [opened]), ("out_of_order", closed, [read]), ("rare", gone, [])]
    kinds.save()
    again = LineTemplates(tmp_path / "templates.json", Templates(enabled=True), NOON)
    again.take(LogBatch.of(labels(None, {"service": "shop"}), [OPEN, CLOSE], 0), NOON)
    assert [one.why for one, _ in again.found()] == ["out_of_order"]


def taken(tmp_path: Path, *texts: str, **options: Any) -> LineTemplates:
    kinds = LineTemplates(tmp_path / "templates.json", Templates(enabled=True, **options), NOON)
    kinds.take(LogBatch.of(labels(None, {"service": "shop"}), texts, 0), NOON)
    return kinds


def test_a_json_line_is_told_by_its_message(tmp_path: Path) -> None:
    kinds = taken(tmp_path, '{"ts": 1, "message": "took 5 ms"}', '{"ts": 2, "msg": "took 7 ms"}', '{"ts": 3}')
    assert [(one.text, one.count) for one in kinds.kinds(9)] == [("took <*> ms", 2), ('{"ts": <*>}', 1)]


def test_series_beyond_the_limit_are_refused_and_counted_and_those_without_lines_are_dropped(tmp_path: Path) -> None:
    kinds = taken(tmp_path, "one kind here", "another kind there", "a third sort", series_limit=2)
    readings = [(name, value) for name, _, value in kinds.readings()]
    assert readings.count(("log_template_lines_total", 1.0)) == 2
    assert ("watchkeeper_log_template_refused_total", 1.0) in readings
    kinds.forget(NOON + timedelta(days=1))
    assert "log_template_lines_total" not in [name for name, _, _ in kinds.readings()]


def test_what_was_learned_is_written_now_and_then_and_a_damaged_file_is_learned_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = taken(tmp_path, "one kind 5")
    kinds.forget(NOON + SAVED_EVERY)
    file = tmp_path / "templates.json"
    assert LineTemplates(file, Templates(enabled=True), NOON).kinds(9)[0].text == "one kind <*>"
    file.write_text("{")
    assert LineTemplates(file, Templates(enabled=True), NOON).kinds(9) == []
    assert "learned anew" in capsys.readouterr().out
