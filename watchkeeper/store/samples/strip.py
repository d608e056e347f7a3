"""Some series of one target side by side over one span of time, as a question wants them, and growing at its end."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from watchkeeper.model.series import STALE_BITS, BoolArray, FloatArray, IntArray, Labels, Matrix, everywhere
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.pieces import Located

#: Before every time.
NEVER_MS = -(1 << 62)
#: Bytes of a sample: its value, and whether it is there.
SAMPLE_BYTES = 9
#: Room for what is still to come, at least so many ticks and this share of what there is.
MORE_TICKS, MORE_SHARE = 16, 0.25

_STALE = np.uint64(STALE_BITS)


class Strip:
    """Every tick of the target with low <= t <= high. Thread-safe; what was handed out never changes."""

    __slots__ = (
        "_count",
        "_gap_ms",
        "_lock",
        "_present",
        "_times",
        "_values",
        "asked_ms",
        "high_ms",
        "low_ms",
        "series",
        "sids",
    )

    def __init__(self, sids: Ids, series: tuple[Labels, ...], low_ms: int) -> None:
        self.sids, self.series = sids, series
        self.low_ms, self.high_ms = low_ms, low_ms - 1
        self.asked_ms = low_ms  #: ticks before it may go
        self._lock, self._count, self._gap_ms = threading.Lock(), 0, NEVER_MS
        self._times: IntArray = np.empty(0, np.int64)
        self._values: FloatArray = np.empty((len(sids), 0))
        self._present: BoolArray = np.empty((len(sids), 0), np.bool_)

    @property
    def nbytes(self) -> int:
        return self._values.nbytes + self._present.nbytes

    def read(self, parts: Sequence[Located], start_ms: int, end_ms: int) -> Matrix | None:
        """What is asked for, ``parts`` being what was missing when the question came.

        None when the beginning has gone meanwhile.
        """
        with self._lock:
            fresh = [part for part in map(self._after, parts) if part is not None]
            if fresh:
                self._grow(fresh, start_ms)
            self.high_ms = max(self.high_ms, end_ms)
            return None if start_ms < self.low_ms else self._matrix(start_ms, end_ms)

    def _after(self, part: Located) -> Located | None:
        """What of it is not here yet: another thread may have added it since."""
        if part.times[0] > self.high_ms:
            return part
        skip = int(part.times.searchsorted(self.high_ms, "right"))
        if skip == len(part.times):
            return None
        return Located(part.piece, part.times[skip:], part.low + skip, part.high, part.rows, part.columns)

    def _grow(self, parts: Sequence[Located], start_ms: int) -> None:
        more = sum(len(part.times) for part in parts)
        if self._count + more > len(self._times):
            self._move(more, start_ms)
        for part in parts:
            self._add(part)

    def _move(self, more: int, start_ms: int) -> None:
        """To a larger place, without what nobody asked for lately."""
        gone = int(self._times[: self._count].searchsorted(self.asked_ms)) if self._count else 0
        if gone:
            self.low_ms = self.asked_ms
        self.asked_ms = start_ms
        kept = self._count - gone
        room = kept + more
        room += max(MORE_TICKS, int(MORE_SHARE * room))
        times, size = np.empty(room, np.int64), len(self.sids)
        values, present = np.empty((size, room)), np.empty((size, room), np.bool_)
        if kept:
            times[:kept] = self._times[gone : self._count]
            values[:, :kept] = self._values[:, gone : self._count]
            present[:, :kept] = self._present[:, gone : self._count]
        self._times, self._values, self._present, self._count = times, values, present, kept

    def _add(self, part: Located) -> None:
        at, end = self._count, self._count + len(part.times)
        values, present = self._values[:, at:end], self._present[:, at:end]
        if part.fill(self._values, at):
            present[...] = True
        else:
            np.not_equal(values.view(np.uint64), _STALE, out=present)
            if not present.all():
                values[~present] = np.nan
                self._gap_ms = int(part.times[-1])
        self._times[at:end] = part.times
        self._count = end

    def _matrix(self, start_ms: int, end_ms: int) -> Matrix:
        times = self._times[: self._count]
        span = slice(int(times.searchsorted(start_ms)), int(times.searchsorted(end_ms, "right")))
        present = self._present[:, span] if start_ms <= self._gap_ms else None
        return _matrix(self.series, times[span], self._values[:, span], present)


def put_together(series: tuple[Labels, ...], parts: Sequence[Located]) -> Matrix:
    """The answer to a question of its own: nothing is kept for another."""
    times = np.concatenate([part.times for part in parts])
    values, at, whole = np.empty((len(series), len(times))), 0, True
    for part in parts:
        whole &= part.fill(values, at)
        at += len(part.times)
    if whole:
        return _matrix(series, times, values, None)
    present = values.view(np.uint64) != _STALE
    if present.all():
        return _matrix(series, times, values, None)
    values[~present] = np.nan
    return _matrix(series, times, values, present)


def _matrix(series: tuple[Labels, ...], times: IntArray, values: FloatArray, present: BoolArray | None) -> Matrix:
    """Without the series that have no sample; None for no sample absent. Nobody can write to it."""
    if present is None:
        present = everywhere(*values.shape)
    else:
        alive: BoolArray = np.asarray(present.any(axis=1))
        if not alive.all():
            values, present = values[alive], present[alive]
            series = tuple([labels for labels, lives in zip(series, alive.tolist(), strict=True) if lives])
        present.flags.writeable = False
    times.flags.writeable = values.flags.writeable = False
    return Matrix(series=series, times=times, values=values, present=present)
