"""Figures out of other people's databases, by read-only queries."""

from __future__ import annotations

import asyncio
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels
from .database import UNREADABLE, Database, parse_url
from .one_thread import OneThread

if TYPE_CHECKING:
    import pandas as pd


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
    url: SecretStr  #: SQLAlchemy URL: sqlite:////path, postgresql+psycopg://..., mysql+pymysql://... (MariaDB too)
    queries: list[Query] = Field(min_length=1)
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for one statement, and for connecting
    max_rows: int = Field(default=10_000, gt=0)  #: rows of one query; further ones are refused and counted
    sample_limit: int = Field(default=100_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    instance: str = ""  #: instance label; host:port/database of the URL when empty

    def __post_init__(self) -> None:
        url = parse_url(self.url.get_secret_value())
        host = f"{url.host}:{url.port}/" if url.host and url.port else f"{url.host}/" if url.host else ""
        where = f"{host}{url.database or ''}"
        self.target_labels = target_labels(self.name, self.labels, instance=self.instance, default_instance=where)
        self._database = Database(url, self.timeout)
        self._sheet = Sheet(f"sql_query/{self.name}", self.target_labels, limit=self.sample_limit)
        self._thread = OneThread()
        self.problems: dict[str, str] = {}  #: query -> why it brought nothing, in the last reading

    @property
    def bound(self) -> float:
        """Seconds for connecting and all statements together."""
        return self.timeout * (len(self.queries) + 1)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # databases, no HTTP
        return await self._thread.run(lambda: self._read(now), self.bound)

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        await asyncio.to_thread(self._database.close)

    def _read(self, now: datetime) -> Collected:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        readings: list[Reading] = []
        rejected: dict[str, int] = {}
        problems: dict[str, CollectError] = {}
        for query in self.queries:
            try:
                frame = self._frame(query, rejected)
                readings.extend(_rows(query, frame, rejected))
            except DBAPIError as error:
                problems[query.name] = self._failure(query, error)
            except SQLAlchemyError as error:
                problems[query.name] = CollectError(f"query {query.name}: {type(error).__name__}", reason="query")
            except CollectError as error:
                problems[query.name] = error
            readings.append(("watchkeeper_query_success", (("query", query.name),), float(query.name not in problems)))
        self.problems = {name: str(error).removeprefix(f"query {name}: ") for name, error in problems.items()}
        if len(problems) == len(self.queries):
            raise next(iter(problems.values()))
        tick = self._sheet.tick(now, readings)
        for reason, count in self._sheet.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
        return Collected(ticks=[tick], rejected=rejected)

    def _frame(self, query: Query, rejected: dict[str, int]) -> pd.DataFrame:
        """The rows of one query, up to the limit, as the driver's own values."""
        import pandas as pd
        from sqlalchemy import text

        try:
            with self._database.session() as connection:
                result = connection.execute(text(query.sql))
                if not result.returns_rows:
                    raise CollectError(f"query {query.name}: the statement gives no rows", reason="query")
                columns = list(result.keys())
                rows = [tuple(row) for row in result.fetchmany(self.max_rows + 1)]
        except UNREADABLE as error:
            said = f"query {query.name}: the answer cannot be read ({type(error).__name__})"
            raise CollectError(said, reason="query") from None
        missing = [column for column in (*query.values, *query.labels) if column not in columns]
        if missing:
            raise CollectError(f"query {query.name}: no column {', '.join(missing)}", reason="query")
        if len(rows) > self.max_rows:
            rejected["max_rows"] = rejected.get("max_rows", 0) + 1
        return pd.DataFrame(rows[: self.max_rows], columns=columns, dtype=object)

    def _failure(self, query: Query, error: Any) -> CollectError:
        """The driver's own first line, without the password should it be in there."""
        said, reason = self._database.said(error)
        return CollectError(f"query {query.name}: {said}", reason=reason)


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
