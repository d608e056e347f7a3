"""What MySQL and MariaDB say of themselves, as readings under mysqld_exporter's names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .base import Reading
from .sql_server import number, rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: Words in place of numbers.
WORDS = {"on": 1.0, "yes": 1.0, "off": 0.0, "no": 0.0, "disabled": 0.0, "connecting": 0.0, "primary": 1.0}
WORDS |= {"non-primary": 0.0, "disconnected": 0.0, "preparing": 0.0}
#: Groups of status variables whose last part becomes a label: metric and label.
GROUPS = {
    "com": ("commands_total", "command"),
    "handler": ("handlers_total", "handler"),
    "connection_errors": ("connection_errors_total", "error"),
    "innodb_rows": ("innodb_row_ops_total", "operation"),
    "performance_schema": ("performance_schema_lost_total", "instrumentation"),
}
_GROUP = re.compile(rf"({'|'.join(GROUPS)})_(.+)")
_PAGES = "innodb_buffer_pool_pages_"
#: States of a page; what else begins so is a change of state.
PAGE_STATES = ("data", "free", "misc", "old")
#: MySQL 8 renamed the columns of replication; the metrics keep the names that rules and dashboards know.
RENAMED = (("replica", "slave"), ("source", "master"))
#: Statements of the digest, their columns, and what makes them base units (timers are picoseconds).
STATEMENT = {
    "events_statements_total": ("COUNT_STAR", 1.0),
    "events_statements_seconds_total": ("SUM_TIMER_WAIT", 1e-12),
    "events_statements_errors_total": ("SUM_ERRORS", 1.0),
    "events_statements_rows_sent_total": ("SUM_ROWS_SENT", 1.0),
    "events_statements_rows_examined_total": ("SUM_ROWS_EXAMINED", 1.0),
    "events_statements_no_index_used_total": ("SUM_NO_INDEX_USED", 1.0),
}


def is_mariadb(connection: Connection) -> bool:
    return bool(getattr(connection.dialect, "is_mariadb", False))


def status(connection: Connection) -> Iterator[Reading]:
    """SHOW GLOBAL STATUS: every variable that is a number, and those in groups by label."""
    for row in connection.exec_driver_sql("SHOW GLOBAL STATUS"):
        name, value = str(row[0]).lower(), _value(row[1])
        if value is not None:
            yield (*_status_name(name), value)


def variables(connection: Connection) -> Iterator[Reading]:
    """SHOW GLOBAL VARIABLES: limits and sizes; the version as labels."""
    said = {str(row[0]).lower(): str(row[1]) for row in connection.exec_driver_sql("SHOW GLOBAL VARIABLES")}
    keys = ("version", "version_comment", "innodb_version")
    yield ("mysql_version_info", tuple((key, said.get(key, "")) for key in keys), 1.0)
    for name, text in said.items():
        value = _value(text)
        if value is not None and re.fullmatch(r"[a-z0-9_]+", name):
            yield (f"mysql_global_variables_{name}", (), value)


def replica(connection: Connection) -> Iterator[Reading]:
    """Links to primaries, each by its channel; none on a server that is no replica."""
    for row in rows(connection, _replica_statement(connection)):
        said = {_old_name(column): value for column, value in row.items()}
        labels = tuple((key, str(said.get(key) or "")) for key in ("master_host", "channel_name", "connection_name"))
        for column, raw in said.items():
            value = _value(raw)
            if value is not None and column not in ("channel_name", "connection_name"):
                yield (f"mysql_slave_status_{column}", labels, value)


def transactions(connection: Connection) -> Iterator[Reading]:
    """Open InnoDB transactions and the age of the oldest; deadlocks where the counter is on."""
    (row,) = rows(
        connection,
        "SELECT COUNT(*) AS n, COALESCE(MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())), 0) AS oldest, "
        "COALESCE(SUM(trx_state = 'LOCK WAIT'), 0) AS waiting FROM information_schema.innodb_trx",
    )
    yield ("mysql_innodb_transactions", (), float(row["n"]))
    yield ("mysql_innodb_transactions_waiting", (), float(row["waiting"]))
    yield ("mysql_innodb_oldest_transaction_seconds", (), float(row["oldest"]))
    enabled = "enabled = 1" if is_mariadb(connection) else "status = 'enabled'"
    counted = f"SELECT name, `count` AS n FROM information_schema.innodb_metrics WHERE {enabled} AND "  # noqa: S608  # constants only
    for one in rows(connection, counted + "name IN ('lock_deadlocks', 'lock_timeouts')"):
        yield (f"mysql_info_schema_innodb_metrics_lock_{one['name']}_total", (), float(one["n"]))


def statements(connection: Connection, top: int) -> Iterator[Reading]:
    """The statements that took most time, without their values; none while performance_schema is off."""
    if not top or not connection.exec_driver_sql("SELECT @@performance_schema").scalar():
        return
    found = rows(
        connection,
        "SELECT SCHEMA_NAME, DIGEST, LEFT(DIGEST_TEXT, 120) AS TEXT, COUNT_STAR, SUM_TIMER_WAIT, SUM_ERRORS, "  # noqa: S608  # an int
        "SUM_ROWS_SENT, SUM_ROWS_EXAMINED, SUM_NO_INDEX_USED "
        "FROM performance_schema.events_statements_summary_by_digest WHERE DIGEST IS NOT NULL "
        f"ORDER BY SUM_TIMER_WAIT DESC LIMIT {top:d}",
    )
    for row in found:
        labels = (
            ("schema", str(row["SCHEMA_NAME"] or "NONE")),
            ("digest", str(row["DIGEST"])),
            ("digest_text", str(row["TEXT"])),
        )
        for metric, (column, scale) in STATEMENT.items():
            yield (f"mysql_perf_schema_{metric}", labels, float(row[column]) * scale)


def _status_name(name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Metric and labels of one status variable."""
    if name == f"{_PAGES}dirty":
        return "mysql_global_status_buffer_pool_dirty_pages", ()
    if name.startswith(_PAGES) and name != f"{_PAGES}total":
        rest = name.removeprefix(_PAGES)
        if rest in PAGE_STATES:
            return "mysql_global_status_buffer_pool_pages", (("state", rest),)
        return "mysql_global_status_buffer_pool_page_changes_total", (("operation", rest),)
    if found := _GROUP.fullmatch(name):
        metric, label = GROUPS[found[1]]
        return f"mysql_global_status_{metric}", ((label, found[2]),)
    return f"mysql_global_status_{name}", ()


def _replica_statement(connection: Connection) -> str:
    if is_mariadb(connection):
        return "SHOW ALL SLAVES STATUS"
    version = connection.dialect.server_version_info or ()
    return "SHOW REPLICA STATUS" if version >= (8, 0, 22) else "SHOW SLAVE STATUS"


def _old_name(column: str) -> str:
    name = column.lower()
    for new, old in RENAMED:
        name = name.replace(new, old)
    return re.sub(r"[^a-z0-9_]", "_", name)


def _value(raw: Any) -> float | None:
    """A number, or a word that stands for one."""
    if isinstance(raw, str) and raw.lower() in WORDS:
        return WORDS[raw.lower()]
    return number(raw)
