"""Figures out of other people's databases, by read-only queries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import URL, Connection, Engine

#: Databases whose time limits and read-only transactions are known here.
DIALECTS = ("sqlite", "postgresql", "mysql")
#: SQLite calls the progress handler once in so many steps of its virtual machine.
SQLITE_STEPS = 10_000


@dataclass(kw_only=True, config=STRICT)
class Query:
    """One statement: each value column becomes a metric, each label column a label."""

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")  #: metric name; with several columns name_column
    sql: str
    values: list[str] = Field(min_length=1)  #: columns with numbers; NULL is no sample
    labels: list[str] = field(default_factory=list)  #: columns that tell the rows apart; NULL is no label


@dataclass(kw_only=True, config=STRICT)
class SqlQuery:
    """The rows of each query as series; a query that fails is counted and its series go stale.

    Good for: queue depths, replication lag, business figures. Not for: bulk export. Statements run in read-only
    transactions with a time limit.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    url: SecretStr  #: SQLAlchemy URL: sqlite:////path, postgresql+psycopg://..., mysql+pymysql://...
    queries: list[Query] = Field(min_length=1)
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for one statement, and for connecting
    max_rows: int = Field(default=10_000, gt=0)  #: rows of one query; further ones are refused and counted
    sample_limit: int = Field(default=100_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    instance: str = ""  #: instance label; host:port/database of the URL when empty

    def __post_init__(self) -> None:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.url.get_secret_value())
        except ArgumentError:
            raise ValueError("url is no SQLAlchemy URL") from None
        if url.get_backend_name() not in DIALECTS:
            raise ValueError(f"url must be of {', '.join(DIALECTS)}")
        host = f"{url.host}:{url.port}/" if url.host and url.port else f"{url.host}/" if url.host else ""
        where = f"{host}{url.database or ''}"
        self.target_labels = target_labels(self.name, self.labels, instance=self.instance, default_instance=where)
        self._url = _read_only(url)
        self._engine: Engine | None = None
        self._sheet = Sheet(f"sql_query/{self.name}", self.target_labels, limit=self.sample_limit)
        self._running: asyncio.Task[Collected] | None = None

    @property
    def bound(self) -> float:
        """Seconds for connecting and all statements together."""
        return self.timeout * (len(self.queries) + 1)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # databases, no HTTP
        if self._running is not None and not self._running.done():
            raise CollectError("the last reading has not come back", reason="timeout")
        self._running = asyncio.create_task(asyncio.to_thread(self._read, now))
        done, _ = await asyncio.wait({self._running}, timeout=self.bound)
        if not done:
            raise CollectError(f"no answer within {self.bound:g} s", reason="timeout")
        return self._running.result()

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        if self._engine is not None:
            await asyncio.to_thread(self._engine.dispose)
        self._engine = None

    def _read(self, now: datetime) -> Collected:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        readings: list[Reading] = []
        rejected: dict[str, int] = {}
        failures: list[CollectError] = []
        for query in self.queries:
            try:
                frame = self._frame(query, rejected)
                readings.extend(_rows(query, frame, rejected))
            except DBAPIError as error:
                failures.append(self._failure(query, error))
            except SQLAlchemyError as error:
                failures.append(CollectError(f"query {query.name}: {type(error).__name__}", reason="query"))
            except CollectError as error:
                failures.append(error)
            failed = bool(failures) and failures[-1].args[0].startswith(f"query {query.name}:")
            readings.append(("watchkeeper_query_success", (("query", query.name),), float(not failed)))
        if len(failures) == len(self.queries):
            raise failures[0]
        tick = self._sheet.tick(now, readings)
        for reason, count in self._sheet.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
        return Collected(ticks=[tick], rejected=rejected)

    def _frame(self, query: Query, rejected: dict[str, int]) -> pd.DataFrame:
        """The rows of one query, up to the limit, as the driver's own values."""
        import pandas as pd
        from sqlalchemy import text

        with self._connect().connect() as connection:
            lift = self._limit(connection)
            try:
                result = connection.execute(text(query.sql))
                if not result.returns_rows:
                    raise CollectError(f"query {query.name}: the statement gives no rows", reason="query")
                columns = list(result.keys())
                rows = [tuple(row) for row in result.fetchmany(self.max_rows + 1)]
            finally:
                lift()
                connection.rollback()
        missing = [column for column in (*query.values, *query.labels) if column not in columns]
        if missing:
            raise CollectError(f"query {query.name}: no column {', '.join(missing)}", reason="query")
        if len(rows) > self.max_rows:
            rejected["max_rows"] = rejected.get("max_rows", 0) + 1
        return pd.DataFrame(rows[: self.max_rows], columns=columns, dtype=object)

    def _connect(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        if self._engine is None:
            seconds = max(1, round(self.timeout))
            arguments = {
                "sqlite": {"timeout": self.timeout},
                "postgresql": {"connect_timeout": max(2, seconds), "application_name": "watchkeeper"},
                "mysql": {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds},
            }[self._url.get_backend_name()]
            self._engine = create_engine(self._url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
        return self._engine

    def _limit(self, connection: Connection) -> Callable[[], None]:
        """Make the session read-only and its statements short-lived; answers what undoes it."""
        milliseconds = max(1, round(self.timeout * 1000))
        kind = self._url.get_backend_name()
        if kind == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        elif kind == "mysql":
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET SESSION MAX_EXECUTION_TIME = {milliseconds}")
            connection.rollback()  # the setting holds from the next transaction on
        else:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            raw: Any = connection.connection.driver_connection
            until = time.monotonic() + self.timeout
            raw.set_progress_handler(lambda: time.monotonic() > until, SQLITE_STEPS)
            return lambda: raw.set_progress_handler(None, 0)
        return lambda: None

    def _failure(self, query: Query, error: Any) -> CollectError:
        """The driver's own first line, without the password should it be in there."""
        said = (str(error.orig).splitlines() or [""])[0][:200]
        for secret in filter(None, (self._url.password, self.url.get_secret_value())):
            said = said.replace(str(secret), "***")
        slow = any(word in said.lower() for word in ("interrupted", "statement timeout", "execution time", "timed out"))
        return CollectError(f"query {query.name}: {said}", reason="timeout" if slow else "query")


def _read_only(url: URL) -> URL:
    """A SQLite file is opened as it is or not at all: without ``mode=ro`` a wrong path would make an empty one."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return url
    return url.set(database=f"file:{quote(path)}").update_query_dict({"mode": "ro", "uri": "true"})


def _rows(query: Query, frame: pd.DataFrame, rejected: dict[str, int]) -> list[Reading]:
    """Numbers only: a NULL is no sample, a text that is no number is refused and counted."""
    import pandas as pd

    readings: list[Reading] = []
    owns = [
        tuple((label, str(value)) for label, value in zip(query.labels, row, strict=True) if not pd.isna(value))
        for row in frame[query.labels].itertuples(index=False, name=None)
    ] or [() for _ in range(len(frame))]
    for column in query.values:
        known = frame[column].map(lambda value: value is not None)
        numbers = pd.to_numeric(frame[column], errors="coerce").astype(float)
        said_nan = frame[column].map(lambda value: isinstance(value, float) and value != value)
        wrong = known & numbers.isna() & ~said_nan
        if wrong.any():
            rejected["type"] = rejected.get("type", 0) + int(wrong.sum())
        name = query.name if len(query.values) == 1 else f"{query.name}_{column}"
        good = (known & ~wrong).tolist()
        readings += [(name, own, float(value)) for own, value, keep in zip(owns, numbers, good, strict=True) if keep]
    return readings
