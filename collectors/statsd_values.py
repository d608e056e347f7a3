"""What StatsD's events add up to between two readings: counters, gauges, summaries or histograms, sizes of sets."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from random import Random

from .base import Reading
from .statsd_line import Event

Key = tuple[str, tuple[tuple[str, str], ...]]
#: Values of one timer, and members of one set, remembered until the next reading.
MOST_VALUES = 10_000


class Timer:
    """Sum and count since the start; quantiles of the values since the last reading, of a fair sample when many."""

    def __init__(self, buckets: Sequence[float]) -> None:
        self.sum = self.count = 0.0
        self.buckets = [0.0] * len(buckets)
        self.values: list[float] = []
        self.seen = 0
        self._edges, self._random = buckets, Random(0)  # noqa: S311 - a sample, no secret

    def add(self, event: Event) -> None:
        self.sum += event.value * event.weight
        self.count += event.weight
        place = bisect_left(self._edges, event.value)
        if place < len(self.buckets):
            self.buckets[place] += event.weight
        self.seen += 1
        if len(self.values) < MOST_VALUES:
            self.values.append(event.value)
        elif (at := self._random.randrange(self.seen)) < MOST_VALUES:
            self.values[at] = event.value

    def quantile(self, share: float) -> float:
        """NaN when nothing came since the last reading."""
        if not self.values:
            return math.nan
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


class Values:
    """All series of one listener. ``limit``: series that are known; further names are refused."""

    def __init__(self, quantiles: Sequence[float], buckets: Sequence[float], limit: int) -> None:
        self._quantiles, self._buckets, self._limit = quantiles, buckets, limit
        self._counters: dict[Key, float] = {}
        self._gauges: dict[Key, float] = {}
        self._timers: dict[Key, Timer] = {}
        self._sets: dict[Key, set[str]] = {}
        self._kinds: dict[str, str] = {}  #: metric name -> its type: one name has one

    def add(self, event: Event) -> str:
        """Why the event was refused; empty when it was taken."""
        key = event.name, event.labels
        if self._kinds.get(event.name, event.kind) != event.kind:
            return "type"
        tables: dict[str, Container[Key]] = {
            "counter": self._counters, "gauge": self._gauges, "timer": self._timers, "set": self._sets
        }  # fmt: skip
        if key not in tables[event.kind] and len(self) >= self._limit:
            return "sample_limit"
        self._kinds.setdefault(event.name, event.kind)
        if event.kind == "counter":
            self._counters[key] = self._counters.get(key, 0.0) + event.value * event.weight
        elif event.kind == "gauge":
            self._gauges[key] = event.value + (self._gauges.get(key, 0.0) if event.relative else 0.0)
        elif event.kind == "timer":
            self._timers.setdefault(key, Timer(self._buckets)).add(event)
        elif len(members := self._sets.setdefault(key, set())) < MOST_VALUES:
            members.add(event.member)
        return ""

    def __len__(self) -> int:
        return len(self._counters) + len(self._gauges) + len(self._timers) + len(self._sets)

    def readings(self) -> Iterator[Reading]:
        """What there is now; timers' quantiles and sets begin anew."""
        for table in (self._counters, self._gauges):
            yield from ((name, labels, value) for (name, labels), value in table.items())
        for (name, labels), members in self._sets.items():
            yield name, labels, float(len(members))
            members.clear()
        for (name, labels), timer in self._timers.items():
            yield from self._timer(name, labels, timer)
            timer.values, timer.seen = [], 0

    def _timer(self, name: str, labels: tuple[tuple[str, str], ...], timer: Timer) -> Iterator[Reading]:
        if self._buckets:
            below = 0.0
            for edge, count in zip(self._buckets, timer.buckets, strict=True):
                below += count
                yield f"{name}_bucket", (*labels, ("le", f"{edge:g}")), below
            yield f"{name}_bucket", (*labels, ("le", "+Inf")), timer.count
        else:
            for share in self._quantiles:
                yield name, (*labels, ("quantile", f"{share:g}")), timer.quantile(share)
        yield f"{name}_sum", labels, timer.sum
        yield f"{name}_count", labels, timer.count
