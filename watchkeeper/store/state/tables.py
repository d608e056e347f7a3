"""The tables of the state database, the same on SQLite and PostgreSQL.

Times are milliseconds since the epoch (BigInteger); structures are JSON text; money never appears as a float.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from watchkeeper.clock import from_ms, to_ms


class Json(TypeDecorator[Any]):
    """A structure as compact JSON text; NaN is refused by JSON and kept as null."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else dump_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime as milliseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_ms(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_ms(value)


def dump_json(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(_finite(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "items"):
        return dict(value.items())
    return str(value)


#: 64-bit keys; SQLite numbers rows by itself only for INTEGER PRIMARY KEY.
SERIAL = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("correlation_id", String(64), nullable=False, server_default=""),
    Column("old_state", String(24), nullable=False),
    Column("new_state", String(24), nullable=False),
    Column("at", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("actor", String(80), nullable=False),
    Index(None, "kind", "subject_id"),
    Index(None, "correlation_id"),
    Index(None, "at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("group", String(200), nullable=False),
    Column("expr", Text, nullable=False),
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Column("state", String(24), nullable=False),
    Column("severity", String(2), nullable=False),
    Column("value", Float),
    Column("active_at", Moment, nullable=False),
    Column("fired_at", Moment),
    Column("resolved_at", Moment),
    Column("keep_firing_since", Moment),
    Column("last_evaluated_at", Moment),
    Column("incident_id", String(64), nullable=False),
    Column("correlation_id", String(64), nullable=False),
    Column("evidence", Json, nullable=False),
    Index(None, "state"),
    Index(None, "fingerprint"),
    Index(None, "incident_id"),
    Index(None, "active_at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("state", String(24), nullable=False),
    Column("severity", String(2), nullable=False),
    Column("title", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("labels", Json, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("acknowledged_at", Moment),
    Column("acknowledged_by", String(80), nullable=False),
    Column("mitigated_at", Moment),
    Column("resolved_at", Moment),
    Column("respond_by", Moment),
    Column("start_by", Moment),
    Column("alert_ids", Json, nullable=False),
    Column("correlation_id", String(64), nullable=False),
    Column("details", Json, nullable=False),
    Index(None, "state"),
    Index(None, "opened_at"),
)

actions = Table(
    "actions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("incident_id", String(64), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("state", String(24), nullable=False),
    Column("mode", String(12), nullable=False),
    Column("risk", String(2), nullable=False),
    Column("plan", Json, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("deadline_at", Moment),
    Column("requester", String(80), nullable=False),
    Column("correlation_id", String(64), nullable=False),
    Column("progress", Json, nullable=False),
    Index(None, "state"),
    Index(None, "incident_id"),
    Index(None, "idempotency_key"),
    Index(None, "created_at"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("action_id", String(64), nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("user", String(80), nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("action_id", "plan_hash", "user"),
)

intents = Table(
    "intents",
    metadata,
    Column("token", SERIAL, primary_key=True, autoincrement=True),
    Column("action_id", String(64), nullable=False),
    Column("operation", String(12), nullable=False),
    Column("idempotency_key", String(80), nullable=False, unique=True),
    Column("plan", Json, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("target", String(200), nullable=False),
    Column("committed_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("outcome", Json),
    Index(None, "action_id"),
    Index(None, "committed_at"),
    sqlite_autoincrement=True,
)

declarations = Table(
    "declarations",
    metadata,
    Column("rule", String(200), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("declared_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("fallen_at", Moment),
    Column("reason", Text, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("matchers", Json, nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("created_by", String(80), nullable=False),
    Column("comment", Text, nullable=False),
    Index(None, "ends_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("channel", String(80), nullable=False),
    Column("idempotency_key", String(80), nullable=False, unique=True),
    Column("state", String(12), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("message", Json, nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("next_attempt_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("possible_repeat", Boolean, nullable=False),
    Column("finished_at", Moment),
    Column("detail", Text, nullable=False),
    Index(None, "state", "next_attempt_at"),
    Index(None, "subject_id"),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("outbox_id", BigInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("mime", String(80), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index(None, "outbox_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", SERIAL, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(80), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", Json, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

forecasts = Table(
    "forecasts",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("issued_at", Moment, nullable=False),
    Column("payload", Json, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("language", String(10), nullable=False),
    Column("html", LargeBinary, nullable=False),
    Column("csv", LargeBinary, nullable=False),
    Index(None, "created_at"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(120), primary_key=True),
    Column("value", Json, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("role", String(10), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("language", String(10), nullable=False),
    Column("time_zone", String(60), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("user", String(80), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("authenticated_at", Moment, nullable=False),
    Index(None, "user"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("user", String(80), nullable=False),
    Column("role", String(10), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)

login_failures = Table(
    "login_failures",
    metadata,
    Column("account", String(80), primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
)
