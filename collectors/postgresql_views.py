"""What PostgreSQL's statistics views say, as readings under postgres_exporter's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .base import Reading
from .sql_server import columns, number, rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: Columns of pg_stat_database. The two times are milliseconds, as the view and the exporter have them.
DATABASE = dict.fromkeys(
    (
        *("numbackends", "xact_commit", "xact_rollback", "blks_read", "blks_hit", "tup_returned", "tup_fetched"),
        *("tup_inserted", "tup_updated", "tup_deleted", "conflicts", "temp_files", "temp_bytes", "deadlocks"),
        *("blk_read_time", "blk_write_time"),
    ),
    1.0,
)
WRITER = (
    *("checkpoints_timed", "checkpoints_req", "checkpoint_write_time", "checkpoint_sync_time", "buffers_checkpoint"),
    *("buffers_clean", "maxwritten_clean", "buffers_backend", "buffers_backend_fsync", "buffers_alloc"),
)
CHECKPOINTER = ("num_timed", "num_requested", "write_time", "sync_time", "buffers_written")
ARCHIVER = {"archived_count": 1.0, "failed_count": 1.0, "last_archive_age": 1.0}
TABLE = dict.fromkeys(("n_live_tup", "n_dead_tup", "seq_scan", "idx_scan", "last_autovacuum"), 1.0)
#: Tables of the connected database that are told, those with most dead rows first.
MAX_TABLES = 50
#: Units of pg_settings: suffix of the name, and what makes it a base unit.
UNITS = {
    "ms": ("seconds", 1e-3), "s": ("seconds", 1.0), "min": ("seconds", 60.0), "h": ("seconds", 3600.0),
    "d": ("seconds", 86400.0), "B": ("bytes", 1.0), "kB": ("bytes", 1024.0), "8kB": ("bytes", 8192.0),
    "16kB": ("bytes", 16384.0), "32kB": ("bytes", 32768.0), "MB": ("bytes", 1048576.0), "16MB": ("bytes", 16777216.0),
    "GB": ("bytes", 1073741824.0),
}  # fmt: skip


def server(connection: Connection) -> Iterator[Reading]:
    """Version as labels, and when the server started."""
    (row,) = rows(
        connection,
        "SELECT current_setting('server_version') AS version, "
        "extract(epoch FROM pg_postmaster_start_time())::float AS started",
    )
    version = str(row["version"])
    yield ("pg_static", (("version", version), ("short_version", version.partition(" ")[0])), 1.0)
    yield ("pg_postmaster_start_time_seconds", (), row["started"])


def databases(connection: Connection) -> Iterator[Reading]:
    """pg_stat_database, one row for each database."""
    for row in rows(connection, "SELECT * FROM pg_stat_database WHERE datname IS NOT NULL ORDER BY datid"):
        labels = (("datid", str(row["datid"])), ("datname", str(row["datname"])))
        yield from columns(row, "pg_stat_database_", labels, DATABASE)


def sizes(connection: Connection) -> Iterator[Reading]:
    """Bytes of the databases that the user may ask about (CONNECT or pg_monitor), and their age in transactions."""
    allowed = "has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')"
    ages = "age(datfrozenxid) AS age_datfrozenxid, mxid_age(datminmxid) AS age_datminmxid"
    sql = f"SELECT datname, datallowconn, {ages}, CASE WHEN {allowed} THEN pg_database_size(oid) END AS size "
    for row in rows(connection, f"{sql} FROM pg_database ORDER BY oid"):
        labels = (("datname", str(row["datname"])),)
        if (size := number(row["size"])) is not None:
            yield ("pg_database_size_bytes", labels, size)
        if row["datallowconn"]:
            for name in ("age_datfrozenxid", "age_datminmxid"):
                yield (f"pg_database_wraparound_{name}_seconds", labels, float(row[name]))


def settings(connection: Connection) -> Iterator[Reading]:
    """pg_settings in base units: max_connections, shared_buffers_bytes ..."""
    sql = "SELECT name, setting, coalesce(unit, '') AS unit, vartype FROM pg_settings "
    for row in rows(connection, f"{sql} WHERE vartype IN ('bool', 'integer', 'real') ORDER BY name"):
        suffix, scale = UNITS.get(row["unit"], ("", 1.0))
        value = float(row["setting"] == "on") if row["vartype"] == "bool" else number(row["setting"])
        if value is None or (row["unit"] and not suffix):
            continue  # a unit nobody knows: no value rather than one in the wrong unit
        name = "_".join(filter(None, ("pg_settings", row["name"].replace(".", "_"), suffix)))
        yield (name, (), value if value == -1 else value * scale)  # -1 means "not set", whatever the unit


def replication(connection: Connection) -> Iterator[Reading]:
    """Whether it is a replica, its lag, and whether it receives."""
    (row,) = rows(
        connection,
        "SELECT pg_is_in_recovery() AS replica, CASE WHEN NOT pg_is_in_recovery() THEN 0 "
        "WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 "
        "ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END::float AS lag, "
        "(SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming') AS receivers",
    )
    yield ("pg_replication_is_replica", (), float(row["replica"]))
    if row["lag"] is not None:
        yield ("pg_replication_lag_seconds", (), row["lag"])
    yield ("pg_stat_wal_receiver_streaming", (), float(row["receivers"]))


def standbys(connection: Connection) -> Iterator[Reading]:
    """Bytes that each standby and each slot is behind."""
    here = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
    behind = f"pg_wal_lsn_diff({here}, replay_lsn)::float AS n"
    sql = f"SELECT application_name, host(client_addr) AS client_addr, state, {behind}"
    for row in rows(connection, f"{sql} FROM pg_stat_replication ORDER BY pid"):
        if row["n"] is not None:
            labels = tuple((key, str(row[key] or "")) for key in ("application_name", "client_addr", "state"))
            yield ("pg_stat_replication_pg_wal_lsn_diff", labels, row["n"])
    sql = f"SELECT slot_name, database, active, pg_wal_lsn_diff({here}, restart_lsn)::float AS n "
    for row in rows(connection, f"{sql} FROM pg_replication_slots ORDER BY slot_name"):
        labels = (("slot_name", str(row["slot_name"])), ("database", str(row["database"] or "")))
        yield ("pg_replication_slots_active", labels, float(row["active"]))
        if row["n"] is not None:
            yield ("pg_replication_slots_pg_wal_lsn_diff", labels, row["n"])


def locks(connection: Connection) -> Iterator[Reading]:
    """Locks held and waited for, by database and mode."""
    sql = "SELECT d.datname, lower(l.mode) AS mode, count(*) AS n, count(*) FILTER (WHERE NOT l.granted) AS waiting "
    sql += "FROM pg_locks l JOIN pg_database d ON d.oid = l.database GROUP BY 1, 2 ORDER BY 1, 2"
    found = rows(connection, sql)
    for row in found:
        yield ("pg_locks_count", (("datname", str(row["datname"])), ("mode", row["mode"])), float(row["n"]))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"  # waits for a transaction belong to no database
    yield ("pg_locks_waiting_count", (), float(connection.exec_driver_sql(waiting).scalar_one()))


def activity(connection: Connection) -> Iterator[Reading]:
    """Sessions and their longest transaction, by database and state."""
    longest = "coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float AS longest"
    sql = f"SELECT datname, state, count(*) AS n, {longest}"
    for row in rows(connection, f"{sql} FROM pg_stat_activity WHERE datname IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"):
        labels = (("datname", str(row["datname"])), ("state", str(row["state"] or "unknown")))
        yield ("pg_stat_activity_count", labels, float(row["n"]))
        yield ("pg_stat_activity_max_tx_duration", labels, row["longest"])


def writing(connection: Connection) -> Iterator[Reading]:
    """Checkpoints, the background writer and the archiver."""
    (row,) = rows(connection, "SELECT * FROM pg_stat_bgwriter")
    yield from columns(_totals(row, WRITER), "pg_stat_bgwriter_", (), {f"{name}_total": 1.0 for name in WRITER})
    if (connection.dialect.server_version_info or ()) >= (17,):
        (row,) = rows(connection, "SELECT * FROM pg_stat_checkpointer")
        names = {f"{name}_total": 1.0 for name in CHECKPOINTER}
        yield from columns(_totals(row, CHECKPOINTER), "pg_stat_checkpointer_", (), names)
    age = "extract(epoch FROM now() - last_archived_time)::float AS last_archive_age"
    (row,) = rows(connection, f"SELECT archived_count, failed_count, {age} FROM pg_stat_archiver")  # noqa: S608  # constants only
    yield from columns(row, "pg_stat_archiver_", (), ARCHIVER)


def tables(connection: Connection) -> Iterator[Reading]:
    """Rows and scans of the tables with most dead rows, of the connected database."""
    sql = "SELECT current_database() AS datname, schemaname, relname, n_live_tup, n_dead_tup, seq_scan, idx_scan, "
    sql += "extract(epoch FROM last_autovacuum)::float AS last_autovacuum FROM pg_stat_user_tables "
    for row in rows(connection, f"{sql} ORDER BY n_dead_tup DESC, relid LIMIT {MAX_TABLES}"):
        labels = tuple((key, str(row[key])) for key in ("datname", "schemaname", "relname"))
        yield from columns(row, "pg_stat_user_tables_", labels, TABLE)


def statements(connection: Connection, top: int) -> Iterator[Reading]:
    """The costliest statements by their number, where the extension is installed in the connected database."""
    if not top or not connection.exec_driver_sql("SELECT to_regclass('pg_stat_statements') IS NOT NULL").scalar():
        return
    time = "total_exec_time" if (connection.dialect.server_version_info or ()) >= (13,) else "total_time"
    sums = f"sum(s.calls) AS calls, sum(s.{time}) / 1000 AS seconds, sum(s.rows) AS n"
    sql = f"SELECT pg_get_userbyid(s.userid) AS usename, d.datname, s.queryid, {sums} FROM pg_stat_statements s"  # noqa: S608  # constants only
    sql += " JOIN pg_database d ON d.oid = s.dbid WHERE s.queryid IS NOT NULL"
    for row in rows(connection, f"{sql} GROUP BY 1, 2, 3 ORDER BY seconds DESC LIMIT {top:d}"):
        labels = (("user", str(row["usename"])), ("datname", str(row["datname"])), ("queryid", str(row["queryid"])))
        yield ("pg_stat_statements_calls_total", labels, float(row["calls"]))
        yield ("pg_stat_statements_seconds_total", labels, float(row["seconds"]))
        yield ("pg_stat_statements_rows_total", labels, float(row["n"]))


def _totals(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Counters under names that end in ``_total``; what this version does not have is left out."""
    return {f"{name}_total": row[name] for name in names if name in row}
