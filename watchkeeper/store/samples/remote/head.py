"""The newest hours of what this engine writes: an embedded store that forgets early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np

from watchkeeper.clock import Clock, to_ms
from watchkeeper.errors import StoreError
from watchkeeper.model import Tick
from watchkeeper.ports import Appended
from watchkeeper.store.samples.columns import Columns, decode_series
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.embedded import EmbeddedStore
from watchkeeper.store.samples.limits import Limits, Sizes
from watchkeeper.store.samples.pushed import Samples
from watchkeeper.store.samples.records import PushedRecord
from watchkeeper.store.samples.remote.outbox import Pending, pending_of
from watchkeeper.store.samples.replay import Replay
from watchkeeper.store.samples.snapshot import Noted

#: Span of one block of the head: what is forgotten goes in such pieces.
BLOCK_SPAN = timedelta(minutes=30)


class Head(EmbeddedStore):
    """As its parent; ``take`` also tells what is to be sent on."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        span: timedelta,
        spooled: int,
        forward: Callable[[Pending], None],
        limits: Limits | None = None,
        sizes: Sizes | None = None,
    ) -> None:
        #: what the log holds beyond the spool: a crash came between the two
        self.unsent = [one for one in _logged(directory) if one.sequence > spooled]
        self._passed, self._forward = 0, forward
        super().__init__(
            directory,
            clock=clock,
            retention=span,
            limits=limits,
            sizes=sizes,
            block_span=BLOCK_SPAN,
            tiers={},
        )
        self._span, self._began_ms = span, self._began(directory / "began")

    def _began(self, note: Path) -> int:
        """When this head was first opened: of what was before, it knows nothing."""
        try:
            if note.exists():
                return int(note.read_text(encoding="ascii"))
            began = to_ms(self._clock.now())
            note.write_text(str(began), encoding="ascii")
            return began
        except (OSError, ValueError) as error:
            self.close()
            raise StoreError(f"{note} cannot be used: {error}") from error

    @property
    def complete_from_ms(self) -> int:
        """From here on it has everything this engine wrote."""
        return max(self._began_ms, to_ms(self._clock.now() - self._span))

    def take(self, tick: Tick) -> Appended:
        """Keep a tick and hand it on. What is too old for the head is kept by being sent."""
        line = self.append(tick)
        size = len(tick.values)
        if line.rejected.get("too_old", 0) == size > 0:
            self._passed += size
            self._forward(pending_of(tick, tick.layout.series, None, 0))
            return Appended(received=size, stored=size, sequence=line.sequence)
        if not line.stored:
            return line
        with self._catalogue.lock:
            admitted = self._catalogue.admit(self._catalogue.target(tick.target), tick.layout)
        self._forward(pending_of(tick, admitted.columns.series, admitted.kept, line.sequence))
        return line

    def _log_pushed(self, found: Samples) -> int:
        sequence = super()._log_pushed(found)
        with self._catalogue.lock:
            series = tuple(self._catalogue.index.series(found.sids))
        self._forward(Pending("", series, found.times, found.values, sequence))
        return sequence

    def figures(self) -> dict[str, int | float]:
        """``stats`` in which samples that were passed on for their age are stored, not rejected."""
        found = dict(self.stats())
        found["stored"] += self._passed
        found["rejected"] -= self._passed
        found["rejected_too_old"] -= self._passed
        return found


def _logged(directory: Path) -> Iterator[Pending]:
    """Every tick of the log, in order."""
    if not (directory / "log").is_dir():
        return

    def columns(blob: bytes) -> Columns:
        key, series = decode_series(blob)
        return Columns(series, np.arange(len(series), dtype=np.int32), key=key, blob=blob)

    replay = Replay(directory / "log", Disk(), Noted(directory), columns, tidy=False)
    seen = set[int]()  #: a record is written twice where a disk refused to sync
    for record in replay.records():
        if record.sequence in seen:
            continue
        seen.add(record.sequence)
        if isinstance(record, PushedRecord):
            places, times, values = record.arrays()
            listed = [one for key in record.keys for one in replay.columns[key].series]
            yield Pending("", [listed[place] for place in places.tolist()], times, values, record.sequence)
            continue
        values = np.array(record.values(), dtype=np.float64)
        times = np.full(len(values), record.time_ms, dtype=np.int64)
        yield Pending(record.target, replay.columns[record.key].series, times, values, record.sequence)
