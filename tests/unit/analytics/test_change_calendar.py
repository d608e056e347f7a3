"""The calendar names what is planned, frozen and allowed in the next days, and which plans lie outside of both."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from analytics.change_calendar import calendar
from watchkeeper.config.events import Window
from watchkeeper.model import Event, EventKind, EventStatus

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)  # a Monday, noon in Shanghai
SHANGHAI, WEEK = ZoneInfo("Asia/Shanghai"), timedelta(days=7)


def event(kind: EventKind, hours: float, **more: Any) -> Event:
    return Event(kind=kind, title=str(kind), start=NOON + timedelta(hours=hours), **more)


def shown(*events: Event, windows: list[Window] | None = None) -> list[tuple[str, str]]:
    return [(one.what, one.wrong) for one in calendar(events, windows or [], NOON, WEEK, SHANGHAI)]


def test_plans_freezes_and_calendars_stand_by_their_start_until_they_are_over() -> None:
    plan = event(EventKind.DEPLOY, 5, status=EventStatus.PLANNED)
    frozen = event(EventKind.FREEZE, -24)
    holiday = event(EventKind.CALENDAR, 30, end=NOON + timedelta(hours=50))
    over = event(EventKind.CHANGE, -9, status=EventStatus.PLANNED)
    far = event(EventKind.DEPLOY, 24 * 8, status=EventStatus.PLANNED)
    done = event(EventKind.DEPLOY, -1)
    cancelled = event(EventKind.FREEZE, -1, status=EventStatus.CANCELLED)
    assert shown(plan, frozen, holiday, over, far, done, cancelled) == [
        ("freeze", ""), ("planned", "freeze"), ("calendar", ""),
    ]  # fmt: skip


def test_a_window_over_midnight_opens_on_its_days_and_a_plan_outside_of_it_is_marked() -> None:
    nights = Window(days=["mon", "tue"], start=time(22), end=time(6))
    found = calendar([], [nights], NOON, WEEK, SHANGHAI)
    assert [(f"{one.start:%a %H}", f"{one.end:%a %H}") for one in found if one.end] == [
        ("Mon 22", "Tue 06"), ("Tue 22", "Wed 06"), ("Mon 22", "Tue 06"),
    ][: len(found)]  # fmt: skip
    assert len(found) == 2
    at_three = event(EventKind.DEPLOY, 3, status=EventStatus.PLANNED)
    assert ("planned", "window") in shown(at_three, windows=[nights])
