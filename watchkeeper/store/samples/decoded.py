"""Packed samples that were asked for twice stay decoded for a while: pages and rules ask the same again and again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import STALE_BITS, FloatArray
from watchkeeper.store.samples.columns import Pick
from watchkeeper.store.samples.pieces import Dense, Located, Piece, read

#: Memory for decoded samples: 6 hours of 1,000 series at 15 seconds are 12 MB.
BUDGET = 48 << 20
#: What nobody asked for in so many seconds is given back.
IDLE_SECONDS = 300.0
#: Reads remembered, so that a second one is known as such. A scan of months passes by without a trace.
SEEN = 4096


@dataclass(slots=True)
class _Kept:
    piece: Piece  #: held, so that its identity stays its own
    values: FloatArray  #: [picked columns, all rows of the piece], read-only
    whole: bool  #: no sample is absent
    used: float


class Decoded:
    """Thread-safe. Pieces never change once they are packed, so what was decoded stays right."""

    def __init__(self, budget: int = BUDGET, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._budget, self._monotonic, self._lock = budget, monotonic, threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self.nbytes = 0

    def read(self, part: Located) -> tuple[FloatArray, bool]:
        """(values[picked columns, wanted rows], whether no sample is absent); not to be written to."""
        if isinstance(part.piece, Dense):
            values = read(part.piece, part.columns, part.low, part.high)
            return values, _complete(values)
        key = (id(part.piece), _name(part.columns))
        with self._lock:
            found, again = self._find(key), key in self._seen
        if found is None and not again:
            values = read(part.piece, part.columns, part.low, part.high)
            with self._lock:
                self._seen[key] = None
                if len(self._seen) > SEEN:
                    self._seen.popitem(last=False)
            return values, _complete(values)
        if found is None:
            found = self._decode(key, part)
        if part.low == 0 and part.high == found.values.shape[1]:
            return found.values, found.whole
        values = found.values[:, part.low : part.high]
        return values, found.whole or _complete(values)

    def _find(self, key: Hashable) -> _Kept | None:
        now = self._monotonic()
        while self._kept and now - next(iter(self._kept.values())).used > IDLE_SECONDS:
            self._drop()
        found = self._kept.get(key)
        if found is not None:
            found.used = now
            self._kept.move_to_end(key)
        return found

    def _decode(self, key: Hashable, part: Located) -> _Kept:
        values = read(part.piece, part.columns, 0, len(part.piece.times))
        values.setflags(write=False)
        made = _Kept(part.piece, values, _complete(values), self._monotonic())
        if values.nbytes <= self._budget // 4:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = made
                    self.nbytes += values.nbytes
                self._seen.pop(key, None)
                while self.nbytes > self._budget:
                    self._drop()
        return made

    def _drop(self) -> None:
        _, oldest = self._kept.popitem(last=False)
        self.nbytes -= oldest.values.nbytes


def _name(pick: Pick) -> Hashable:
    return (pick.start, pick.stop) if isinstance(pick, slice) else pick.tobytes()


def _complete(values: FloatArray) -> bool:
    """No sample is absent. Looked at in the order of memory, whichever way the array is turned."""
    return not bool((values.view(np.uint64) == np.uint64(STALE_BITS)).any())
