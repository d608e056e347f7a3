"""Database servers read natively: what answers may be no such server at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import URL, Connection

from collectors.base import Reading, Sheet
from collectors.database import Database
from collectors.sql_server import SqlServer
from watchkeeper.errors import CollectError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def one(connection: Connection) -> Iterator[Reading]:
    yield "a", (), float(connection.exec_driver_sql("SAVEPOINT a").scalar_one())


def test_an_answer_without_rows_where_rows_were_asked_for_is_a_broken_protocol(tmp_path: Path) -> None:
    """Found by changed answers: PostgreSQL's "done" in place of a row."""
    (tmp_path / "a.db").touch()
    server = SqlServer(Sheet("a", {}), "a_up", {"one": one}, lambda url: Database(url, 1.0))
    with pytest.raises(CollectError) as failure:
        server.read(NOON, URL.create("sqlite", database=str(tmp_path / "a.db")))
    assert failure.value.reason == "protocol"
    server.close()


def unsaid(connection: Connection) -> Iterator[Reading]:
    raise NotImplementedError("can't parse timestamptz with DateStyle '1e9, MDY'")
    yield "a", (), float(connection.exec_driver_sql("SELECT 1").scalar_one())


def test_a_format_that_the_driver_does_not_know_is_a_broken_protocol(tmp_path: Path) -> None:
    """Found by changed answers: psycopg over a date style of another world."""
    (tmp_path / "a.db").touch()
    server = SqlServer(Sheet("a", {}), "a_up", {"one": unsaid}, lambda url: Database(url, 1.0))
    with pytest.raises(CollectError) as failure:
        server.read(NOON, URL.create("sqlite", database=str(tmp_path / "a.db")))
    assert failure.value.reason == "protocol"
    server.close()
