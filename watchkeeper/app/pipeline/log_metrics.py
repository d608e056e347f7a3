"""Logs to metrics: lines of any source, once they are masked, are counted by rule and read like any other source."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from collectors.base import Reading, Sheet, merge_labels
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.log_packs import PACKS
from watchkeeper.app.pipeline.log_rules import LogRule
from watchkeeper.app.pipeline.log_templates import KindOfLine, LineTemplates
from watchkeeper.app.pipeline.log_unusual import Unusual
from watchkeeper.clock import Clock, to_ms
from watchkeeper.config import Loaded
from watchkeeper.config.logs import Templates
from watchkeeper.model import Labels, Layout, LogBatch, Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

#: Name of the one source that stands for all rules.
SOURCE = "log_metrics"
#: Sets of labels of sources, of which it is remembered whether a rule wants them.
MOST_STREAMS = 10_000
Own = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Total:
    """One series' figures since the engine started."""

    touched: datetime
    count: float = 0.0
    sum: float = 0.0
    buckets: list[float] = field(default_factory=list)


class Counting:
    """One rule and what it has counted. ``refused``: reason -> lines that fitted and do not stand in a series."""

    def __init__(self, rule: LogRule, now: datetime) -> None:
        self.rule, self.options = rule, rule.options
        self.totals: dict[Own, Total] = {}
        self.refused: Counter[str] = Counter(series_limit=0, value=0)
        self._wanted: dict[Labels, bool] = {}
        if not self.options.labels and not self.options.match:
            self.totals[()] = self._new(now)

    def take(self, batch: LogBatch, now: datetime) -> None:
        wanted = self._wanted.get(batch.labels)
        if wanted is None:
            if len(self._wanted) >= MOST_STREAMS:
                self._wanted.clear()
            wanted = self._wanted[batch.labels] = self.rule.wants(dict(batch.labels))
        if not wanted:
            return
        seen, wrong = self.rule.read(batch)
        self.refused["value"] += wrong
        for own, number in seen:
            self._add(own, number, now)

    def _add(self, own: Own, number: float, now: datetime) -> None:
        total = self.totals.get(own)
        if total is None:
            if len(self.totals) >= self.options.series_limit:
                self.refused["series_limit"] += 1
                return
            total = self.totals[own] = self._new(now)
        total.touched, total.count, total.sum = now, total.count + 1, total.sum + number
        if total.buckets and (place := bisect_left(self.options.buckets, number)) < len(total.buckets):
            total.buckets[place] += 1

    def _new(self, now: datetime) -> Total:
        return Total(now, buckets=[0.0] * len(self.options.buckets) if self.options.type == "histogram" else [])

    def forget(self, now: datetime) -> None:
        """Drop sets of labels of which no line has come for long."""
        for own, total in list(self.totals.items()):
            if own and now - total.touched >= self.options.forget_after:
                del self.totals[own]

    def readings(self) -> Iterator[Reading]:
        name = self.options.name
        for own, total in self.totals.items():
            if self.options.type == "histogram":
                below = 0.0
                for edge, count in zip(self.options.buckets, total.buckets, strict=True):
                    below += count
                    yield f"{name}_bucket", (*own, ("le", f"{edge:g}")), below
                yield f"{name}_bucket", (*own, ("le", "+Inf")), total.count
                yield f"{name}_sum", own, total.sum
                yield f"{name}_count", own, total.count
            else:
                yield name, own, total.count if self.options.type == "count" else total.sum
        for reason, count in sorted(self.refused.items()):
            yield "watchkeeper_log_metric_refused_total", (("metric", name), ("reason", reason)), float(count)


