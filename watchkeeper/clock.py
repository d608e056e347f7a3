"""Time comes in from outside: everything that needs to know it is handed a Clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for durations; the two are never mixed."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never backwards."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told: tests, replays and simulations never sleep."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("ManualClock needs an aware datetime")
        self._now, self._monotonic = start.astimezone(UTC), 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta | float) -> datetime:
        """Move both clocks forward and return the new wall time."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if seconds < 0:
            raise ValueError("time does not run backwards; use jump() for a wall-clock step")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        return self._now

    def jump(self, by: timedelta) -> None:
        """Step the wall clock alone, as an NTP correction or an operator would."""
        self._now += by


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, the unit of every stored timestamp."""
    return round(moment.timestamp() * 1000)


def begun_ms(moment: datetime) -> datetime:
    """The millisecond that has begun: kept and read again it is never later than the moment itself."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def from_ms(milliseconds: int | float) -> datetime:
    """Aware UTC datetime of a stored timestamp."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@cache
def time_zones() -> frozenset[str]:
    """Names of all time zones, as in ``Asia/Shanghai``. Read once: a walk over six hundred files."""
    from zoneinfo import available_timezones

    return frozenset(available_timezones())
