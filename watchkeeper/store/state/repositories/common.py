"""Small things every repository needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, update

from watchkeeper.store.state.tables import counters


class Repository:
    """Rows of one subject on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection


def next_number(connection: Connection, name: str) -> int:
    """The next number of a named sequence, 1 for the first."""
    raised = connection.execute(
        update(counters).where(counters.c.name == name).values(value=counters.c.value + 1).returning(counters.c.value)
    ).scalar()
    if raised is not None:
        return int(raised)
    connection.execute(insert(counters).values(name=name, value=1))
    return 1


def upsert(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Update the row with this key, or insert it."""
    condition = [table.c[name] == value for name, value in key.items()]
    changed = connection.execute(update(table).where(*condition).values(**values)).rowcount
    if not changed:
        connection.execute(insert(table).values(**key, **values))
