"""Key figures out of a database: asked once a period, as rows with a time, or as the value of now."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from watchkeeper.errors import CollectError

from .database import Database, parse_url
from .kpi_points import Clockwork, Point, number

if TYPE_CHECKING:
    from sqlalchemy import Connection

Answer = TypeVar("Answer")
#: Rows of one statement at most: a figure is a summary, not an export.
MOST_ROWS = 200_000
#: Seconds that a row of questions about periods may take all together.
MOST_SECONDS = 60.0
_PARAMETER = re.compile(r"(?<![:\w]):(start|end)\b")


class KpiSql:
    """One statement. With ``:start`` and ``:end`` it is a question about a period, asked once for each."""

    def __init__(
        self,
        url: str,
        query: str,
        *,
        value: str,
        time: str,
        clockwork: Clockwork,
        minor_units: int = 0,
        age: bool = False,
        timeout: float = 10.0,
    ) -> None:
        """Raises ValueError when the URL is of no known database."""
        self._database = Database(parse_url(url), timeout)
        self._query, self._value, self._time = query, value, time
        self._clockwork, self._minor, self._age = clockwork, minor_units, age

    @property
    def by_period(self) -> bool:
        """Asked once a period."""
        return bool(_PARAMETER.search(self._query))

    def of_periods(self, spans: Sequence[tuple[datetime, datetime]]) -> list[Decimal | None]:
        """The value of each [start, end), in the same order; None where the database answers NULL or no row.

        A slow database answers fewer: what could not be asked within MOST_SECONDS is left for the next reading.
        """
        until = monotonic() + MOST_SECONDS

        def ask(connection: Connection) -> list[Decimal | None]:
            found: list[Decimal | None] = []
            for span in spans:
                if found and monotonic() > until:
                    break
                found.append(self._of_period(connection, *span))
            return found

        return self._guarded(ask)

    def now(self, at: datetime) -> Decimal | None:
        """What is true now."""

        def ask(connection: Connection) -> Decimal | None:
            columns, rows = self._rows(connection, {})
            if not rows:
                return None
            return self._reading(self._pick(columns, rows[0], self._value), at)

        return self._guarded(ask)

    def points(self) -> list[Point]:
        """Every row with its time."""

        def ask(connection: Connection) -> list[Point]:
            columns, rows = self._rows(connection, {})
            found = []
            for row in rows:
                value = number(self._pick(columns, row, self._value), self._minor)
                if value is not None:
                    found.append((self._clockwork.moment(self._pick(columns, row, self._time)), value))
            return found

        return self._guarded(ask)

    def close(self) -> None:
        self._database.close()

    def _of_period(self, connection: Connection, start: datetime, end: datetime) -> Decimal | None:
        self._database.extend()
        columns, rows = self._rows(connection, {"start": self._written(start), "end": self._written(end)})
        if len(rows) > 1:
            raise CollectError("the query answers more than one row for a period", reason="query")
        return number(self._pick(columns, rows[0], self._value), self._minor) if rows else None

    def _reading(self, raw: Any, at: datetime) -> Decimal | None:
        if not self._age:
            return number(raw, self._minor)
        if raw is None:
            return Decimal(0)  # nothing waits
        return Decimal(str(max((at - self._clockwork.moment(raw)).total_seconds(), 0.0)))

    def _guarded(self, ask: Callable[[Connection], Answer]) -> Answer:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        try:
            with self._database.session(self._clockwork.zone.key) as connection:
                return ask(connection)
        except DBAPIError as error:
            said, reason = self._database.said(error)
            raise CollectError(said, reason=reason) from None
        except SQLAlchemyError as error:
            raise CollectError(type(error).__name__, reason="query") from None

    def _rows(self, connection: Connection, parameters: dict[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
        from sqlalchemy import text

        result = connection.execute(text(self._query), parameters)
        if not result.returns_rows:
            raise CollectError("the statement gives no rows", reason="query")
        rows = [tuple(row) for row in result.fetchmany(MOST_ROWS + 1)]
        if len(rows) > MOST_ROWS:
            raise CollectError(f"more than {MOST_ROWS} rows; sum them up in the query", reason="max_rows")
        return list(result.keys()), rows

    @staticmethod
    def _pick(columns: Sequence[str], row: Sequence[Any], name: str) -> Any:
        if not name and len(columns) == 1:
            return row[0]
        if name not in columns:
            raise CollectError(f"no column {name!r}; there are {', '.join(columns)}", reason="query")
        return row[columns.index(name)]

    def _written(self, moment: datetime) -> Any:
        """The moment as this database compares it with its column."""
        if self._clockwork.form != "datetime":
            seconds = round(moment.timestamp())
            return seconds * 1000 if self._clockwork.form == "epoch_ms" else seconds
        if self._database.kind == "postgresql":
            return moment.astimezone(UTC)  # the session's zone makes columns with and without zone comparable
        wall = moment.astimezone(self._clockwork.zone).replace(tzinfo=None)
        return wall.isoformat(" ", "seconds") if self._database.kind == "sqlite" else wall
