"""The read half of the store: matchers to matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watchkeeper.model.series import BoolArray, Labels, Matcher, Matrix, is_stale
from watchkeeper.store.samples.catalogue import Catalogue, Settled
from watchkeeper.store.samples.pieces import gather


class Reader:
    """Answers from head and blocks alike. Thread-safe."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        """One matrix per target. Its time column holds every tick of the target in the range, so that a series
        that ended shows as not present; series without any sample in the range are left out.
        """
        with self._catalogue.lock:
            settled = self._catalogue.settle(matchers, start_ms, end_ms)
        found = (_matrix(one) for one in settled)
        return [matrix for matrix in found if len(matrix.series)]

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Matching series that belong to a piece of store that overlaps the range, sorted."""
        with self._catalogue.lock:
            return sorted(self._catalogue.index.series(self._catalogue.sids(matchers, start_ms, end_ms)))

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        with self._catalogue.lock:
            return self._catalogue.index.names(self._catalogue.sids(matchers, start_ms, end_ms))

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        with self._catalogue.lock:
            return self._catalogue.index.values(name, self._catalogue.sids(matchers, start_ms, end_ms))


def _matrix(settled: Settled) -> Matrix:
    series, parts = settled
    times, values = gather(parts, len(series)) if parts else (np.empty(0, np.int64), np.empty((0, 0)))
    absent = is_stale(values)
    if absent.any():
        values[absent] = np.nan
        alive: BoolArray = ~np.all(absent, axis=1)
        if not alive.all():
            values, absent = values[alive], absent[alive]
            series = tuple(labels for labels, lives in zip(series, alive.tolist(), strict=True) if lives)
    elif not parts:
        series = ()
    return Matrix(series=series, times=times, values=values, present=~absent)
