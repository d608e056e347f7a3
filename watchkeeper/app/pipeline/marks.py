"""Marks on charts: what was done to a service while the chart's time went by, each deed once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from watchkeeper.model import Event, EventKind, EventStatus

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

#: What is no deed: alerts of others, and entries of a calendar.
UNMARKED = (EventKind.ALERT, EventKind.CALENDAR)
#: Marks of one chart, the newest.
MOST = 40


def marks(engine: Engine, services: Collection[str], start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Oldest first. ``services``: theirs, and what names none; empty: everybody's."""
    from watchkeeper.app.api import shapes

    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in engine.eventing.read(engine.clock.now()).recent:  # newest first
        if not _shown(one, services) or one.start > end or (one.end or one.start) < start:
            continue
        row = found.setdefault(_deed(one), shapes.event(one))
        row["start"] = min(row["start"], shapes.event(one)["start"])  # a deploy's end is a row of its own
    return sorted(list(found.values())[:MOST], key=lambda row: str(row["start"]))


def _shown(one: Event, services: Collection[str]) -> bool:
    if one.kind in UNMARKED or one.status in (EventStatus.PLANNED, EventStatus.CANCELLED):
        return False
    return not services or not one.service or one.service in services


def _deed(one: Event) -> tuple[str, ...]:
    return one.kind, one.service, one.environment, one.version or one.title, one.labels.get("stage", "")
