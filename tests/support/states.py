"""State databases for tests: SQLite files, and fresh databases on one PostgreSQL server."""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, make_url
from support.servers import Running, postgres_server

from watchkeeper.store.state import State, sqlite_url
from watchkeeper.store.state.migrations import migrate

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

_numbers = itertools.count(1)


def sqlite_state(folder: Path, *, durable: bool = False) -> State:
    """A migrated SQLite database. A ``durable`` one is made as the product makes it, and waits for the disk."""
    path = folder / "state.db"
    if not durable:
        made_already(path)
    state = State(sqlite_url(path))
    if not durable:
        hurry(state)
    migrate(state)
    return state


def made_already(path: Path) -> None:
    """An empty migrated SQLite file is at ``path``, unless one was there."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_migrated())


def hurry(state: State) -> None:
    """Do not wait for the disk: power is not lost in these tests, and a killed process loses nothing by it."""
    state.engine.dispose()
    event.listen(state.engine, "connect", _no_waiting_for_the_disk)


def _no_waiting_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@functools.cache
def _migrated() -> bytes:
    """The file after every migration: copying it is fifty times cheaper than making its tables."""
    with tempfile.TemporaryDirectory() as folder:
        state = State(sqlite_url(Path(folder) / "state.db"))
        migrate(state)
        state.close()
        return (Path(folder) / "state.db").read_bytes()


def empty_database(server: Running, template: str = "template0") -> str:
    """URL of a new database on the server."""
    name = f"t{next(_numbers)}"
    root = make_url(server.url)
    with psycopg.connect(f"host=127.0.0.1 port={root.port} user=postgres dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return root.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: Running) -> str:
    """Name of a database to copy: migrating each time would cost a second."""
    url = empty_database(postgres)
    state = State(url)
    migrate(state)
    state.close()
    return str(make_url(url).database)


BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.servers))


@pytest.fixture(params=BOTH)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    """A database without any table, on each kind."""
    if request.param == "sqlite":
        state = State(sqlite_url(tmp_path / "empty.db"))
    else:
        state = State(empty_database(request.getfixturevalue("postgres")))
    yield state
    state.close()


@pytest.fixture(params=BOTH)
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    """A migrated database, on each kind."""
    if request.param == "sqlite":
        state = sqlite_state(tmp_path)
    else:
        template = request.getfixturevalue("migrated")
        state = State(empty_database(request.getfixturevalue("postgres"), template))
    yield state
    state.close()