class LogMetrics:
    """A collector over what the rules counted. Lines come from the lines' thread, readings from the loop.

    A series begins with a zero at the reading before its first line, so that ``increase`` sees the first lines too;
    ``append`` stores these zeros.
    """

    def __init__(
        self,
        rules: Sequence[LogRule],
        clock: Clock,
        interval: timedelta,
        labels: dict[str, str],
        append: Callable[[str, Sequence[Tick]], Awaitable[object]],
        templates: LineTemplates,
        within: timedelta,
    ) -> None:
        self._clock, self._append, self._lock = clock, append, threading.Lock()
        self._labels = {"job": SOURCE, **labels}
        self._sheet = Sheet(f"{SOURCE}/rules", self._labels, honor=True, limit=1_000_000)
        self._read_at = clock.now()  #: of the last reading
        self._known: frozenset[Labels] = frozenset()
        self._counting = [Counting(rule, clock.now()) for rule in rules]
        self.templates, self._within, self._late = templates, within, 0
        self.source = Source(SOURCE, SOURCE, interval, self, dict(self._labels), target="logs.metrics")

    @property
    def any(self) -> bool:
        """Whether lines are counted at all."""
        return bool(self._everything())

    def _everything(self) -> list[Counting | LineTemplates]:
        return [*self._counting, *([self.templates] if self.templates.enabled else [])]

    def use(self, rules: Sequence[LogRule], templates: Templates, within: timedelta) -> None:
        """Rules of a new configuration; one that stayed the same goes on counting."""
        with self._lock:
            self.templates.use(templates)
            self._within = within
            before = {one.options.name: one for one in self._counting}
            self._counting = [
                known
                if (known := before.get(rule.options.name)) is not None and known.options == rule.options
                else Counting(rule, self._clock.now())
                for rule in rules
            ]

    def take(self, batches: Sequence[LogBatch]) -> None:
        """Lines as they are kept: masked, so that no secret becomes a label.

        Of lines that happened long ago kinds are learned; yesterday's are no rate of today.
        """
        if not self.any:
            return
        now = self._clock.now()
        with self._lock:
            recent = [batch for one in batches if len(batch := self._recent(one, now))]
            for one in self._everything():
                for batch in recent:
                    one.take(batch, now)

    def _recent(self, batch: LogBatch, now: datetime) -> LogBatch:
        late = batch.times < to_ms(now - self._within)
        if not late.any():
            return batch
        self._late += int(np.count_nonzero(late))
        if self.templates.enabled:
            self.templates.know(batch.pick(np.flatnonzero(late)))
        return batch.pick(np.flatnonzero(~late))

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002 - others come to us
        with self._lock:
            for one in self._everything():
                one.forget(now)
            readings = [reading for one in self._everything() for reading in one.readings()]
            readings.append(("watchkeeper_log_late_lines_total", (), float(self._late)))
        if begins := self._begins(now, readings):
            await self._append(SOURCE, begins)
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick] if len(tick.layout) else [], rejected=dict(self._sheet.rejected))

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """The end of every series, where the source is taken away."""
        tick = self._sheet.stale_tick(now)
        self._known = frozenset()
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """What was learned of kinds of lines is kept."""
        with self._lock:
            self.templates.save()

    def kinds(self, limit: int) -> list[KindOfLine]:
        """Kinds of lines, the most frequent first."""
        with self._lock:
            return self.templates.kinds(limit)

    def of_kind(self, name: str, texts: Sequence[str]) -> list[bool]:
        """Which lines are of the kind of that name."""
        with self._lock:
            return self.templates.fits(name, texts)

    def unusual(self) -> list[tuple[Unusual, dict[str, str]]]:
        """Unusual lines, newest first, with the texts of the templates that each names."""
        with self._lock:
            return self.templates.found()

    def _begins(self, now: datetime, readings: Sequence[Reading]) -> list[Tick]:
        """Zeros of the series that are new, just after the last reading."""
        at, self._read_at = to_ms(self._read_at) + 1, now
        series = {merge_labels(name, own, self._labels, honor=True) for name, own, _ in readings}
        new, self._known = tuple(sorted(series - self._known)), frozenset(series)
        if not new or at >= to_ms(now):
            return []
        return [Tick(target=f"{SOURCE}/rules", time_ms=at, layout=Layout(new), values=np.zeros(len(new)))]


def rules_of(loaded: Loaded) -> list[LogRule]:
    """Raises ConfigError with the place of a pattern that is none."""
    section = loaded.config.logs
    own = [
        loaded.part(("logs", "metrics", place), lambda row=row: LogRule.of(row))
        for place, row in enumerate(section.metrics)
    ]
    taken = {row.name for row in section.metrics}  # one's own rule of that name stands in its place
    return own + [LogRule.of(row) for pack in section.packs for row in PACKS[pack] if row.name not in taken]
