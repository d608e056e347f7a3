"""Other people's databases: read-only sessions with a time limit, and errors that keep the password."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .credentials import tls_context

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

#: Databases whose time limits and read-only transactions are known here, and the family each belongs to.
FAMILIES = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
#: SQLite calls the progress handler once in so many steps of its virtual machine.
SQLITE_STEPS = 10_000
#: What drivers raise over bytes that are no answer; OSError where they wait for a socket that they closed over one.
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    struct.error,
)
#: Words by which the databases say that a statement took too long.
SLOW = ("interrupted", "statement timeout", "execution time", "timed out")


def parse_url(text: str) -> URL:
    """The SQLAlchemy URL of a known kind of database. Raises ValueError without repeating the URL."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError("url is no SQLAlchemy URL") from None
    if url.get_backend_name() not in FAMILIES:
        raise ValueError(f"url must be of {', '.join(FAMILIES)}")
    return url


class Database:
    """One database, read-only, one session at a time. ``timeout`` (seconds) is for connecting and each statement.

    ``max_bytes``: of MySQL, all answers of a session together, which then ends after ``timeout`` as a whole.
    ``tls``: the server's certificate must be good, by ``ca_file`` or the system's authorities.
    """

    def __init__(self, url: URL, timeout: float, *, max_bytes: int = 0, tls: bool = False, ca_file: str = "") -> None:
        self.kind = FAMILIES[url.get_backend_name()]
        self._url, self._timeout = read_only(url), timeout
        self._max_bytes, self._tls, self._ca_file = max_bytes, tls, ca_file
        self._engine: Engine | None = None
        self._until = 0.0  #: when the statement under way has taken too long, for SQLite, which knows no limit

    @contextmanager
    def session(self, time_zone: str = "") -> Iterator[Connection]:
        """A connection on which nothing can be changed. ``time_zone``: how the server reads times without one."""
        with self._connect().connect() as connection:
            lift = self._limit(connection, time_zone)
            try:
                yield connection
            finally:
                lift()
                connection.rollback()

    def extend(self) -> None:
        """Another statement follows in the same session: it has the whole time limit again."""
        self._until = time.monotonic() + self._timeout

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine = None

    def said(self, error: Any) -> tuple[str, str]:
        """(the driver's own first line without the password should it be in there, reason: timeout or query)."""
        line = (str(error.orig).splitlines() or [""])[0][:200]
        for secret in filter(None, (self._url.password, self._url.render_as_string(hide_password=False))):
            line = line.replace(str(secret), "***")
        slow = any(word in line.lower() for word in SLOW)
        return line, "timeout" if slow else "query"

    def _connect(self) -> Engine:
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool

        if self._engine is None:
            arguments = self._arguments() | (self._tls_arguments() if self._tls else {})
            engine = create_engine(self._url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
            if self.kind == "mysql" and self._max_bytes:
                event.listen(engine, "do_connect", self._bounded)
            self._engine = engine
        return self._engine

    def _arguments(self) -> dict[str, Any]:
        seconds = max(1, round(self._timeout))
        if self.kind == "sqlite":
            return {"timeout": self._timeout}
        if self.kind == "postgresql":
            return {"connect_timeout": max(2, seconds), "application_name": "watchkeeper"}
        return {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}

    def _tls_arguments(self) -> dict[str, Any]:
        if self.kind == "postgresql":
            return {"sslmode": "verify-full", "sslrootcert": self._ca_file or "system"}
        return {"ssl": tls_context(self._ca_file)}

    def _bounded(self, _dialect: object, _record: object, args: list[Any], options: dict[str, Any]) -> Any:
        from .mysql_wire import BoundedConnection

        return BoundedConnection(*args, max_bytes=self._max_bytes, seconds=self._timeout, **options)

    def _limit(self, connection: Connection, time_zone: str) -> Callable[[], None]:
        """Make the session read-only and its statements short-lived; answers what undoes it."""
        milliseconds = max(1, round(self._timeout * 1000))
        if self.kind == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
            if time_zone:
                connection.exec_driver_sql("SELECT set_config('TimeZone', %(zone)s, true)", {"zone": time_zone})
        elif self.kind == "mysql":
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            limit = f"max_statement_time = {milliseconds / 1000}" if _is_mariadb(connection) else ""
            connection.exec_driver_sql(f"SET SESSION {limit or f'MAX_EXECUTION_TIME = {milliseconds}'}")
            if time_zone == "UTC":
                connection.exec_driver_sql("SET SESSION time_zone = '+00:00'")
            connection.rollback()  # the setting holds from the next transaction on
        else:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            raw: Any = connection.connection.driver_connection
            self.extend()
            raw.set_progress_handler(lambda: time.monotonic() > self._until, SQLITE_STEPS)
            return lambda: raw.set_progress_handler(None, 0)
        return lambda: None


def _is_mariadb(connection: Connection) -> bool:
    """What answers a mysql:// address may be MariaDB, which has a limit of its own, in seconds."""
    return bool(getattr(connection.dialect, "is_mariadb", False))


def read_only(url: URL) -> URL:
    """A SQLite file is opened as it is or not at all: without ``mode=ro`` a wrong path would make an empty one."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return url
    return url.set(database=f"file:{quote(path)}").update_query_dict({"mode": "ro", "uri": "true"})
