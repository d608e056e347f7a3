"""Backup and restore: everything comes back as it was, and nothing damaged or half comes back at all."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from starlette.testclient import TestClient
from support.engines import clock_of, engine
from support.fake_engine import free_port, serving

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.keep import MANIFEST, backup, restore
from watchkeeper.app.paths import DataDir
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.errors import ConfigError
from watchkeeper.model import Layout, LogBatch, Matcher, MatchOp, Tick, labels
from watchkeeper.store.logs import LogLines, Question
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.state import State, sqlite_url
from watchkeeper.store.state.migrations import migrate

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LAYOUT = Layout((labels("load", job="shop"), labels("heat", job="shop")))


def config(folder: Path, data: str = "data") -> Path:
    file = folder / f"{data}.yaml"
    file.write_text(yaml.safe_dump({"data": str(folder / data)}))
    return file


def samples(data: DataDir) -> EmbeddedStore:
    return EmbeddedStore(data.samples, clock=ManualClock(NOON), retention=timedelta(days=30))


def filled(folder: Path) -> DataDir:
    """A data directory as a stopped engine and actuator leave it."""
    data = DataDir(folder / "data").create()
    store = samples(data)
    for at in range(100):
        moment = to_ms(NOON) + at * 1000
        store.append(Tick(target="t", time_ms=moment, layout=LAYOUT, values=np.array([at, at / 2])))
    store.sync()
    store.close()
    kept = LogLines(data.lines)
    for number in range(3):
        kept.append("app", [LogBatch.of((("job", "shop"),), [f"line {number}"], to_ms(NOON))], {"n": number}, NOON)
        kept.maintain(NOON + timedelta(hours=2) * number)  # sealed, closed and open files
    kept.close()
    state = State(sqlite_url(data.state))
    migrate(state)
    with state.begin() as unit:
        unit.documents.put("note", {"said": "hello"}, at=NOON)
        unit.audit.append("ann", "test", "x", {}, at=NOON)
    state.close()
    (data.actuator / "journal").write_bytes(b"\x00intent\xff")
    data.kill_switch.write_text("stopped by ann")
    data.cli_token.write_text("secret")
    return data


def read(data: DataDir, start_ms: int = to_ms(NOON)) -> list[list[float]]:
    store = samples(data)
    try:
        found = store.select([Matcher("job", MatchOp.EQUAL, "shop")], start_ms, start_ms + 20_000_000)
        return [row.tolist() for matrix in found for row in matrix.values]
    finally:
        store.close()


def test_what_was_backed_up_comes_back_whole(tmp_path: Path) -> None:
    old, copy = filled(tmp_path), tmp_path / "backup"
    assert "files in" in backup(config(tmp_path), copy)
    assert "files restored into" in restore(config(tmp_path, "new"), copy)
    new = DataDir(tmp_path / "new")
    assert read(new) == read(old) == [[float(at) for at in range(100)], [at / 2 for at in range(100)]]
    state = State(sqlite_url(new.state))
    with state.read() as unit:
        assert unit.documents.get("note") == {"said": "hello"}
        assert unit.audit.verify() is None
    state.close()
    assert (new.actuator / "journal").read_bytes() == b"\x00intent\xff"
    kept = LogLines(new.lines)
    assert [line.text for line in kept.search(Question()).lines] == ["line 2", "line 1", "line 0"]
    assert kept.positions() == {"app": {"n": 2}}
    kept.close()


def test_what_was_stopped_stays_stopped_and_tokens_stay_at_home(tmp_path: Path) -> None:
    filled(tmp_path)
    backup(config(tmp_path), tmp_path / "backup")
    restore(config(tmp_path, "new"), tmp_path / "backup")
    new = DataDir(tmp_path / "new")
    assert new.kill_switch.read_text() == "stopped by ann"
    assert not new.cli_token.exists()
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0, "samples and state are nobody else's business"


def test_a_backup_changes_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    data = filled(tmp_path)
    backup(config(tmp_path), tmp_path / "one")
    backup(config(tmp_path), tmp_path / "two")
    first, second = (json.loads((tmp_path / name / MANIFEST).read_text()) for name in ("one", "two"))
    assert set(first) == set(second)
    assert {name for name in first if name.startswith("samples/")}
    assert {"state.sqlite", "actuator/journal", "kill-switch"} <= set(first)
    assert len(read(data)) == 2


@pytest.mark.parametrize("place", ["state.sqlite", "actuator/journal"])
def test_a_damaged_backup_is_refused_and_nothing_is_written(place: str, tmp_path: Path) -> None:
    filled(tmp_path)
    copy = tmp_path / "backup"
    backup(config(tmp_path), copy)
    body = bytearray((copy / place).read_bytes())
    body[len(body) // 2] ^= 1
    (copy / place).write_bytes(body)
    with pytest.raises(ConfigError, match=rf"{place} is missing or damaged"):
        restore(config(tmp_path, "new"), copy)
    assert not (tmp_path / "new").exists()


def test_a_backup_with_a_file_lost_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    backup(config(tmp_path), tmp_path / "backup")
    victim = max(path for path in (tmp_path / "backup" / "samples").rglob("*") if path.is_file())
    victim.unlink()
    with pytest.raises(ConfigError, match="is missing or damaged; this backup cannot be trusted"):
        restore(config(tmp_path, "new"), tmp_path / "backup")


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"../outside": "00"}'])
def test_what_is_no_backup_is_refused(manifest: str | None, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "outside").write_text("x")
    if manifest is not None:
        (tmp_path / "backup" / MANIFEST).write_text(manifest)
    with pytest.raises(ConfigError, match=r"is not a backup|cannot be trusted"):
        restore(config(tmp_path, "new"), tmp_path / "backup")


def test_a_restore_never_overwrites(tmp_path: Path) -> None:
    data = filled(tmp_path)
    backup(config(tmp_path), tmp_path / "backup")
    with pytest.raises(ConfigError, match="holds data already; move it away first"):
        restore(config(tmp_path), tmp_path / "backup")
    assert len(read(data)) == 2


def test_a_backup_never_overwrites(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "mine").write_text("x")
    with pytest.raises(ConfigError, match="is not empty; name a new folder"):
        backup(config(tmp_path), tmp_path / "backup")


@pytest.mark.parametrize("part", ["engine", "actuator"])
def test_a_running_part_keeps_backup_and_restore_away(part: str, tmp_path: Path) -> None:
    data = filled(tmp_path)
    backup(config(tmp_path), tmp_path / "backup")
    with data.lock(part), pytest.raises(ConfigError, match="is in use by process"):
        backup(config(tmp_path), tmp_path / "another")
    new = DataDir(tmp_path / "new").create()
    with new.lock(part), pytest.raises(ConfigError, match="is in use by process"):
        restore(config(tmp_path, "new"), tmp_path / "backup")
    assert not new.state.exists()


def test_state_in_a_database_of_its_own_is_not_left_out_in_silence(tmp_path: Path) -> None:
    file = config(tmp_path)
    content = {**yaml.safe_load(file.read_text()), "store": {"state": {"url": "postgresql+psycopg://db/wk"}}}
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="back it up with that database's tools"):
        backup(file, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_running_engine_is_backed_up_as_of_one_moment(tmp_path: Path) -> None:
    with engine(tmp_path) as running, serving(create(running), free_port()) as url:
        data, clock = running.data, clock_of(running)
        token, _ = create_system_token(running.state, "cli", Role.ADMIN, now=clock.now())
        data.engine_ready.write_text(json.dumps({"url": url}))
        data.cli_token.write_text(token)
        (data.actuator / "journal").write_bytes(b"begun")
        stop_sending = threading.Event()
        sent = 0

        def send() -> None:
            nonlocal sent
            while not stop_sending.is_set():
                moment = to_ms(clock.now()) + sent
                tick = Tick(target="t", time_ms=moment, layout=LAYOUT, values=np.array([sent, sent / 2]))
                running.samples.append(tick)
                batch = LogBatch.of((("job", "shop"),), [f"line {sent}"], moment)
                running.lines.store.append("app", [batch], {"sent": sent}, clock.now())
                sent += 1
                if sent % 500 == 0:
                    running.samples.maintain(clock.now())
                    running.lines.store.maintain(clock.now())

        sender = threading.Thread(target=send)
        with data.lock("engine"):
            sender.start()
            try:
                for turn in range(3):
                    copy, before = tmp_path / f"copy{turn}", sent
                    assert "of the running engine" in backup(config(tmp_path), copy)
                    assert restore(config(tmp_path, f"new{turn}"), copy)
                    rows = read(DataDir(tmp_path / f"new{turn}"), to_ms(clock.now()))
                    assert len(rows[0]) >= before  # all that was appended before the call, and no gap
                    assert rows == [[float(at) for at in range(len(rows[0]))], [at / 2 for at in range(len(rows[0]))]]
                    assert (copy / "actuator" / "journal").read_bytes() == b"begun"
                    kept = LogLines(DataDir(tmp_path / f"new{turn}").lines)
                    texts = [line.text for line in kept.search(Question(limit=1_000_000)).lines]
                    assert len(texts) >= before
                    assert texts == [f"line {number}" for number in reversed(range(len(texts)))]
                    assert kept.positions() == {"app": {"sent": len(texts) - 1}}, "lines and position are one fact"
                    kept.close()
            finally:
                stop_sending.set()
                sender.join()
        assert list(data.snapshots.iterdir()) == []


def test_a_snapshot_is_named_by_the_engine_and_dropped_by_name_only(tmp_path: Path) -> None:
    with engine(tmp_path) as running, TestClient(create(running)) as web:
        token, _ = create_system_token(running.state, "cli", Role.ADMIN, now=running.clock.now())
        headers = {"authorization": f"Bearer {token}"}
        name = web.post("/api/wk/snapshots", headers=headers).json()["name"]
        assert (running.data.snapshots / name / "state.sqlite").is_file()
        for wrong in ("..", "%2e%2e", "nobody", f"..%2f{name}"):
            assert web.delete(f"/api/wk/snapshots/{wrong}", headers=headers).status_code in (404, 405)
        assert web.post("/api/wk/snapshots").status_code == 401
        clock_of(running).advance(timedelta(hours=7))  # nobody fetched it
        other = web.post("/api/wk/snapshots", headers=headers).json()["name"]
        assert [path.name for path in running.data.snapshots.iterdir()] == [other]
        assert web.delete(f"/api/wk/snapshots/{other}", headers=headers).json() == {"dropped": other}
        assert running.data.state.exists()
