"""Brings a state database to the present schema, step by numbered step, in one transaction.

A new step is a file in ``versions/`` that names the step before it; ``tests/unit/store/state`` compares the result
with ``tables.py``.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from watchkeeper.errors import StoreError
from watchkeeper.store.state.database import State


def migrate(state: State) -> str:
    """Make or bring up the schema and return its revision; doing it again changes nothing."""
    config = _config()
    script = ScriptDirectory.from_config(config)
    newest = str(script.get_current_head())
    with state.begin() as unit:
        connection = unit.connection
        if not state.is_sqlite:  # engines started together take turns
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('watchkeeper.migrate'))"))
        found = MigrationContext.configure(connection).get_current_revision()
        if found == newest:
            return newest
        if found is None and inspect(connection).has_table("audit"):
            raise StoreError("the state database has tables but no revision: it was not made by Watchkeeper")
        if found is not None and found not in {step.revision for step in script.walk_revisions()}:
            raise StoreError(f"the state database has revision {found}, which only a newer Watchkeeper knows; upgrade")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return newest


def revision(state: State) -> str | None:
    """The revision of the database, None for an empty one."""
    with state.read() as unit:
        return MigrationContext.configure(unit.connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "watchkeeper.store.state:migrations")
    config.set_main_option("path_separator", "os")
    return config
