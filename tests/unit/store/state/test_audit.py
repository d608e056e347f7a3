"""The audit shows every edit, deletion, swap and cut."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text
from support.states import NOON

from watchkeeper.errors import StoreError
from watchkeeper.store.state import State

ROWS = 40


@pytest.fixture
def filled(state: State) -> State:
    with state.begin() as unit:
        for number in range(ROWS):
            detail = {"n": number, "名": ["x", None], "nan": float("nan")}
            unit.audit.append("ann", f"step.{number % 3}", f"act-{number}", detail, at=NOON + timedelta(seconds=number))
    return state


def test_an_untouched_chain_holds_and_remembers_every_head(filled: State) -> None:
    with filled.begin() as unit:
        head = unit.audit.head()
        unit.audit.append("bob", "more", "x", {}, at=NOON)
    with filled.read() as unit:
        assert unit.audit.verify() is None
        assert unit.audit.verify(head) is None
        assert unit.audit.verify((0, "0" * 64)) is None
        assert [row.action for row in unit.audit.newest(1)] == ["more"]
        assert [row.subject for row in unit.audit.rows(subject="act-7")] == ["act-7"]
        assert unit.audit.rows(limit=2)[1].previous_hash == unit.audit.rows(limit=1)[0].hash


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_a_row(filled: State, statement: str) -> None:
    with pytest.raises(StoreError, match="append-only"), filled.begin() as unit:
        unit.connection.execute(text(statement))


def test_an_empty_audit_has_no_rows_and_no_fault(state: State) -> None:
    with state.read() as unit:
        assert unit.audit.head() == (0, "0" * 64)
        assert unit.audit.verify() is None


def disarm(connection: Connection) -> None:
    """What somebody with the database's password would do first."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
    else:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("DROP TRIGGER audit_no_delete"))


def edit(connection: Connection, chance: random.Random) -> None:
    column = chance.choice(["at", "actor", "action", "subject", "detail", "previous_hash", "hash"])
    value = chance.randrange(10**12) if column == "at" else f"{chance.random()}"
    statement = text(f"UPDATE audit SET {column} = :value WHERE seq = :seq")
    connection.execute(statement, {"value": value, "seq": chance.randint(1, ROWS)})


def delete(connection: Connection, chance: random.Random) -> None:
    connection.execute(text("DELETE FROM audit WHERE seq = :seq"), {"seq": chance.randint(1, ROWS)})


def swap(connection: Connection, chance: random.Random) -> None:
    one, two = chance.sample(range(1, ROWS + 1), 2)
    move = text("UPDATE audit SET seq = :new WHERE seq = :old")
    for old, new in ((one, 10_000), (two, one), (10_000, two)):
        connection.execute(move, {"old": old, "new": new})


def cut(connection: Connection, chance: random.Random) -> None:
    connection.execute(text("DELETE FROM audit WHERE seq > :seq"), {"seq": chance.randrange(ROWS)})


def soften(connection: Connection, chance: random.Random) -> None:
    """A detail that reads the same to a JSON parser is still not what was written."""
    statement = text("UPDATE audit SET detail = ' ' || detail WHERE seq = :seq")
    connection.execute(statement, {"seq": chance.randint(1, ROWS)})


TRICKS: tuple[Callable[[Connection, random.Random], None], ...] = (edit, delete, swap, cut, soften)


def test_a_thousand_random_forgeries_are_all_detected(filled: State) -> None:
    chance = random.Random(20261122)
    with filled.begin() as unit:
        disarm(unit.connection)
    missed = []
    with filled.begin() as unit:
        head = unit.audit.head()
        for number in range(1000):
            trick = chance.choice(TRICKS)
            forgery = unit.connection.begin_nested()
            trick(unit.connection, chance)
            if unit.audit.verify(head) is None:
                missed.append((number, trick.__name__))
            forgery.rollback()
        assert unit.audit.verify(head) is None
    assert missed == []


def test_a_cut_tail_shows_only_against_a_head_kept_elsewhere(filled: State) -> None:
    with filled.begin() as unit:
        head = unit.audit.head()
        disarm(unit.connection)
        unit.connection.execute(text("DELETE FROM audit WHERE seq > 30"))
    with filled.read() as unit:
        assert unit.audit.verify() is None
        assert unit.audit.verify(head) == ROWS
