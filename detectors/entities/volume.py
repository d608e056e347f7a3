"""How much an entity usually does in ten minutes, by the hour of the day, and what is far beyond that."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from .decay import fade, grade

#: Seconds of one window; windows of a day and of an hour.
WINDOW, DAY, HOUR = 600, 144, 6
#: Windows over which an hour of the day and the whole are learned: a week.
MEMORY_HOUR, MEMORY = 7 * HOUR, 7 * DAY
#: Standard deviations without points, and of the square root of a count or the logarithm of bytes at least.
FREE, SCALE, LEAST_COUNT, LEAST_SIZE = 5.0, 8.0, 0.5, 0.7
#: Too little to matter, acts and bytes; and how far beyond the most of late it must be.
LITTLE_COUNT, LITTLE_SIZE, BEYOND = 50.0, 1e7, 2.0
#: Windows at work that make their spread no more than it seems.
FEW = 5.0
#: Seconds after which the most of late counts half.
RECORD = 7 * 86_400.0
#: Bytes up to which sizes count as alike.
SMALL = 1024.0


@dataclass(slots=True)
class Volume:
    """One entity's amounts: counts on the scale of square roots, ``bytes`` on that of logarithms."""

    since: int  #: number of the first window
    bytes: bool = False
    window: int = 0
    amount: float = 0.0  #: in the window that is not over
    means: array[float] = field(default_factory=lambda: array("f", [0.0] * 24))
    weights: array[float] = field(default_factory=lambda: array("f", [0.0] * 24))
    level: float = 0.0
    variance: float = 0.0
    seen: float = 0.0  #: windows learned
    record: float = 0.0
    busy: float = 0.0  #: mean, variance and number of the windows in which there was something
    busy_variance: float = 0.0
    busy_seen: float = 0.0

    def add(self, at: float, amount: float, zone: tzinfo) -> None:
        """Late amounts count in the window that is not over."""
        number = max(int(at // WINDOW), self.window)
        if not self.window:
            self.window = number
        if number > self.window:
            self._close(zone)
            self._nothing(self.window + 1, number, zone)
            self.window, self.amount = number, 0.0
        self.amount += amount

    def points(self, zone: tzinfo) -> float:
        """0 to 95 for the window that is not over; 0 while too little is known."""
        little = LITTLE_SIZE if self.bytes else LITTLE_COUNT
        if self.window - self.since < DAY or self.amount < max(little, BEYOND * self.record):
            return 0.0
        least = LEAST_SIZE if self.bytes else LEAST_COUNT
        scaled = self._scaled(self.amount)
        spread = max(math.sqrt(self.variance * (1.0 + 1.0 / max(self.seen, 1.0))), least)
        busy = max(math.sqrt(self.busy_variance), least) * math.sqrt(1.0 + FEW / max(self.busy_seen, 1.0))
        far = (scaled - self._expected(self.window, zone)) / spread  # beyond this hour of the day,
        return grade(min(far, (scaled - self.busy) / busy), FREE, SCALE)  # and beyond when it is at work

    def usual(self, zone: tzinfo) -> float:
        """What was to be expected in this window, in its unit."""
        expected = max(self._expected(self.window, zone), 0.0)
        return SMALL * math.expm1(expected) if self.bytes else expected**2

    def _scaled(self, amount: float) -> float:
        return math.log1p(amount / SMALL) if self.bytes else math.sqrt(amount)

    def _expected(self, window: int, zone: tzinfo) -> float:
        hour = _hour(window, zone)
        weight = self.weights[hour]
        return (self.means[hour] * weight + self.level * HOUR) / (weight + HOUR)

    def _close(self, zone: tzinfo) -> None:
        expected, scaled = self._expected(self.window, zone), self._scaled(self.amount)
        least = LEAST_SIZE if self.bytes else LEAST_COUNT
        if self.seen >= DAY:  # an attack is not learned as fast as it comes
            scaled = min(scaled, expected + 4.0 * max(math.sqrt(self.variance), least))
        self._learn(self.window, scaled, expected, 1, zone)
        self.busy_seen = min(self.busy_seen + 1.0, float(MEMORY))
        off = scaled - self.busy
        self.busy += off / self.busy_seen
        self.busy_variance += (off * (scaled - self.busy) - self.busy_variance) / self.busy_seen
        self.record = max(self.record * fade(WINDOW, RECORD), self.amount)

    def _nothing(self, begin: int, end: int, zone: tzinfo) -> None:
        """Windows without any act, an hour in one step, a week at most."""
        begin = max(begin, end - MEMORY)
        while begin < end:
            count = min(HOUR - begin % HOUR, end - begin)
            self._learn(begin, 0.0, self._expected(begin, zone), count, zone)
            self.record *= fade(count * WINDOW, RECORD)
            begin += count

    def _learn(self, window: int, scaled: float, expected: float, count: int, zone: tzinfo) -> None:
        hour = _hour(window, zone)
        left = _left(self.weights[hour], MEMORY_HOUR, count)
        self.means[hour] = scaled + (self.means[hour] - scaled) * left
        self.weights[hour] = min(self.weights[hour] + count, float(MEMORY_HOUR))
        left = _left(self.seen, MEMORY, count)
        self.level = scaled + (self.level - scaled) * left
        self.variance = (scaled - expected) ** 2 * (1.0 - left) + self.variance * left
        self.seen = min(self.seen + count, float(MEMORY))


def _left(weight: float, memory: int, count: int) -> float:
    """The share that what was known keeps: a plain mean at first, then a fading one."""
    return float(weight / (weight + count)) if weight < memory else (1.0 - 1.0 / memory) ** count


def _hour(window: int, zone: tzinfo) -> int:
    return datetime.fromtimestamp(window * WINDOW, zone).hour
