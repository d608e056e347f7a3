"""Database servers read natively: what answers may be no such server at all."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import URL, Connection

from collectors.base import Reading, Sheet
from collectors.database import Database
from collectors.sql_server import SqlServer
from watchkeeper.errors import CollectError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Question = Callable[[Connection], Iterator[Reading]]


def without_rows(connection: Connection) -> Iterator[Reading]:
    """PostgreSQL's "done" in place of a row."""
    yield "a", (), float(connection.exec_driver_sql("SAVEPOINT a").scalar_one())


def in_no_known_format(connection: Connection) -> Iterator[Reading]:
    """Psycopg over a date style of another world."""
    raise NotImplementedError("can't parse timestamptz with DateStyle '1e9, MDY'")
    yield "a", (), float(connection.exec_driver_sql("SELECT 1").scalar_one())


def of_a_closed_socket(connection: Connection) -> Iterator[Reading]:
    """Psycopg waits for a socket that libpq has closed."""
    raise OSError(errno.EBADF, "Bad file descriptor")
    yield "a", (), float(connection.exec_driver_sql("SELECT 1").scalar_one())


@pytest.mark.parametrize("question", [without_rows, in_no_known_format, of_a_closed_socket])
def test_what_drivers_cannot_read_is_a_broken_protocol(question: Question, tmp_path: Path) -> None:
    """All were found by changed answers."""
    (tmp_path / "a.db").touch()
    server = SqlServer(Sheet("a", {}), "a_up", {"one": question}, lambda url: Database(url, 1.0))
    with pytest.raises(CollectError) as failure:
        server.read(NOON, URL.create("sqlite", database=str(tmp_path / "a.db")))
    assert failure.value.reason == "protocol"
    server.close()
