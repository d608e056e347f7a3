"""The schema made by migrations is the schema that tables.py says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from support.states import NOON

from watchkeeper.errors import StoreError
from watchkeeper.store.state import State, sqlite_url
from watchkeeper.store.state.migrations import migrate, revision
from watchkeeper.store.state.tables import metadata


def picture(state: State) -> dict[str, Any]:
    """Everything the database itself says about its tables."""
    look = inspect(state.engine)
    found: dict[str, Any] = {}
    for table in sorted(set(look.get_table_names()) - {"alembic_version"}):
        columns = [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in look.get_columns(table)]
        indexes = sorted((i["name"] or "", tuple(i["column_names"]), i["unique"]) for i in look.get_indexes(table))
        uniques = sorted((u["name"] or "", tuple(u["column_names"])) for u in look.get_unique_constraints(table))
        found[table] = (columns, look.get_pk_constraint(table), indexes, uniques)
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if not state.is_sqlite:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    with state.engine.connect() as connection:
        found["triggers"] = sorted(row[0] for row in connection.execute(text(query)))
        if state.is_sqlite:  # the reflection does not show AUTOINCREMENT
            sql = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'intents'")).scalar_one()
            found["autoincrement"] = "AUTOINCREMENT" in sql
    return found


def wipe(state: State) -> None:
    """Nothing is left: tables, triggers, functions."""
    with state.engine.begin() as connection:
        if not state.is_sqlite:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
            return
    metadata.drop_all(state.engine)


def test_migrated_schema_equals_fresh_schema(empty: State) -> None:
    migrate(empty)
    migrated = picture(empty)
    wipe(empty)
    metadata.create_all(empty.engine)
    made = picture(empty)
    assert len(made) >= 20
    assert made["triggers"]
    assert migrated == made


def test_alembic_finds_nothing_left_to_do(state: State) -> None:
    with state.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(empty: State) -> None:
    assert revision(empty) is None
    newest = migrate(empty)
    with empty.begin() as unit:
        unit.audit.append("ann", "user.create", "bob", {}, at=NOON)
    assert migrate(empty) == newest == revision(empty)
    with empty.read() as unit:
        assert len(unit.audit.rows()) == 1


def test_a_database_of_a_newer_version_is_left_alone(state: State) -> None:
    with state.begin() as unit:
        unit.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="revision 9999, which only a newer Watchkeeper knows"):
        migrate(state)
    assert revision(state) == "9999"


def test_a_foreign_database_is_left_alone(empty: State) -> None:
    with empty.begin() as unit:
        unit.connection.execute(text("CREATE TABLE audit (id INTEGER)"))
    with pytest.raises(StoreError, match="not made by Watchkeeper"):
        migrate(empty)
    assert inspect(empty.engine).get_table_names() == ["audit"]


def test_a_broken_step_leaves_the_database_as_it_was(empty: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("step failed")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.operations.base.Operations.execute", broken)  # the last thing step 0001 does
        with pytest.raises(RuntimeError, match="step failed"):
            migrate(empty)
    assert inspect(empty.engine).get_table_names() == []
    assert migrate(empty) == revision(empty)


def test_the_database_file_is_closed_to_other_users(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = State(sqlite_url(path))
    migrate(state)
    assert {entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir()} == {0o600}
    state.close()
