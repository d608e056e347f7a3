"""Small documents by key: settings, forecasts, archived reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from watchkeeper.store.state.repositories.common import Repository, next_number, upsert
from watchkeeper.store.state.tables import forecasts, reports, settings

#: Asked at every step of remediation, so made once.
_VALUE = select(settings.c.value).where(settings.c.key == bindparam("key"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    id: str
    kind: str
    created_at: datetime
    language: str
    html: bytes
    csv: bytes


class Documents(Repository):
    def put(self, key: str, value: Any, *, at: datetime) -> None:
        upsert(self.connection, settings, {"key": key}, {"value": value, "updated_at": at})

    def get(self, key: str, default: Any = None) -> Any:
        row = self.connection.execute(_VALUE, {"key": key}).first()
        return default if row is None else row[0]

    def remove(self, key: str) -> None:
        self.connection.execute(delete(settings).where(settings.c.key == key))

    def with_prefix(self, prefix: str) -> dict[str, Any]:
        query = select(settings.c.key, settings.c.value).where(settings.c.key.startswith(prefix, autoescape=True))
        return {row[0]: row[1] for row in self.connection.execute(query)}

    def put_forecast(self, key: str, payload: Any, *, at: datetime) -> None:
        upsert(self.connection, forecasts, {"key": key}, {"issued_at": at, "payload": payload})

    def forecasts(self) -> dict[str, Any]:
        rows = self.connection.execute(select(forecasts.c.key, forecasts.c.payload).order_by(forecasts.c.key))
        return {row[0]: row[1] for row in rows}

    def forecast(self, key: str) -> Any:
        return self.connection.execute(select(forecasts.c.payload).where(forecasts.c.key == key)).scalar()

    def drop_forecasts(self, before: datetime) -> int:
        return self.connection.execute(delete(forecasts).where(forecasts.c.issued_at < before)).rowcount

    def add_report(self, kind: str, language: str, html: bytes, csv: bytes, *, at: datetime) -> str:
        report_id = f"report-{next_number(self.connection, 'report')}"
        values = {"id": report_id, "kind": kind, "created_at": at, "language": language, "html": html, "csv": csv}
        self.connection.execute(insert(reports).values(**values))
        return report_id

    def report(self, report_id: str) -> Report | None:
        row = self.connection.execute(select(reports).where(reports.c.id == report_id)).mappings().first()
        return Report(**row) if row else None

    def reports(self, limit: int = 50) -> list[tuple[str, str, datetime, str]]:
        """(id, kind, created, language), newest first."""
        columns = (reports.c.id, reports.c.kind, reports.c.created_at, reports.c.language)
        rows = self.connection.execute(select(*columns).order_by(reports.c.created_at.desc()).limit(limit))
        return [(row[0], row[1], row[2], row[3]) for row in rows]
