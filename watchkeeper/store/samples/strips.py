"""What was asked for twice stays put together for a while: pages and rules ask the same again, and the newest besides.

A target's samples never change and new ones come after them. So the second question over about the same time keeps what
it read as a strip, the third reads only what came since, and nothing is copied.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import ReferenceType, ref

import numpy as np

from watchkeeper.model.series import Labels, Matrix
from watchkeeper.store.samples.catalogue import Catalogue, TargetState
from watchkeeper.store.samples.columns import Ids, picked_size
from watchkeeper.store.samples.cores import CORES, SHARED
from watchkeeper.store.samples.pieces import Dense, Located, locate
from watchkeeper.store.samples.strip import SAMPLE_BYTES, Strip, put_together

#: Memory for strips: 6 hours of 1,000 series at 15 seconds are 13 MB. One alone may have half of it.
BUDGET = 48 << 20
#: Counted for each besides its samples.
OVERHEAD = 1024
#: What nobody asked for in so many seconds is given back.
IDLE_SECONDS = 300.0
#: Questions remembered, so that a second one is known as such. A scan of months passes by without a trace.
SEEN = 4096
#: Spans of time kept of one question to one target: now, and the same a day ago.
SPANS = 4

#: The series asked for, by identity, and the target.
Key = tuple[int, int]
#: Of a target that has gone.
NOTHING = Matrix(series=(), times=np.empty(0, np.int64), values=np.empty((0, 0)), present=np.empty((0, 0), np.bool_))


@dataclass(slots=True, eq=False)
class _Kept:
    wanted: Ids  #: held, so that its identity stays its own
    strip: Strip
    used: float
    nbytes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """What a question wants of one target; settled under the store's lock, read outside it."""

    target: TargetState
    wanted: Ids
    sids: Ids  #: those of ``wanted`` that it has
    series: tuple[Labels, ...]
    strip: Strip | None  #: None for a question that may never come again
    parts: Sequence[Located]  #: what the strip lacks, or everything
    start_ms: int
    end_ms: int

    @property
    def key(self) -> Key:
        return id(self.wanted), self.target.number

    @property
    def packed(self) -> int:
        """Values that have to be decoded."""
        rows = sum([len(part.piece.times) for part in self.parts if not isinstance(part.piece, Dense)])
        return rows * len(self.sids)


