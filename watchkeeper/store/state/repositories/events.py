"""What happened, as it was told: telling the same again adds nothing. Rows change only where a person is erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, select

from watchkeeper.model import Event, EventKind, EventStatus
from watchkeeper.store.state.repositories.common import Repository, chunks, insert_many, next_numbers
from watchkeeper.store.state.tables import events

#: Fields that are columns of the same name.
COLUMNS = (
    "id", "kind", "status", "service", "environment", "start", "end", "title", "version", "actor", "link", "labels",
    "source", "delivery", "payload", "received_at",
)  # fmt: skip


class Events(Repository):
    def add(self, found: Sequence[Event], *, at: datetime) -> list[Event]:
        """Those that were not told before, with their ids. Without a ``delivery`` each telling is a new one."""
        fresh: dict[tuple[str, str], Event] = {}
        anonymous: list[Event] = []
        for one in found:
            if one.delivery:
                fresh.setdefault((one.source, one.delivery), one)
            else:
                anonymous.append(one)
        known = self._known({source for source, _ in fresh}, [delivery for _, delivery in fresh])
        wanted = [*(one for key, one in fresh.items() if key not in known), *anonymous]
        numbers = next_numbers(self.connection, "event", len(wanted))
        added = [
            replace(one, id=f"event-{number}", delivery=one.delivery or f"event-{number}", received_at=at)
            for number, one in zip(numbers, wanted, strict=True)
        ]
        insert_many(self.connection, events, [{name: getattr(one, name) for name in COLUMNS} for one in added])
        return added

    def _known(self, sources: set[str], deliveries: Sequence[str]) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for part in chunks(deliveries):
            query = select(events.c.source, events.c.delivery).where(
                events.c.source.in_(sources), events.c.delivery.in_(part)
            )
            found |= {(row.source, row.delivery) for row in self.connection.execute(query)}
        return found

    def get(self, event_id: str) -> Event | None:
        row = self.connection.execute(select(events).where(events.c.id == event_id)).mappings().first()
        return None if row is None else _event(row)

    def find(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[str] = (),
        services: Sequence[str] = (),
        limit: int = 1000,
    ) -> list[Event]:
        """Newest start first. ``since`` and ``until`` bound the start, both ends included."""
        query = select(events).order_by(events.c.start.desc(), events.c.received_at.desc()).limit(limit)
        if since is not None:
            query = query.where(events.c.start >= since)
        if until is not None:
            query = query.where(events.c.start <= until)
        if kinds:
            query = query.where(events.c.kind.in_(kinds))
        if services:
            query = query.where(events.c.service.in_(services))
        return [_event(row) for row in self.connection.execute(query).mappings()]

    def last_good(self, kind: str) -> dict[str, Event]:
        """Service -> the newest event of this kind that went well, however long ago."""
        good = and_(events.c.kind == kind, events.c.status == EventStatus.OK)
        newest = (
            select(events.c.service, func.max(events.c.start).label("newest")).where(good).group_by(events.c.service)
        ).subquery()
        same = and_(events.c.service == newest.c.service, events.c.start == newest.c.newest)
        rows = self.connection.execute(select(events).join(newest, same).where(good)).mappings()
        return {row["service"]: _event(row) for row in rows}

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """(kind, service, environment, status) -> rows."""
        by = (events.c.kind, events.c.service, events.c.environment, events.c.status)
        rows = self.connection.execute(select(*by, func.count()).group_by(*by))
        return {(row[0], row[1], row[2], row[3]): row[4] for row in rows}

    def prune(self, before: datetime) -> int:
        return self.connection.execute(delete(events).where(events.c.received_at < before)).rowcount


def _event(row: Any) -> Event:
    values = {name: row[name] for name in COLUMNS}
    return Event(**{**values, "kind": EventKind(row["kind"]), "status": EventStatus(row["status"])})
