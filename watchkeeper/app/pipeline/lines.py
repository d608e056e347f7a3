"""Lines: what collectors read is masked and kept together with the position it was read to; every line is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from watchkeeper.app.pipeline.collect import Source
from watchkeeper.clock import Clock, to_ms
from watchkeeper.config import Loaded
from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.masking import Masker
from watchkeeper.model import Labels, LogBatch
from watchkeeper.ports import LineKeeper, LogStore
from watchkeeper.store.logs import RetentionClass, class_of
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

#: A line that says it comes from further ahead is taken to come from now: it would be kept for ever.
AHEAD = timedelta(minutes=10)
#: Sets of labels of which it is remembered how long their lines are kept.
MOST_STREAMS = 10_000


@dataclass(slots=True, eq=False)
class Keeping:
    """Lines on their way to wherever they are kept. One collection at a time: ``executor`` is one thread."""

    store: LineKeeper
    masker: Masker
    telemetry: Telemetry
    clock: Clock
    executor: Executor
    counted: Callable[[Sequence[LogBatch]], None] = lambda _batches: None  #: logs to metrics, each line once
    _told: dict[str, int] = field(default_factory=dict)  #: rule -> masked places already counted

    async def take(self, source: Source, batches: Sequence[LogBatch]) -> None:
        """Keep what a source read and how far; durable on return. What cannot be kept is counted by reason."""
        position = getattr(source.collector, "position", None)
        if position is None and not batches:
            return
        read = position() if position is not None else None
        put = partial(self.put, source.name, batches, read, again=False)
        await asyncio.get_running_loop().run_in_executor(self.executor, put)

    async def keep(self, name: str, batches: Sequence[LogBatch], position: Mapping[str, Any] | None = None) -> bool:
        """False when nothing was kept."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, self.put, name, batches, position)

    def put(
        self, name: str, batches: Sequence[LogBatch], position: Mapping[str, Any] | None = None, *, again: bool = True
    ) -> bool:
        """``keep``, in the thread of the executor. ``again``: lines that are refused come again, and count then."""
        received = sum(map(len, batches))
        kept = [self.masker.mask(self._in_time(name, batch)) for batch in batches if len(batch)]
        try:
            stored, reason = self.store.append(name, kept, position, self.clock.now()), ""
        except StoreError as error:
            stored, reason = 0, "disk_full" if isinstance(error, StoreFullError) else "store"
            log.error("lines not kept", source=name, lines=received, error=str(error))
        if not reason or not again:
            self.counted(kept)
        self.telemetry.count_lines(name, received, stored, reason)
        for rule, count in self.masker.masked.items():
            self.telemetry.log_masked.labels(rule).inc(count - self._told.get(rule, 0))
        self._told = dict(self.masker.masked)
        return not reason

    def _in_time(self, name: str, batch: LogBatch) -> LogBatch:
        """Lines that come from further ahead, or from before all that is kept, come from now."""
        now = self.clock.now()
        ahead = batch.times > to_ms(now + AHEAD)
        old = batch.times < to_ms(now) - self.kept_ms(batch.labels)
        for reason, wrong in (("ahead", ahead), ("old", old)):
            if count := int(np.count_nonzero(wrong)):
                self.telemetry.log_times.labels(name, reason).inc(count)
                batch = replace(batch, times=np.where(wrong, to_ms(now), batch.times))
        return batch

    def kept_ms(self, _labels: Labels) -> int:
        """How old lines with these labels may become; here, any age."""
        return 1 << 60

    def restore(self, sources: Mapping[str, Source]) -> None:
        """Sources that know positions go on where their lines end."""
        for name, position in self.store.positions().items():
            restore = getattr(sources[name].collector, "restore", None) if name in sources else None
            if restore is not None:
                restore(position)


@dataclass(slots=True, eq=False)
class Lines(Keeping):
    """Lines of an engine, kept for as long as its configuration says."""

    store: LogStore
    retention: timedelta = timedelta(days=15)
    classes: Sequence[RetentionClass] = ()
    _kept: dict[Labels, int] = field(default_factory=dict)

    def kept_ms(self, labels: Labels) -> int:
        found = self._kept.get(labels)
        if found is None:
            if len(self._kept) >= MOST_STREAMS:
                self._kept.clear()
            spans = {one.name: one.retention for one in self.classes}
            span = spans.get(class_of(labels, self.classes), self.retention)
            found = self._kept[labels] = round(span.total_seconds() * 1000)
        return found

    def use(self, loaded: Loaded) -> None:
        """Retention and rules of a new configuration, checked before."""
        section = loaded.config.logs
        self.retention, self.classes, self._kept = section.retention, classes_of(loaded), {}
        self.store.keep_for(self.retention, self.classes, section.retention_bytes)
        self.masker, self._told = masker_of(loaded), {}


def classes_of(loaded: Loaded) -> list[RetentionClass]:
    """Raises ConfigError for a pattern that is none."""
    found = []
    for place, row in enumerate(loaded.config.logs.classes):
        one = RetentionClass(name=row.name, match=row.match, retention=row.retention)
        loaded.part(("logs", "classes", place, "match"), one.check)
        found.append(one)
    return found


def masker_of(loaded: Loaded) -> Masker:
    """Raises ConfigError for a rule that is none."""
    section = loaded.config.logs.masking
    found: Masker = loaded.part(("logs", "masking"), lambda: Masker(section.rules, section.patterns))
    return found
