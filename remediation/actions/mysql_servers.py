"""MariaDB and MySQL servers of a replication group: what each says of itself, and the statements each understands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from watchkeeper.errors import ActionError

from . import said

#: Address of a server: host:port.
ADDRESS = re.compile(r"[A-Za-z0-9._:\[\]-]+:[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One product's statements."""

    status: str
    source: str  #: columns of the status are this or that: Master_Host, Source_Host
    thread: str  #: Slave_IO_Running, Replica_IO_Running
    behind: str
    position: str  #: what the server has written, all of it
    wait: str  #: 0 once it is applied here, with a position and seconds
    received: str  #: column of the status: what has come, applied or not
    stop: str
    forget: str
    follow: str
    start: str
    freeze: tuple[str, ...]
    thaw: tuple[str, ...]
    semi: str  #: variable that is ON while this replica acknowledges before the source commits


MARIADB = Words(
    status="SHOW SLAVE STATUS",
    source="Master",
    thread="Slave",
    behind="Seconds_Behind_Master",
    position="SELECT @@gtid_binlog_pos",
    wait="SELECT MASTER_GTID_WAIT(%s, %s)",
    received="Gtid_IO_Pos",
    stop="STOP SLAVE",
    forget="RESET SLAVE ALL",
    follow="CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER=%s, MASTER_PASSWORD=%s, "
    "MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=current_pos",
    start="START SLAVE",
    freeze=("SET GLOBAL read_only = 1",),
    thaw=("SET GLOBAL read_only = 0",),
    semi="Rpl_semi_sync_slave_status",
)
MYSQL = Words(
    status="SHOW REPLICA STATUS",
    source="Source",
    thread="Replica",
    behind="Seconds_Behind_Source",
    position="SELECT @@gtid_executed",
    wait="SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)",
    received="Retrieved_Gtid_Set",
    stop="STOP REPLICA",
    forget="RESET REPLICA ALL",
    follow="CHANGE REPLICATION SOURCE TO SOURCE_HOST=%s, SOURCE_PORT=%s, SOURCE_USER=%s, SOURCE_PASSWORD=%s, "
    "SOURCE_CONNECT_RETRY=1, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1",
    start="START REPLICA",
    freeze=("SET GLOBAL super_read_only = 1",),
    thaw=("SET GLOBAL super_read_only = 0", "SET GLOBAL read_only = 0"),
    semi="Rpl_semi_sync_replica_status",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server as it is now."""

    read_only: bool
    source: str  #: host:port it follows; empty: nobody
    receives: bool
    applies: bool
    behind: float | None  #: seconds; None: not known
    received: str
    acknowledges: bool


class Connection:
    """One server, one statement at a time. Every statement is bounded in time by the driver."""

    def __init__(self, name: str, connection: Any) -> None:
        self._name, self._connection = name, connection
        self.words = MARIADB if "MariaDB" in str(connection.get_server_info()) else MYSQL

    def ask(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows; raises ActionError, unknown because the statement may have been obeyed."""
        import pymysql

        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return [dict(row) for row in cursor.fetchall()]
        except pymysql.MySQLError as error:
            word = sql.split(maxsplit=1)[0]
            raise said.refused(self._name, word, error.args[-1] if error.args else "", unknown=True) from None

    def value(self, sql: str, *values: object) -> Any:
        rows = self.ask(sql, *values)
        return next(iter(rows[0].values())) if rows else None

    def server(self) -> Server:
        words = self.words
        rows = self.ask(words.status)
        row: Mapping[str, Any] = rows[0] if rows else {}
        host, port = row.get(f"{words.source}_Host", ""), row.get(f"{words.source}_Port", "")
        behind = row.get(words.behind)
        semi = self.ask("SHOW GLOBAL STATUS LIKE %s", words.semi)
        return Server(
            read_only=bool(self.value("SELECT @@global.read_only")),
            source=f"{host}:{port}" if host else "",
            receives=row.get(f"{words.thread}_IO_Running") == "Yes",
            applies=row.get(f"{words.thread}_SQL_Running") == "Yes",
            behind=float(behind) if behind is not None else None,
            received=str(row.get(words.received) or ""),
            acknowledges=any(str(each.get("Value")) == "ON" for each in semi),
        )


@contextmanager
def connected(name: str, address: str, user: str, password: str, timeout: float) -> Iterator[Connection]:
    """Raises ActionError when it cannot be reached: nothing was done then."""
    import pymysql

    host, _, port = address.rpartition(":")
    try:
        connection = pymysql.connect(
            host=host.strip("[]"),
            port=int(port),
            user=user,
            password=password,
            connect_timeout=max(1, int(timeout)),
            read_timeout=timeout,
            write_timeout=timeout,
            autocommit=True,
            cursorclass=pymysql.cursors.DictCursor,
        )
    except (pymysql.MySQLError, OSError) as error:
        raise said.unreachable(name, error.args[-1] if error.args else error) from None
    try:
        yield Connection(name, connection)
    except ActionError:
        raise
    finally:
        connection._force_close()  # type: ignore[attr-defined]  # close() says goodbye to what may be silent
