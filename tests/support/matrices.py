"""Small matrices for tests of arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.model import Matrix, labels

#: 2026-06-01 00:00 UTC, a Monday.
MONDAY_MS = 1_780_272_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def matrix(
    rows: Sequence[Sequence[float]] | npt.NDArray[np.float64], *, step_ms: int = MINUTE_MS, start_ms: int = MONDAY_MS
) -> Matrix:
    """One series a row, ``m{row="0"}`` and so on; NaN is an absent sample."""
    values = np.array(rows, dtype=np.float64)
    values = values.reshape(len(values), -1)
    return Matrix(
        series=tuple(labels("m", row=str(row)) for row in range(len(values))),
        times=start_ms + step_ms * np.arange(values.shape[1], dtype=np.int64),
        values=values,
        present=~np.isnan(values),
    )


def columns(whole: Matrix, start: int, stop: int) -> Matrix:
    """Some columns of a matrix."""
    part = slice(start, stop)
    return Matrix(
        series=whole.series, times=whole.times[part], values=whole.values[:, part], present=whole.present[:, part]
    )
