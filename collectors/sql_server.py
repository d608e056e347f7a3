"""A database server asked about itself: several questions in one read-only session, each failing on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from watchkeeper.errors import CollectError
from watchkeeper.ports import Collected

from .base import Reading, Sheet
from .database import UNREADABLE, Database

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection

#: Name of a question -> what asks it. A name is a value of the label ``query``.
Questions: TypeAlias = "Mapping[str, Callable[[Connection], Iterator[Reading]]]"
#: Words of the servers when they refuse whoever asks: MySQL's codes, PostgreSQL's texts.
REFUSED = ("(1044", "(1045", "(1698", "authentication failed", "no pg_hba.conf entry", "does not exist")


class SqlServer:
    """Reads all questions; ``watchkeeper_query_success{query}`` tells which were answered."""

    def __init__(self, sheet: Sheet, up: str, questions: Questions, connect: Callable[[URL], Database]) -> None:
        self._sheet, self._up, self._questions, self._connect = sheet, up, questions, connect
        self._url: URL | None = None
        self._database: Database | None = None
        self.problems: dict[str, str] = {}  #: question -> what the server said to it, last time

    def read(self, now: datetime, url: URL) -> Collected:
        """One reading. Raises CollectError when the server cannot be reached or nothing is answered."""
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        if self._database is None or url != self._url:  # the password may have changed
            self.close()
            self._url, self._database = url, self._connect(url)
        database = self._database  # it may be closed from outside while an answer is waited for
        try:
            with database.session() as connection:
                readings = self._ask(connection, database)
        except DBAPIError as error:
            said, reason = database.said(error)
            raise CollectError(f"no session: {said}", reason=_why(said, reason)) from None
        except (SQLAlchemyError, *UNREADABLE) as error:
            said = f"what answers does not speak the server's protocol ({type(error).__name__})"
            raise CollectError(said, reason="protocol") from None
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick], rejected=dict(self._sheet.rejected))

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None

    def _ask(self, connection: Connection, database: Database) -> list[Reading]:
        from sqlalchemy.exc import DBAPIError

        readings: list[Reading] = [(self._up, (), 1.0)]
        problems: dict[str, str] = {}
        for name, question in self._questions.items():
            try:
                with connection.begin_nested():  # one that fails would end PostgreSQL's whole transaction
                    readings.extend(list(question(connection)))
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                problems[name] = database.said(error)[0]
            readings.append(("watchkeeper_query_success", (("query", name),), float(name not in problems)))
        self.problems = problems
        if len(problems) == len(self._questions):
            raise CollectError(f"nothing is answered: {next(iter(problems.values()))}", reason="query")
        return readings


def _why(said: str, reason: str) -> str:
    """timeout, token (refused), too_large, tls or connect, by the driver's words."""
    text = said.lower()
    if any(word in text for word in REFUSED):
        return "token"
    if "max_bytes" in text:
        return "too_large"
    if "ssl" in text or "tls" in text or "certificate" in text:
        return "tls"
    return "timeout" if reason == "timeout" else "connect"


def rows(connection: Connection, sql: str) -> list[dict[str, Any]]:
    """The answer's rows by column name."""
    return [dict(row) for row in connection.exec_driver_sql(sql).mappings()]


def number(value: Any) -> float | None:
    """The value as a float; None where it is none: unknown is not 0."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def columns(
    row: Mapping[str, Any], prefix: str, labels: tuple[tuple[str, str], ...], names: Mapping[str, float]
) -> Iterator[Reading]:
    """One reading for each of the columns that holds a number; ``names``: column -> what makes it a base unit."""
    for name, scale in names.items():
        value = number(row.get(name))
        if value is not None:
            yield (f"{prefix}{name}", labels, value * scale)
