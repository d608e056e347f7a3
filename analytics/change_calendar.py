"""What is planned and what is allowed when: planned changes, freezes, and the next times a window is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.changes import DAYS, Window, outside
from watchkeeper.model import CHANGES, Event, EventKind, EventStatus

#: A planned change without an end is over after this long.
LASTS = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``what``: planned, freeze, window, maintenance or calendar. ``wrong``: freeze or window, for a planned change."""

    what: str
    title: str
    start: datetime
    end: datetime | None
    service: str = ""
    environment: str = ""
    event_id: str = ""
    link: str = ""
    wrong: str = ""


def calendar(
    events: Iterable[Event], windows: Sequence[Window], now: datetime, ahead: timedelta, zone: ZoneInfo
) -> list[Entry]:
    """What is going on now or begins within ``ahead``, by its start."""
    last, rows = now + ahead, list(events)
    freezes = [one for one in rows if one.kind is EventKind.FREEZE and one.status is not EventStatus.CANCELLED]
    found = [entry for one in rows if (entry := _of(one, windows, freezes, zone)) is not None]
    found += [entry for one in windows for entry in _openings(one, now, last, zone)]
    shown = [one for one in found if one.start <= last and (one.end is None or one.end > now)]
    return sorted(shown, key=lambda one: (one.start, one.what, one.title))


def _of(one: Event, windows: Sequence[Window], freezes: Sequence[Event], zone: ZoneInfo) -> Entry | None:
    planned = one.status is EventStatus.PLANNED and one.kind is not EventKind.FREEZE
    if one.status is EventStatus.CANCELLED or not (planned or one.kind in (EventKind.FREEZE, EventKind.CALENDAR)):
        return None
    what = "freeze" if one.kind is EventKind.FREEZE else "calendar" if one.kind is EventKind.CALENDAR else "planned"
    end = one.end or (one.start + LASTS if what == "planned" else None)
    wrong = outside(one, windows, freezes, zone) if what == "planned" and one.kind in CHANGES else ""
    return Entry(
        what=what, title=one.title, start=one.start, end=end, service=one.service, environment=one.environment,
        event_id=one.id, link=one.link, wrong=wrong,
    )  # fmt: skip


def _openings(one: Window, now: datetime, last: datetime, zone: ZoneInfo) -> Iterator[Entry]:
    """Each time the window is open, on the wall clock of ``zone``; one that ends before it starts ends a day later."""
    day = now.astimezone(zone).date() - timedelta(days=1)
    while day <= last.astimezone(zone).date():
        if not one.days or DAYS[day.weekday()] in one.days:
            start = datetime.combine(day, one.start, zone)
            end = datetime.combine(day + timedelta(days=int(one.end <= one.start)), one.end, zone)
            yield Entry(
                what="window", title="", start=start, end=end, service=", ".join(one.services),
                environment=", ".join(one.environments),
            )  # fmt: skip
        day += timedelta(days=1)
