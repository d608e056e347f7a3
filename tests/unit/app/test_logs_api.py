"""Lines of a source are masked, kept, counted and found again through the API; a restart goes on where they end."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from support.engines import build, clock_of
from support.journey import assert_ledgers, begin, walk

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.lifecycle import stop
from watchkeeper.store.state import State

COLLECT = {"host": False, "own_logs": False}


def client_of(engine: object, state: State, now: object) -> TestClient:
    token, _ = create_system_token(state, "test", Role.VIEWER, now=now)  # type: ignore[arg-type]
    return TestClient(create(engine), headers={"authorization": f"Bearer {token}"})  # type: ignore[arg-type]


async def test_lines_are_masked_kept_found_and_go_on_after_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("old\n")
    source = {"kind": "log_file", "name": "app", "paths": [str(log)], "interval": "5s", "service": "shop"}
    engine = build(tmp_path, collect={**COLLECT, "sources": [source]})
    await begin(engine)
    await walk(engine, 6)
    with log.open("a") as file:
        file.write("ERROR login failed password=hunter2\nINFO fine\n")
    await walk(engine, 5)
    client = client_of(engine, engine.state, clock_of(engine).now())
    found = client.get("/api/wk/logs", params={"query": "login", "buckets": 4, "service": "shop"}).json()
    assert [line["text"] for line in found["lines"]] == ["ERROR login failed password=[masked:secret]"]
    assert (found["lines"][0]["severity"], found["lines"][0]["hits"], found["matched"]) == ("error", [[6, 11]], 1)
    assert sum(found["counts"]["error"]) == 1
    assert found["lines"][0]["labels"]["file"] == str(log)
    page = client.get("/api/wk/logs", params={"limit": 1}).json()
    rest = client.get("/api/wk/logs", params={"limit": 1, "before": page["next"]}).json()
    assert [one["lines"][0]["severity"] for one in (page, rest)] == ["info", "error"]
    assert client.get("/api/wk/logs", params={"severity": "none,warning"}).json()["lines"] == []
    assert "no RE2 pattern" in client.get("/api/wk/logs", params={"query": "/(/"}).json()["error"]
    for wrong in ({"severity": "bad"}, {"before": "x"}, {"start_ms": 5, "end_ms": 4}, {"limit": 0}):
        assert client.get("/api/wk/logs", params=wrong).status_code in (400, 422), wrong
    assert_ledgers(engine)
    await stop(engine)
    with log.open("a") as file:
        file.write("while nobody looked\n")
    engine = build(tmp_path, collect={**COLLECT, "sources": [source]}, clock=clock_of(engine))
    await begin(engine)
    await walk(engine, 6)
    client = client_of(engine, engine.state, clock_of(engine).now())
    texts = [line["text"] for line in client.get("/api/wk/logs").json()["lines"]]
    assert texts == ["while nobody looked", "INFO fine", "ERROR login failed password=[masked:secret]"]
    await stop(engine)
