"""Periods on the wall clock: summer time, month ends, and zones whose midnight is no whole hour of UTC."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.business_periods import (
    Period,
    between,
    from_grid,
    grid_ms,
    next_start,
    previous_start,
    reference_start,
    start_of,
    steps_within,
)

BERLIN, SHANGHAI, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kathmandu")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "zone", "moment", "start", "end"),
    [
        ("day", SHANGHAI, "2026-03-01T15:59:59", "2026-02-28T16:00", "2026-03-01T16:00"),
        ("day", SHANGHAI, "2026-03-01T16:00", "2026-03-01T16:00", "2026-03-02T16:00"),
        ("day", BERLIN, "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("day", BERLIN, "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        ("month", BERLIN, "2026-03-31T21:59", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("month", SHANGHAI, "2026-12-31T12:00", "2026-11-30T16:00", "2026-12-31T16:00"),
        ("week", SHANGHAI, "2026-03-01T12:00", "2026-02-22T16:00", "2026-03-01T16:00"),  # a Sunday
        ("hour", KATHMANDU, "2026-03-01T12:20", "2026-03-01T12:15", "2026-03-01T13:15"),  # UTC+5:45
    ],
)
def test_a_period_begins_and_ends_on_the_wall_clock(
    period: Period, zone: ZoneInfo, moment: str, start: str, end: str
) -> None:
    assert start_of(period, utc(moment), zone) == utc(start)
    assert next_start(period, utc(start), zone) == utc(end)
    assert previous_start(period, utc(end), zone) == utc(start)


def test_the_two_hours_of_one_name_are_two_periods() -> None:
    night = list(between("hour", utc("2026-10-25T00:00"), utc("2026-10-25T02:30"), BERLIN))
    assert [start.astimezone(BERLIN).hour for start in night] == [2, 2, 3]
    assert len(set(night)) == 3


def test_a_year_of_days_has_no_hole_and_no_overlap() -> None:
    days = list(between("day", utc("2026-01-01T00:00"), utc("2026-12-31T12:00"), BERLIN))
    assert len(days) == 365
    lengths = {after - before for before, after in itertools.pairwise(days)}
    assert lengths == {timedelta(hours=23), timedelta(hours=24), timedelta(hours=25)}


def test_days_lie_evenly_on_the_grid_across_a_change_of_clocks_and_come_back() -> None:
    days = list(between("day", utc("2026-03-27T12:00"), utc("2026-03-31T12:00"), BERLIN))
    grid = [grid_ms("day", day, BERLIN) for day in days]
    assert {after - before for before, after in itertools.pairwise(grid)} == {86_400_000}
    assert [from_grid("day", at, BERLIN) for at in grid] == days


def test_the_day_whose_midnight_does_not_exist_keeps_its_place() -> None:
    beirut = ZoneInfo("Asia/Beirut")  # 2026-03-29 begins at one
    days = list(between("day", utc("2026-03-27T12:00"), utc("2026-03-31T12:00"), beirut))
    grid = [grid_ms("day", day, beirut) for day in days]
    assert {after - before for before, after in itertools.pairwise(grid)} == {86_400_000}
    assert [from_grid("day", at, beirut) for at in grid] == days


def test_the_same_hour_last_week_is_that_of_the_wall_clock() -> None:
    after_change = utc("2026-03-30T08:00")  # ten in Berlin, summer time
    assert reference_start("last_week", "hour", after_change, BERLIN) == utc("2026-03-23T09:00")  # ten, winter time


@pytest.mark.parametrize(
    ("against", "period", "start", "reference"),
    [
        ("previous", "month", "2026-03-31T16:00", "2026-02-28T16:00"),
        ("last_week", "day", "2026-03-09T16:00", "2026-03-02T16:00"),
        ("last_week", "month", "2026-03-31T16:00", None),
        ("last_year", "day", "2028-02-28T16:00", "2027-02-27T16:00"),  # 29 February has 28 February before it
        ("last_year", "month", "2026-03-31T16:00", "2025-03-31T16:00"),
        ("last_year", "week", "2026-03-01T16:00", "2025-03-02T16:00"),
    ],
)
def test_what_a_period_is_compared_with(against: str, period: str, start: str, reference: str | None) -> None:
    found = reference_start(against, period, utc(start), SHANGHAI)  # type: ignore[arg-type]
    assert found == (None if reference is None else utc(reference))


def test_horizons_in_periods() -> None:
    assert [steps_within(period, 30) for period in ("hour", "day", "week", "month")] == [720, 30, 4, 1]
    assert steps_within("month", 7) == 1
