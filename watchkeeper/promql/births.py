"""Start timestamps: when the counter behind a sample began. They betray resets that values alone do not show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model import Matrix
from watchkeeper.model.series import BoolArray, IntArray
from watchkeeper.promql.block import Windows
from watchkeeper.promql.histograms.model import Histograms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StartedMatrix(Matrix):
    """A matrix whose source also told start times. Readers may answer it in place of a plain one."""

    starts: IntArray  #: shape [series, time], milliseconds; 0 is unknown


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HistogramMatrix(Matrix):
    """A matrix some of whose samples are native histograms."""

    histograms: Histograms  #: shape [series, time]; None where the sample is a float or absent
    starts: IntArray | None = None  #: as those of a StartedMatrix


def births_of(matrix: Matrix) -> IntArray | None:
    """The start times of a matrix, None when its source tells none."""
    return matrix.starts if isinstance(matrix, StartedMatrix | HistogramMatrix) else None


def histograms_of(matrix: Matrix) -> Histograms | None:
    """The histograms of a matrix, None when it holds none."""
    return matrix.histograms if isinstance(matrix, HistogramMatrix) else None


def restarts(windows: Windows) -> BoolArray:
    """Whether the counter began anew between each sample and the one before; [series, samples - 1]."""
    born, times = windows.born, np.broadcast_to(windows.times, windows.values.shape)
    if born is None:
        return np.zeros((len(windows.series), max(windows.values.shape[1] - 1, 0)), bool)
    old, new, before, now = born[:, :-1], born[:, 1:], times[:, :-1], times[:, 1:]
    valid = (new != 0) & (new < now)
    # a start at the last sample's time is a delta's, unless the last start was unknown or impossible itself
    delta = (new == before) & (old != 0) & (old < before)
    restarted: BoolArray = valid & ((new > before) | delta)
    return restarted


def overlaps(windows: Windows) -> BoolArray:
    """Series in which, inside some window, a start lies before the last sample without being its start."""
    born, times = windows.born, np.broadcast_to(windows.times, windows.values.shape)
    if born is None:
        return np.zeros(len(windows.series), bool)
    old, new, before = born[:, :-1], born[:, 1:], times[:, :-1]
    wrong = (new != 0) & (new < before) & (new != old)
    total = np.zeros(windows.values.shape)
    np.cumsum(wrong, axis=1, out=total[:, 1:])
    inside = np.subtract(windows.take(total, windows.hi - 1), windows.take(total, windows.lo), dtype=np.float64)
    found: BoolArray = np.asarray(((inside > 0) & (windows.count > 1)).any(axis=1))
    return found


def first_birth(windows: Windows) -> tuple[IntArray, BoolArray]:
    """The start time of each window's first sample, and whether it lies inside the window and before the sample."""
    assert windows.born is not None
    start: IntArray = windows.take(windows.born, windows.lo).astype(np.int64)
    inside = (start != 0) & (start > windows.starts) & (start < windows.time_at(windows.lo)) & (windows.count > 0)
    return start, inside
