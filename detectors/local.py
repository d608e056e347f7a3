"""The clocks on people's walls: time of day and of week where a series lives, through daylight saving and holidays.

``walls`` turns moments into milliseconds as a clock there shows them. A holiday is moved to the Sunday before it, a
worked weekend's day to the working day beside it, so that profiles by time of week compare like with like. What a clock
shows at a moment hangs on nothing after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from watchkeeper.clock import time_zones
from watchkeeper.holidays import checked_country, is_holiday, is_made_up
from watchkeeper.model import Labels
from watchkeeper.model.series import IntArray

DAY_MS = 86_400_000
#: Zones change their clocks at whole quarters of an hour.
QUARTER_MS = 900_000
#: A clock that was put back shows no hour for the second time so long afterwards, with room for parts of a day.
AGAIN_MS = 3 * 3_600_000


@dataclass(frozen=True, slots=True)
class Place:
    """One zone and whose holidays count there."""

    zone: str = "UTC"
    country: str = ""  #: empty: no holidays

    def walls(self, times: IntArray) -> IntArray:
        """Milliseconds as the clock on the wall shows them; UTC without holidays is left as it is."""
        if self.zone == "UTC" and not self.country:
            return times
        quarters, back = np.unique(np.floor_divide(times, QUARTER_MS), return_inverse=True)
        shifts = np.array([_shift(self.zone, self.country, quarter) for quarter in quarters.tolist()], np.int64)
        return np.asarray(times + shifts[back], np.int64)

    def jumps(self, times: IntArray) -> IntArray:
        """Columns at which the clock jumps, and all within AGAIN_MS after it was put back."""
        walls = self.walls(times)
        if walls is times:
            return np.empty(0, np.int64)
        shift = walls - times
        again = self.walls(times - AGAIN_MS) - (times - AGAIN_MS) > shift
        again[1:] |= shift[1:] != shift[:-1]
        return np.flatnonzero(again)


@dataclass(frozen=True, slots=True)
class Places:
    """Where series live: the first ``label=value`` that a series has decides, else everybody's place."""

    place: Place = field(default_factory=Place)
    by_label: tuple[tuple[str, str, Place], ...] = ()

    @classmethod
    def of(cls, zone: str, country: str, zones: Mapping[str, str]) -> Places:
        """ValueError names what is no zone, no country or no label."""
        checked_country(country)
        found = []
        for matcher, name in zones.items():
            label, equals, value = matcher.partition("=")
            if not label or not equals:
                raise ValueError(f"zones: {matcher!r} is no label; write for example region=eu: Europe/Berlin")
            found.append((label, value, Place(checked_zone(name), country)))
        return cls(Place(checked_zone(zone), country), tuple(found))

    @property
    def one(self) -> bool:
        """Whether all series live at one place."""
        return not self.by_label

    @property
    def all(self) -> list[Place]:
        return [self.place, *(place for _, _, place in self.by_label)]

    def groups(self, series: Sequence[Labels]) -> list[tuple[IntArray, Place]]:
        """Rows of the series of each place; every row once."""
        rows: dict[Place, list[int]] = {}
        for row, one in enumerate(series):
            rows.setdefault(self._of(dict(one)), []).append(row)
        return [(np.array(found, np.int64), place) for place, found in rows.items()]

    def _of(self, own: Mapping[str, str]) -> Place:
        return next((place for label, value, place in self.by_label if own.get(label) == value), self.place)


def checked_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError(f"{name!r} is not a time zone; write one like Asia/Shanghai or UTC")
    return name


@lru_cache(maxsize=1 << 16)
def _shift(zone: str, country: str, quarter: int) -> int:
    """What is added to a moment of this quarter of an hour, in milliseconds."""
    local = datetime.fromtimestamp(quarter * QUARTER_MS / 1000, UTC).astimezone(ZoneInfo(zone))
    offset = local.utcoffset() or timedelta(0)
    return round(offset.total_seconds() * 1000) + _moved_days(local.date(), country) * DAY_MS


@lru_cache(maxsize=1 << 12)
def _moved_days(day: date, country: str) -> int:
    """Days to the day it is like: of a holiday the Sunday before, of a worked weekend Friday or Monday."""
    if is_made_up(day, country):
        return {5: -1, 6: 1}.get(day.weekday(), 0)
    if day.weekday() < 6 and is_holiday(day, country):
        return -(day.weekday() + 1)
    return 0
