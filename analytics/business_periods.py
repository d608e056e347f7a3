"""Hours, days, weeks and months as people count them: on the wall clock of one zone, summer time included.

A period is named by its first moment, an aware UTC ``datetime``, and lasts until the first moment of the next one: a
day has 23 or 25 hours when clocks change, a month 28 to 31 days. Weeks start on Monday.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["hour", "day", "week", "month"]
Against = Literal["previous", "last_week", "last_year"]
HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start_of(period: Period, moment: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the period that holds ``moment``."""
    local = moment.astimezone(zone)
    if period == "hour":
        inside = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return moment.astimezone(UTC) - inside
    return midnight(_first_day(period, local.date()), zone)


def next_start(period: Period, start: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the period after the one that starts at ``start``."""
    if period == "hour":
        following = start_of("hour", start + HOUR, zone)
        return following if following > start else start + HOUR
    return midnight(_shift(period, start.astimezone(zone).date(), 1), zone)


def previous_start(period: Period, start: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the period before."""
    return start_of(period, start - timedelta(microseconds=1), zone)


def reference_start(against: Against, period: Period, start: datetime, zone: ZoneInfo) -> datetime | None:
    """The period to compare with; None where the calendar has no such period (a week or month "last week").

    ``last_week`` of an hour is the same hour on the wall clock seven days ago, of a day the same weekday.
    """
    if against == "previous":
        return previous_start(period, start, zone)
    local = start.astimezone(zone)
    if against == "last_week":
        if period in ("week", "month"):
            return None
        day = local.date() - timedelta(days=7)
    elif period == "week":
        day = local.date() - timedelta(weeks=52)
    else:
        day = _year_before(local.date())
    if period == "hour":
        return datetime.combine(day, local.time(), zone).astimezone(UTC)
    return midnight(day, zone)


def between(period: Period, first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Every period from the one that holds ``first`` to the one that holds ``last``, in order."""
    start = start_of(period, first, zone)
    while start <= last:
        yield start
        start = next_start(period, start, zone)


def grid_ms(period: Period, start: datetime, zone: ZoneInfo) -> int:
    """The start as milliseconds on an even grid: the wall clock read as if it were UTC.

    Days, weeks and months are then evenly apart across a change of clocks, which is how people repeat themselves, and
    is what detectors and forecasters see. Hours keep real time, for two hours of one night share a wall clock.
    """
    if period == "hour":
        return round((start - EPOCH).total_seconds() * 1000)
    wall = start.astimezone(zone).replace(tzinfo=UTC)
    # where a change of clocks takes midnight away, the day starts at one: the date is what counts
    return round((datetime.combine(wall.date(), time(), UTC) - EPOCH).total_seconds() * 1000)


def from_grid(period: Period, at_ms: int, zone: ZoneInfo) -> datetime:
    """The start of the period at this place of the grid."""
    wall = EPOCH + timedelta(milliseconds=at_ms)
    return wall if period == "hour" else midnight(wall.date(), zone)


def steps_within(period: Period, days: int) -> int:
    """How many whole periods ``days`` ahead are, at least one."""
    return {"hour": 24 * days, "day": days, "week": max(days // 7, 1), "month": max(days // 30, 1)}[period]


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day. Where clocks jump over midnight that is the moment of the jump."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _first_day(period: Period, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _shift(period: Period, day: date, count: int) -> date:
    if period == "month":
        months = day.year * 12 + day.month - 1 + count
        return date(months // 12, months % 12 + 1, 1)
    return day + count * timedelta(days=7 if period == "week" else 1)


def _year_before(day: date) -> date:
    if (day.month, day.day) == (2, 29):
        return date(day.year - 1, 2, 28)
    return day.replace(year=day.year - 1)