class Strips:
    """Thread-safe; ``need`` is called under the catalogue's lock."""

    def __init__(
        self, catalogue: Catalogue, budget: int = BUDGET, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalogue, self._budget, self._monotonic, self._lock = catalogue, budget, monotonic, threading.Lock()
        self._kept: OrderedDict[int, tuple[Key, _Kept]] = OrderedDict()  #: by identity, least recently used first
        self._found: dict[Key, list[_Kept]] = {}
        self._seen: OrderedDict[Key, tuple[ReferenceType[Ids], int, int]] = OrderedDict()
        self.nbytes = 0

    def need(
        self, target: TargetState, wanted: Ids, start_ms: int, end_ms: int, *, afresh: bool = False
    ) -> Need | None:
        """None where the target has nothing of it; ``afresh`` passes by what is kept."""
        start_ms, end_ms = max(start_ms, target.raw_from_ms), min(end_ms, target.newest_ms)
        if start_ms > end_ms:
            return None
        key = (id(wanted), target.number)
        with self._lock:
            kept = None if afresh else self._fitting(key, start_ms)
        if kept is not None:
            more = self._more(target, wanted, kept.strip, end_ms)
            if more is not None:
                return Need(target, wanted, kept.strip.sids, kept.strip.series, kept.strip, more, start_ms, end_ms)
            with self._lock:
                self._drop(kept)
        spans = list(target.spans(start_ms, end_ms))
        mine = self._catalogue.within(wanted, spans)
        if not len(mine):
            return None
        found = [locate(piece, mine, start_ms, edge) for piece, edge in spans]
        parts = [part for part in found if part is not None]
        keep = not afresh and self._again(key, wanted, start_ms, end_ms) and self._fits(mine, parts)
        series = self._catalogue.index.series(mine)
        return Need(
            target, wanted, mine, series, Strip(mine, series, start_ms) if keep else None, parts, start_ms, end_ms
        )

    def _fitting(self, key: Key, start_ms: int) -> _Kept | None:
        """The strip that begins early enough and has no gap before what the question wants."""
        for kept in self._found.get(key, ()):
            strip = kept.strip
            if strip.low_ms <= start_ms <= strip.high_ms + 1:
                kept.used = self._monotonic()
                self._kept.move_to_end(id(kept))
                strip.asked_ms = min(strip.asked_ms, start_ms)
                return kept
        return None

    def _more(self, target: TargetState, wanted: Ids, strip: Strip, end_ms: int) -> Sequence[Located] | None:
        """What comes after the strip's end; None where it has series that the strip has no row for."""
        found, begin_ms = [], strip.high_ms + 1
        for piece, edge in target.spans(begin_ms, end_ms) if begin_ms <= end_ms else ():
            part = locate(piece, strip.sids, begin_ms, edge)
            if part is not None:
                found.append(part)
                if len(piece.columns.narrow(wanted)) > picked_size(part.rows):
                    return None
        return found

    def _again(self, key: Key, wanted: Ids, start_ms: int, end_ms: int) -> bool:
        """Whether about the same was asked before."""
        before = self._seen.pop(key, None)
        self._seen[key] = (ref(wanted), start_ms, end_ms)
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return before is not None and before[0]() is wanted and before[1] <= end_ms and start_ms <= before[2]

    def _fits(self, sids: Ids, parts: Sequence[Located]) -> bool:
        return SAMPLE_BYTES * len(sids) * sum(len(part.times) for part in parts) <= self._budget // 2

    def read(self, needs: Sequence[Need]) -> list[Matrix]:
        """The answers, in order."""
        if sum(need.packed for need in needs) < 2 * SHARED:
            return [self._read(need) for need in needs]
        return CORES.map(self._read, needs)

    def _read(self, need: Need) -> Matrix:
        if need.strip is None:
            return self._once(need)
        answer = need.strip.read(need.parts, need.start_ms, need.end_ms)
        with self._lock:
            self._keep(need, need.strip)
        return self._afresh(need) if answer is None else answer

    @staticmethod
    def _once(need: Need) -> Matrix:
        return put_together(need.series, need.parts) if need.parts else NOTHING

    def _afresh(self, need: Need) -> Matrix:
        """Of a strip whose beginning went between question and answer, as others needed the room."""
        with self._catalogue.lock:
            again = self.need(need.target, need.wanted, need.start_ms, need.end_ms, afresh=True)
        return NOTHING if again is None else self._once(again)

    # --- keeping ---

    def _keep(self, need: Need, strip: Strip) -> None:
        mine = self._found.setdefault(need.key, [])
        kept = next((one for one in mine if one.strip is strip), None)
        if kept is None:
            kept = _Kept(need.wanted, strip, self._monotonic())
            for other in [one for one in mine if strip.low_ms <= one.strip.low_ms <= strip.high_ms + 1]:
                self._drop(other)
            if len(mine) >= SPANS:
                self._drop(min(mine, key=lambda one: one.used))
            self._found.setdefault(need.key, mine).append(kept)
            self._kept[id(kept)] = (need.key, kept)
        size = strip.nbytes + OVERHEAD
        self.nbytes, kept.nbytes = self.nbytes + size - kept.nbytes, size
        while self.nbytes > self._budget:
            self._drop(next(iter(self._kept.values()))[1])

    def tidy(self) -> None:
        """Give back what nobody asked for lately."""
        now = self._monotonic()
        with self._lock:
            while self._kept and now - (oldest := next(iter(self._kept.values()))[1]).used > IDLE_SECONDS:
                self._drop(oldest)

    def _drop(self, kept: _Kept) -> None:
        found = self._kept.pop(id(kept), None)
        if found is None:
            return
        self.nbytes -= kept.nbytes
        mine = self._found[found[0]]
        mine.remove(kept)
        if not mine:
            del self._found[found[0]]
