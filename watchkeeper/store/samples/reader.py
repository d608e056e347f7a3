"""The read half of the store: matchers to matrices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.ma  # np.unique loads it when first called: the first question would wait for it

from watchkeeper.model.series import STALE_BITS, BoolArray, FloatArray, IntArray, Labels, Matcher, Matrix, is_stale
from watchkeeper.store.samples import joining
from watchkeeper.store.samples.catalogue import Catalogue
from watchkeeper.store.samples.columns import Ids, picked_size
from watchkeeper.store.samples.decoded import Decoded
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.pieces import Located
from watchkeeper.store.samples.pushed import Pushed
from watchkeeper.store.samples.recent import Recent, Rows


class Reader:
    """Answers from head and blocks alike. Thread-safe."""

    def __init__(self, catalogue: Catalogue, sizes: Sizes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._catalogue, self._decoded, self._recent = catalogue, Decoded(), Recent(catalogue)
        self._pushed = Pushed(catalogue, catalogue.limits, sizes, monotonic)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        """One matrix per target, and one per column of times of what was pushed.

        The time column holds every tick of the target in the range, so that a series that ended shows as not present;
        series without any sample in the range are left out.
        """
        with self._catalogue.lock:
            self._recent.tidy()
            self._catalogue.load(start_ms, end_ms)
            wanted = self._catalogue.index.match(matchers)
            settled = [
                (self._catalogue.index.series(mine), parts)
                for mine, parts in self._catalogue.settle(wanted, start_ms, end_ms, pushed=False)
            ]
            groups = self._catalogue.settle(wanted, start_ms, end_ms, pushed=True)
            joined = self._settled(groups, wanted, start_ms, end_ms)
        found = (_matrix(series, parts, self._decoded) for series, parts in settled)
        return [matrix for matrix in found if len(matrix.series)] + joining.matrices(joined, self._decoded)

    def waiting(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        """Of ``select``, only what was pushed just now."""
        with self._catalogue.lock:
            joined = self._settled([], self._catalogue.index.match(matchers), start_ms, end_ms)
        return joining.matrices(joined, self._decoded)

    def _settled(
        self, groups: Sequence[tuple[Ids, list[Located]]], wanted: Ids, start_ms: int, end_ms: int
    ) -> joining.Settled:
        waiting = self._pushed.buffered(wanted, start_ms, end_ms)
        kept = [(mine, parts) for mine, parts in groups if parts]
        sids = np.unique(np.concatenate([waiting.sids, *(mine for mine, _ in kept)]))
        return joining.Settled(
            kept, (waiting.sids, waiting.times, waiting.values), sids, self._catalogue.index.series(sids)
        )

    def _sids(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Ids:
        """Matching series that belong to a piece of the range, or wait with a sample in it."""
        found = self._catalogue.sids(matchers, start_ms, end_ms)
        waiting = self._pushed.buffered(self._catalogue.index.match(matchers), start_ms, end_ms)
        return np.union1d(found, waiting.sids).astype(np.int32) if len(waiting) else found

    def recent(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, newest: bool) -> Rows | None:
        """The same samples as ``select``, and perhaps some before, of many targets in one piece; only the newest of
        each series counts if ``newest``. None where ``select`` is the way: few targets, or too long ago.
        """
        with self._catalogue.lock:
            if self._pushed.told_of(self._catalogue.index.match(matchers)):
                return None
            return self._recent.read(matchers, start_ms, end_ms, newest=newest)

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Matching series that belong to a piece of store that overlaps the range, sorted."""
        with self._catalogue.lock:
            return sorted(self._catalogue.index.series(self._sids(matchers, start_ms, end_ms)))

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        with self._catalogue.lock:
            return self._catalogue.index.names(self._sids(matchers, start_ms, end_ms))

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        with self._catalogue.lock:
            return self._catalogue.index.values(name, self._sids(matchers, start_ms, end_ms))


def _matrix(series: tuple[Labels, ...], parts: Sequence[Located], decoded: Decoded) -> Matrix:
    if not parts:
        return Matrix(series=(), times=np.empty(0, np.int64), values=np.empty((0, 0)), present=np.empty((0, 0), bool))
    times, values, whole = _gather(parts, len(series), decoded)
    if whole:
        return Matrix(series=series, times=times, values=values, present=np.ones(values.shape, bool))
    absent = is_stale(values)
    values[absent] = np.nan
    alive: BoolArray = ~np.all(absent, axis=1)
    if not alive.all():
        values, absent = values[alive], absent[alive]
        series = tuple(labels for labels, lives in zip(series, alive.tolist(), strict=True) if lives)
    return Matrix(series=series, times=times, values=values, present=~absent)


def _gather(parts: Sequence[Located], size: int, decoded: Decoded) -> tuple[IntArray, FloatArray, bool]:
    """(times, values[size, time], whether every sample is there); absent samples carry staleness bits."""
    times = np.concatenate([part.times for part in parts])
    values, at, whole = np.empty((size, len(times))), 0, True
    for part in parts:
        into, found = values[:, at : at + len(part.times)], picked_size(part.rows)
        if found < size:
            into.view(np.uint64)[...] = STALE_BITS
        if found:
            samples, complete = decoded.read(part)
            into[part.rows] = samples
            whole = whole and complete
        whole, at = whole and found == size, at + len(part.times)
    return times, values, whole
