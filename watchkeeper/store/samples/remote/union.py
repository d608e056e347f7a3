"""One answer of two: what the server shows, and the newest hours that are here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watchkeeper.model import Labels, Matrix
from watchkeeper.store.samples.remote.raw import Rows, matrices


def unite(here: Sequence[Matrix], there: Rows) -> list[Matrix]:
    """Of a series that is here from some moment on, the server's samples before that moment; of others, all."""
    begins = _begins(here)
    kept: Rows = {}
    for series, (times, values) in there.items():
        begin = begins.get(series)
        if begin is None:
            kept[series] = (times, values)
        elif len(times) and times[0] < begin:
            older = times < begin
            kept[series] = (times[older], values[older])
    return [*here, *matrices(kept)]


def _begins(here: Sequence[Matrix]) -> dict[Labels, int]:
    """When each series' first sample was taken."""
    found: dict[Labels, int] = {}
    for matrix in here:
        first = matrix.times[np.argmax(matrix.present, axis=1)].tolist()
        for series, begin in zip(matrix.series, first, strict=True):
            found[series] = min(begin, found.get(series, begin))
    return found
