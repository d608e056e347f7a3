"""Working time: Monday to Friday 09:00 to 18:00 in one zone, holidays out, make-up workdays in."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT
from watchkeeper.holidays import checked_country, is_holiday, is_made_up

#: A calendar in which no day of ten years works is a mistake, not a wait.
MAX_DAYS = 3660


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Calendar:
    """When people work. ``holidays`` and ``workdays`` are added to those of the country."""

    zone: str = "Asia/Shanghai"
    start: time = time(9, 0)
    end: time = time(18, 0)
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)  #: 0 is Monday
    country: str = "CN"  #: whose public holidays count, like CN, DE or US-CA; empty: none
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()  #: days worked although they are weekend or holiday

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError("the working day must end after it starts")
        ZoneInfo(self.zone)
        checked_country(self.country)

    def works_on(self, day: date) -> bool:
        if day in self.workdays:
            return True
        if day in self.holidays:
            return False
        if is_made_up(day, self.country):
            return True
        return day.weekday() in self.weekdays and not is_holiday(day, self.country)

    def hours(self, day: date) -> tuple[datetime, datetime]:
        """Start and end of the working hours of a day, aware UTC."""
        zone = ZoneInfo(self.zone)
        return (
            datetime.combine(day, self.start, zone).astimezone(UTC),
            datetime.combine(day, self.end, zone).astimezone(UTC),
        )

    def add_working_days(self, at: datetime, days: int) -> datetime:
        """The moment when ``days`` full working days have passed: 10:00 on Monday plus one is 10:00 on Tuesday."""
        left = days * (datetime.combine(date.min, self.end) - datetime.combine(date.min, self.start))
        day = at.astimezone(ZoneInfo(self.zone)).date()
        for _ in range(MAX_DAYS):
            if self.works_on(day):
                start, end = self.hours(day)
                usable = max(end - max(start, at), timedelta(0))
                if usable >= left:
                    return max(start, at) + left
                left -= usable
            day += timedelta(days=1)
        raise ValueError("the calendar has no working day within ten years; check weekdays and holidays")
