"""The tables of the state database, the same on SQLite and PostgreSQL.

Times are milliseconds since the epoch, structures JSON text (columns.py); money never appears as a float. Text from
outside has no length: SQLite would never check one, PostgreSQL always, and a hostile label must not tell them apart.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    event,
)

from watchkeeper.store.state.append_only import guard_audit
from watchkeeper.store.state.columns import SERIAL, Json, Moment, Words, dump_json

__all__ = ["dump_json", "metadata"]

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
    Column("name", Words, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("subject_id", Words, nullable=False),
    Column("correlation_id", String(64), nullable=False, server_default=""),
    Column("old_state", String(24), nullable=False),
    Column("new_state", String(24), nullable=False),
    Column("at", Moment, nullable=False),
    Column("reason", Words, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("actor", Words, nullable=False),
    Index(None, "kind", "subject_id"),
    Index(None, "correlation_id"),
    Index(None, "at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("rule", Words, nullable=False),
    Column("group", Words, nullable=False),
    Column("expr", Words, nullable=False),
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
    Column("title", Words, nullable=False),
    Column("group_key", Words, nullable=False),
    Column("labels", Json, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("acknowledged_at", Moment),
    Column("acknowledged_by", Words, nullable=False),
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
    Column("rule", Words, nullable=False),
    Column("state", String(24), nullable=False),
    Column("mode", String(12), nullable=False),
    Column("risk", String(2), nullable=False),
    Column("plan", Json, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("idempotency_key", Words, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("deadline_at", Moment),
    Column("requester", Words, nullable=False),
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
    Column("user", Words, nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("reason", Words, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("action_id", "plan_hash", "user"),
)

intents = Table(
    "intents",
    metadata,
    Column("token", SERIAL, primary_key=True, autoincrement=True),
    Column("action_id", String(64), nullable=False),
    Column("operation", String(12), nullable=False),
    Column("idempotency_key", Words, nullable=False, unique=True),
    Column("plan", Json, nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("target", Words, nullable=False),
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
    Column("rule", Words, primary_key=True),
    Column("owner", Words, nullable=False),
    Column("declared_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("fallen_at", Moment),
    Column("reason", Words, nullable=False),
)

plan_runs = Table(
    "plan_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("key", Words, nullable=False, unique=True),
    Column("plan", Words, nullable=False),
    Column("incident_id", String(64), nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("state", String(24), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("run", Json, nullable=False),
    Index(None, "state"),
    Index(None, "incident_id"),
    Index(None, "started_at"),
)

plan_evidence = Table(
    "plan_evidence",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("moment", String(12), primary_key=True),  # start, end
    Column("at", Moment, nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON, gzip
)

silences = Table(
    "silences",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("matchers", Json, nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("created_by", Words, nullable=False),
    Column("comment", Words, nullable=False),
    Index(None, "ends_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("channel", Words, nullable=False),
    Column("idempotency_key", Words, nullable=False, unique=True),
    Column("state", String(12), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("message", Json, nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("correlation_id", String(64), nullable=False, server_default=""),
    Column("created_at", Moment, nullable=False),
    Column("next_attempt_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("possible_repeat", Boolean, nullable=False),
    Column("finished_at", Moment),
    Column("detail", Words, nullable=False),
    Index(None, "state", "next_attempt_at"),
    Index(None, "subject_id"),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("outbox_id", BigInteger, nullable=False),
    Column("name", Words, nullable=False),
    Column("mime", Words, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index(None, "outbox_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", SERIAL, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("detail", Json, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
event.listen(audit, "after_create", guard_audit)

forecasts = Table(
    "forecasts",
    metadata,
    Column("key", Words, primary_key=True),
    Column("issued_at", Moment, nullable=False),
    Column("payload", Json, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("language", String(10), nullable=False),
    Column("html", LargeBinary, nullable=False),
    Column("csv", LargeBinary, nullable=False),
    Index(None, "created_at"),
)

kpi_values = Table(
    "kpi_values",
    metadata,
    Column("kpi", Words, primary_key=True),
    Column("period", String(8), primary_key=True),  # hour, day, week, month
    Column("start", Moment, primary_key=True),
    Column("value", Words),  # decimal text: money is never a float; NULL is not known
    Column("finished", Boolean, nullable=False),
    Column("revisions", Integer, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

kpi_forecasts = Table(
    "kpi_forecasts",
    metadata,
    Column("kpi", Words, primary_key=True),
    Column("period", String(8), primary_key=True),
    Column("made_at", Moment, primary_key=True),
    Column("target", Moment, primary_key=True),  # start of the period that was forecast
    Column("step", Integer, nullable=False),
    Column("quantiles", Json, nullable=False),
    Column("naive", Float),
    Column("scale", Float),
    Column("method", Words, nullable=False),
    Index(None, "kpi", "target"),
)

cost_files = Table(
    "cost_files",
    metadata,
    Column("source", Words, primary_key=True),
    Column("file", Words, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Column("imported_at", Moment, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("bad_rows", Integer, nullable=False),
    Column("bad", Json, nullable=False),
    Column("periods", Json, nullable=False),
)

charges = Table(
    "charges",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("source", Words, nullable=False),
    Column("file", Words, nullable=False),
    Column("period", Words, nullable=False),
    Column("day", String(10), nullable=False),  # ISO date on the bill's own calendar
    Column("provider", Words, nullable=False),
    Column("service", Words, nullable=False),
    Column("sku", Words, nullable=False),
    Column("category", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("tags", Json, nullable=False),
    Column("billed", Words, nullable=False),  # decimal text
    Column("effective", Words, nullable=False),  # decimal text
    Column("quantity", Words),  # decimal text
    Column("unit", Words, nullable=False),
    Index(None, "source", "file"),
)

events = Table(
    "events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("status", String(12), nullable=False),
    Column("service", Words, nullable=False),
    Column("environment", Words, nullable=False),
    Column("start", Moment, nullable=False),
    Column("end", Moment),
    Column("title", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("actor", Words, nullable=False),
    Column("link", Words, nullable=False),
    Column("labels", Json, nullable=False),
    Column("source", Words, nullable=False),
    Column("delivery", Words, nullable=False),
    Column("payload", Json, nullable=False),
    Column("received_at", Moment, nullable=False),
    UniqueConstraint("source", "delivery"),
    Index(None, "start"),
    Index(None, "kind", "service"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("alarm", Words, nullable=False),
    Column("incident", Words, nullable=False),
    Column("detector", Words, nullable=False),
    Column("service", Words, nullable=False),
    Column("labels", Json, nullable=False),
    Column("opinion", String(10), nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("raised_at", Moment, nullable=False),
    Column("note", Words, nullable=False),
    Column("actor", Words, nullable=False),
    Column("at", Moment, nullable=False),
    Column("undone_at", Moment),
    Column("undone_by", Words, nullable=False),
    Index(None, "alarm"),
    Index(None, "at"),
)

expectations = Table(
    "expectations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("feedback", String(64), nullable=False),
    Column("mark", String(64), nullable=False),
    Column("title", Words, nullable=False),
    Column("labels", Json, nullable=False),
    Column("minute", Integer, nullable=False),  # of the week, on the clocks of the zone
    Column("zone", Words, nullable=False),
    Column("length_seconds", Float, nullable=False),
    Column("change", Float),
    Column("created_at", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("actor", Words, nullable=False),
    Column("undone_at", Moment),
    Column("undone_by", Words, nullable=False),
    Index(None, "until"),
)

threshold_moves = Table(
    "threshold_moves",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("detector", Words, nullable=False),
    Column("service", Words, nullable=False),
    Column("metric", Words, nullable=False),  # empty: every metric of the service
    Column("old", Float, nullable=False),
    Column("new", Float, nullable=False),
    Column("why", Words, nullable=False),
    Column("actor", Words, nullable=False),
    Column("at", Moment, nullable=False),
    Column("feedback", String(64), nullable=False),
    Column("undone_at", Moment),
    Column("undone_by", Words, nullable=False),
    Index(None, "at"),
)

recorded_incidents = Table(
    "recorded_incidents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("service", Words, nullable=False),
    Column("what", Words, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("found", Json, nullable=False),  # detector -> when it raised an alarm
    Column("actor", Words, nullable=False),
    Column("at", Moment, nullable=False),
    Column("undone_at", Moment),
    Column("undone_by", Words, nullable=False),
    Index(None, "at"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", Words, primary_key=True),
    Column("value", Json, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("holder", Words, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),  # the database's own clock, never ours
)

users = Table(
    "users",
    metadata,
    Column("name", Words, primary_key=True),
    Column("role", String(12), nullable=False),
    Column("password_hash", Words, nullable=False),
    Column("language", String(10), nullable=False),
    Column("time_zone", Words, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("user", Words, nullable=False),
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
    Column("name", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("role", String(12), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)

login_failures = Table(
    "login_failures",
    metadata,
    Column("account", Words, primary_key=True),
    Column("source", Words, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
)
