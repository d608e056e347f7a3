"""No row of the audit ever changes: the database itself refuses. The hash chain shows who got round it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

_MESSAGE = "the audit is append-only"
_REFUSE = f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"

_SQLITE = tuple(f"CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit {_REFUSE}" for verb in ("update", "delete"))
_FUNCTION = f"""
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$
"""
_TRIGGER = """
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()
"""
TRIGGERS = {"sqlite": _SQLITE, "postgresql": (_FUNCTION, _TRIGGER)}


def guard_audit(_target: Any, connection: Connection, **_more: Any) -> None:
    """Called after the table was made, by metadata or by a migration."""
    for statement in TRIGGERS[connection.dialect.name]:
        connection.execute(text(statement))
