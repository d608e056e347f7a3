"""The state database: one engine process, one writer, transactions as units of work."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from watchkeeper.errors import LeaseLostError, StoreError, StoreFullError
from watchkeeper.store.state.lease import holds
from watchkeeper.store.state.repositories import Unit


class State:
    """Opens transactions. Writers take turns (one lock, BEGIN IMMEDIATE on SQLite); readers run beside them.

    Call it from worker threads, never from the event loop.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _sqlite(url) if url.startswith("sqlite") else create_engine(url, pool_pre_ping=True)
        self._turn = threading.Lock()
        self.fence = 0  #: token of the lease that every write is done under; 0: nobody else writes here

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Unit]:
        """One write transaction: committed when the block ends, undone when it raises.

        Raises LeaseLostError when another engine has taken over: nothing is written then.
        """
        with self._turn, _translated(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.execute(text("BEGIN IMMEDIATE"))
            try:
                if self.fence and not holds(connection, self.fence):
                    raise LeaseLostError("another engine acts now; this one must stop")
                yield Unit(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """One consistent read; writing through it is an error on the caller's side and is rolled back."""
        with _translated(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.execute(text("BEGIN"))
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            try:
                yield Unit(connection)
            finally:
                connection.rollback()

    def now(self) -> datetime | None:
        """What the database's own clock says, which engines of several machines share; None: it is this machine's."""
        if self.is_sqlite:
            return None
        with _translated(), self._engine.connect() as connection:
            found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            return found.astimezone(UTC)

    def close(self) -> None:
        self._engine.dispose()


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})
    if engine.url.database not in (None, "", ":memory:"):
        Path(str(engine.url.database)).touch(mode=0o600)  # SQLite gives its journals the same mode

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        kind = StoreFullError if _disk_is_full(error.orig) else StoreError
        raise kind(f"state database: {error.orig}") from error


def _disk_is_full(error: BaseException | None) -> bool:
    """SQLITE_FULL, or PostgreSQL's disk_full (53100)."""
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL or getattr(error, "sqlstate", None) == "53100"


def ready(connection: Connection) -> bool:
    """True when the database answers."""
    return connection.execute(text("SELECT 1")).scalar() == 1
