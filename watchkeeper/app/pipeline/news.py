"""News: which remediation rules a fresh sample concerns, so that they are looked at when there is something to see.

A rule that is evaluated on a grid of its own sees a sample up to one interval late. Here the arrival of a sample is
what brings the evaluation on; the grid remains for rules whose sources have gone silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, Labels, Layout, Matcher, MatchOp, RemedyRule, Tick, metric_name
from watchkeeper.promql import selectors
from watchkeeper.promql.matching import matches

#: Sources that are read at the same moment answer within this: their samples are looked at together.
SETTLE = timedelta(milliseconds=100)
#: Rules may be looked at this much before their interval is over.
TOLERANCE = timedelta(milliseconds=50)
#: Without news a rule that usually gets them waits this much longer than its interval.
SILENT = 1.5


class Feeds:
    """Which rules the series of a tick feed. Asked once a layout, answered from memory after that."""

    def __init__(self, rules: Sequence[RemedyRule] = (), more: Mapping[str, Sequence[str]] | None = None) -> None:
        """``more``: rule -> further expressions that decide about it, such as the probes of its dual link."""
        self._wanted: dict[str, list[tuple[str, Sequence[Matcher]]]] = {}
        for rule in rules:
            own = (rule.when, *rule.observers.values(), rule.verify, *(more or {}).get(rule.name, ()))
            for matchers in (found for expr in own for found in _selectors(expr)):
                self._wanted.setdefault(_name(matchers), []).append((rule.name, matchers))
        self._known: dict[str, tuple[Layout, frozenset[str]]] = {}

    def of(self, tick: Tick) -> frozenset[str]:
        """Names of the rules that look at a series of this tick."""
        layout, found = self._known.get(tick.target, (None, frozenset()))
        if layout is not tick.layout:
            found = frozenset(name for series in tick.layout.series for name in self._feeds(series))
            self._known[tick.target] = (tick.layout, found)
        return found

    def _feeds(self, series: Labels) -> Iterable[str]:
        values = dict(series)
        for name, matchers in (*self._wanted.get(metric_name(series), ()), *self._wanted.get("", ())):
            if all(matches(matcher, [values.get(matcher.name, "")])[0] for matcher in matchers):
                yield name


def _selectors(expr: str) -> list[Sequence[Matcher]]:
    try:
        return [matchers for matchers, _window, _offset in selectors(expr)]
    except QueryError:  # the evaluation says so, with the place; here it merely feeds on nothing
        return []


def _name(matchers: Sequence[Matcher]) -> str:
    """The metric's name where the selector fixes it, else empty: such a selector is tried on every series."""
    return next((one.value for one in matchers if one.name == METRIC_NAME and one.op is MatchOp.EQUAL), "")


@dataclass(slots=True)
class Pulse:
    """When one rule was looked at, and when news asks for the next look."""

    seen_at: datetime | None = None
    fed: bool = False  #: some source has ever brought news
    wanted_at: datetime | None = None  #: there is news to be looked at then

    def due(self, interval: timedelta, now: datetime) -> bool:
        """True when it is time to look."""
        if self.seen_at is None or now < self.seen_at:
            return True
        if self.wanted_at is not None and now >= self.wanted_at:
            return True
        return now - self.seen_at >= (SILENT * interval if self.fed else interval) - TOLERANCE

    def look(self, now: datetime) -> None:
        self.seen_at, self.wanted_at = now, None

    def feed(self, interval: timedelta, every: timedelta, now: datetime) -> datetime | None:
        """A sample came. When to look at it; None: the next one, ``every`` from now, will be nearer to its time."""
        self.fed = True
        if self.seen_at is None or now < self.seen_at:
            when = now + SETTLE
        else:
            when = max(now + SETTLE, self.seen_at + interval - TOLERANCE)
            if when > now + max(every / 2, SETTLE):
                return None
        self.wanted_at = when if self.wanted_at is None else min(self.wanted_at, when)
        return self.wanted_at
