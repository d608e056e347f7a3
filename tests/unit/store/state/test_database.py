"""Full disks, turns of writers, and copies of a running database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.servers import Running
from support.states import NOON, empty_database, sqlite_state

from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.store.state import State, sqlite_url
from watchkeeper.store.state.backup import backup
from watchkeeper.store.state.migrations import migrate


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[State]:
    state = sqlite_state(tmp_path, durable=True)
    yield state
    state.close()


def limit_pages(state: State, pages: int) -> None:
    """Make the disk small: SQLite answers SQLITE_FULL as it does when the device has no space."""

    @event.listens_for(state.engine, "connect")
    def _limit(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}").close()


def test_a_full_disk_is_told_apart_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    sqlite_state(tmp_path, durable=True).close()
    state = State(sqlite_url(tmp_path / "state.db"))
    limit_pages(state, 110)
    kept = 0

    def fill() -> None:
        nonlocal kept
        while kept < 1000:
            with state.begin() as unit:
                unit.documents.put(f"k{kept}", "x" * 4000, at=NOON)
            kept += 1

    with pytest.raises(StoreFullError, match="full"):
        fill()
    assert 0 < kept < 1000
    with state.read() as unit:
        assert len(unit.documents.with_prefix("k")) == kept
    state.close()


@pytest.mark.servers
def test_a_disk_full_error_of_postgresql_is_told_apart(postgres: Running) -> None:
    state = State(empty_database(postgres))
    migrate(state)
    with pytest.raises(StoreFullError, match="no space"), state.begin() as unit:
        unit.connection.exec_driver_sql("DO $$ BEGIN RAISE 'no space left on device' USING ERRCODE = '53100'; END $$")
    state.close()


def test_any_other_database_error_is_a_store_error(state: State) -> None:
    with pytest.raises(StoreError, match="nowhere") as caught, state.begin() as unit:
        unit.connection.exec_driver_sql("SELECT * FROM nowhere_full")
    assert not isinstance(caught.value, StoreFullError)


def test_writers_take_turns_and_no_number_is_lost_or_doubled(state: State) -> None:
    found: list[str] = []

    def work() -> None:
        for _ in range(10):
            with state.begin() as unit:
                found.append(unit.incidents.new_id())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(f"inc-{number}" for number in range(1, 41))


def test_a_backup_taken_beside_a_writer_is_whole_and_opens_as_a_state(lite: State, tmp_path: Path) -> None:
    with lite.begin() as unit:
        for number in range(200):
            unit.audit.append("ann", "x", str(number), {"pad": "y" * 500}, at=NOON)
        unit.documents.put("a", 1, at=NOON)
    with lite.read():  # a reader does not stop it
        copy = backup(lite, tmp_path / "copy.db")
    with lite.begin() as unit:
        unit.documents.put("a", 2, at=NOON)
    restored = State(sqlite_url(copy))
    migrate(restored)
    with restored.read() as unit:
        assert unit.documents.get("a") == 1
        assert len(unit.audit.rows()) == 200
        assert unit.audit.verify() is None
    restored.close()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.partial"))


def test_a_backup_replaces_the_one_before_only_when_it_is_complete(lite: State, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"yesterday")
    source = sqlite3.connect(tmp_path / "state.db")
    source.execute("PRAGMA writable_schema=ON")
    source.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE users (broken' WHERE name = 'users'")
    source.commit()
    source.close()
    lite.engine.dispose()
    with pytest.raises(StoreError, match=r"backup"):
        backup(lite, copy)
    assert copy.read_bytes() == b"yesterday"
    assert not list(tmp_path.glob("*.partial"))


def test_a_backup_into_nowhere_says_so(lite: State, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing"):
        backup(lite, tmp_path / "missing" / "copy.db")


@pytest.mark.servers
def test_a_backup_of_postgresql_points_at_pg_dump(postgres: Running, tmp_path: Path) -> None:
    state = State(empty_database(postgres))
    with pytest.raises(StoreError, match="pg_dump"):
        backup(state, tmp_path / "copy.db")
    state.close()
