"""A copy of a running SQLite state database, whole and checked."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.store.state.database import State

#: Pages copied between two looks at other writers: about 4 MiB.
STEP = 1024


def backup(state: State, destination: Path) -> Path:
    """The database as of now in ``destination``, which appears only when it is complete and sound.

    Writers go on meanwhile. PostgreSQL has pg_dump for this and is refused.
    """
    if not state.is_sqlite:
        raise StoreError("the state database is PostgreSQL: back it up with pg_dump")
    partial = destination.with_name(f"{destination.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        partial.touch(mode=0o600)
        _copy(state, partial)
        _sync(partial)
        partial.replace(destination)
        _sync(destination.parent)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        kind = StoreFullError if full else StoreError
        raise kind(f"backup to {destination}: {error}") from error
    return destination


def _copy(state: State, partial: Path) -> None:
    source = state.engine.raw_connection()
    target = sqlite3.connect(partial)
    try:
        inner = source.driver_connection
        assert isinstance(inner, sqlite3.Connection)
        inner.backup(target, pages=STEP)
        target.execute("PRAGMA journal_mode=DELETE")  # one file, no journal beside it
        found = [row[0] for row in target.execute("PRAGMA integrity_check")]
    finally:
        target.close()
        source.close()
    if found != ["ok"]:
        partial.unlink()
        raise StoreError(f"backup is damaged: {found[0]}; check the disk of the state database")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
