"""Whether a database answers a statement, rightly and in time."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT, Reading
from .database import UNREADABLE, Database, parse_url
from .probe import Probe, Tried, failed


@dataclass(kw_only=True, config=STRICT)
class SqlProbe(Probe):
    """Logs in, runs one read-only statement and compares the first value, each time with a connection of its own.

    Good for: "can an application log in and read?". Not for: figures (``sql_query``).
    """

    KIND: ClassVar[str] = "sql_probe"
    GRACE: ClassVar[float] = 0.5

    url: SecretStr  #: SQLAlchemy URL, as of sql_query
    sql: str = "SELECT 1"
    expect: str | None = None  #: first value of the first row, as text; none: any row is good
    min_rows: int = Field(default=1, ge=0, le=1000)  #: fewer rows are a failure
    max_seconds: float | None = Field(default=None, gt=0)  #: a slower statement is a failure

    def __post_init__(self) -> None:
        self._url = parse_url(self.url.get_secret_value())
        self._database = Database(self._url, self.timeout)
        self._running: asyncio.Task[Tried] | None = None
        super().__post_init__()

    def place(self) -> str:
        host = f"{self._url.host}:{self._url.port}/" if self._url.host and self._url.port else ""
        return f"{host or (f'{self._url.host}/' if self._url.host else '')}{self._url.database or ''}"

    async def attempt(self, now: datetime, outbound: Outbound) -> Tried:  # noqa: ARG002  # databases, no HTTP
        if self._running is not None and not self._running.done():
            raise CollectError("the last statement has not come back", reason="timeout")
        self._running = asyncio.create_task(asyncio.to_thread(self._ask))
        done, _ = await asyncio.wait({self._running}, timeout=self.timeout)
        return self._running.result() if done else failed("timeout")

    async def close(self) -> None:
        await asyncio.to_thread(self._database.close)

    def _ask(self) -> Tried:
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        began = time.monotonic()
        readings: list[Reading] = []
        try:
            with self._database.session() as connection:
                ready = time.monotonic()
                readings.append(("probe_sql_duration_seconds", (("phase", "connect"),), ready - began))
                result = connection.execute(text(self.sql))
                rows = result.fetchmany(max(self.min_rows, 1)) if result.returns_rows else []
                seconds = time.monotonic() - ready
        except DBAPIError as error:
            _, reason = self._database.said(error)
            return failed(reason if readings or reason == "timeout" else "connect", readings)
        except (SQLAlchemyError, *UNREADABLE):
            return failed("query", readings)
        readings.append(("probe_sql_duration_seconds", (("phase", "statement"),), seconds))
        reason = self._verdict(rows, seconds)
        return failed(reason, readings) if reason else (True, readings)

    def _verdict(self, rows: Any, seconds: float) -> str:
        if len(rows) < self.min_rows:
            return "answers"
        if self.expect is not None and (not rows or str(rows[0][0]) != self.expect):
            return "body"
        return "slow" if self.max_seconds is not None and seconds > self.max_seconds else ""
