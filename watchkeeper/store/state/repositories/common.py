"""Small things every repository needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update, bindparam, insert, update

from watchkeeper.store.state.tables import counters

#: The next numbers of a sequence, taken in one step. Made once: making a statement takes longer than carrying it out.
_RAISED = (
    update(counters)
    .where(counters.c.name == bindparam("_name"))
    .values(value=counters.c.value + bindparam("_count"))
    .returning(counters.c.value)
)
#: Values of one IN list: SQLite refuses more than 32,766 variables, and planners like short lists.
CHUNK = 500


class Repository:
    """Rows of one subject on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection


def next_number(connection: Connection, name: str) -> int:
    """The next number of a named sequence, 1 for the first."""
    return next_numbers(connection, name, 1).start


def next_numbers(connection: Connection, name: str, count: int) -> range:
    """The next numbers of a named sequence, taken in one step."""
    if count <= 0:
        return range(0)
    raised = connection.execute(_RAISED, {"_name": name, "_count": count}).scalar()
    if raised is None:
        connection.execute(insert(counters).values(name=name, value=count))
    last = count if raised is None else int(raised)
    return range(last - count + 1, last + 1)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values in pieces that fit one statement."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def upsert(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Update the row with this key, or insert it."""
    found = {f"_key_{name}": value for name, value in key.items()}
    new = {f"_new_{name}": value for name, value in values.items()}
    if not connection.execute(_changed(table, tuple(key), tuple(values)), {**found, **new}).rowcount:
        connection.execute(_added(table), {**key, **values})


@lru_cache(maxsize=256)
def _changed(table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Update:
    condition = [table.c[name] == bindparam(f"_key_{name}") for name in key]
    return update(table).where(*condition).values({name: bindparam(f"_new_{name}") for name in names})


@lru_cache(maxsize=64)
def _added(table: Table) -> Insert:
    return insert(table)


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """New rows, all with the same columns, in one round of the driver."""
    if rows:
        connection.execute(insert(table), list(rows))


def update_many(connection: Connection, table: Table, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows that exist, found by ``key``; all name the same columns."""
    if not rows:
        return
    names = [name for name in rows[0] if name != key]
    statement = (
        update(table)
        .where(table.c[key] == bindparam("_key"))
        .values({table.c[name]: bindparam(f"_new_{name}") for name in names})
    )
    connection.execute(statement, [{"_key": row[key], **{f"_new_{name}": row[name] for name in names}} for row in rows])
