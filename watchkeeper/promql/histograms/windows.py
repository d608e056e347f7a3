"""Windows that hold histograms: taken apart cell by cell, or left with their floats only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Edges, Windows
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms.model import is_native
from watchkeeper.promql.histograms.sequence import Sample, Sequence_


def cells(context: Context, windows: Windows, place: tuple[int, int], position: int) -> Sequence_:
    """The samples of one window, (row, step), in order."""
    row, step = place
    found = Sequence_(context, windows.series[row], position, _samples(windows, row, step), _edges(windows, step))
    if windows.edges is None:
        return found
    lo, first, last = (
        int(np.broadcast_to(one, windows.shape)[place]) for one in (windows.lo, windows.edges.first, windows.edges.last)
    )
    return replace(found, first=first - lo, last=last - lo, mode=windows.edges.mode)


def _edges(windows: Windows, step: int) -> tuple[int, int]:
    return int(windows.starts[step]), int(windows.ends[step])


def size(windows: Windows, row: int, step: int) -> int:
    return int(np.broadcast_to(windows.count, windows.shape)[row, step])


def _samples(windows: Windows, row: int, step: int) -> list[Sample]:
    """The samples of one window in order."""
    assert windows.histograms is not None
    lo, hi = (int(np.broadcast_to(edge, windows.shape)[row, step]) for edge in (windows.lo, windows.hi))
    times = np.broadcast_to(windows.times, windows.values.shape)[row, lo:hi].tolist()
    born = [0] * (hi - lo) if windows.born is None else windows.born[row, lo:hi].tolist()
    pairs = zip(windows.values[row, lo:hi].tolist(), windows.histograms[row, lo:hi], strict=True)
    values = [value if histogram is None else histogram for value, histogram in pairs]
    return [Sample(time, value, start) for time, value, start in zip(times, values, born, strict=True)]


def without_histograms(windows: Windows) -> tuple[Windows, FloatArray]:
    """The windows with their floats only, and how many histograms each held; [series, steps]."""
    assert windows.histograms is not None
    native = is_native(windows.histograms)
    reached = np.arange(windows.values.shape[1]) < np.max(np.broadcast_to(windows.hi, windows.shape), axis=1)[:, None]
    keep = ~native & reached
    before, natives = _running(keep), _running(native)
    lo, hi = np.broadcast_to(windows.lo, windows.shape), np.broadcast_to(windows.hi, windows.shape)
    hi = np.maximum(hi, lo)
    row, column = np.nonzero(keep)
    place, width = before[row, column], max(int(before[:, -1].max(initial=0)), 1)
    shape = (len(windows.series), width)
    values, times = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    values[row, place] = windows.values[row, column]
    times[row, place] = np.broadcast_to(windows.times, windows.values.shape)[row, column]
    born = None
    if windows.born is not None:
        born = np.zeros(shape, dtype=np.int64)
        born[row, place] = windows.born[row, column]
    floats = replace(
        windows,
        values=values,
        times=times,
        lo=np.take_along_axis(before, lo, axis=1),
        hi=np.take_along_axis(before, hi, axis=1),
        born=born,
        histograms=None,
        edges=_moved(windows, before),
    )
    count = np.take_along_axis(natives, hi, axis=1) - np.take_along_axis(natives, lo, axis=1)
    return floats, count.astype(np.float64)


def _moved(windows: Windows, before: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Edges | None:
    """Where the edges lie among the floats; right for windows that hold nothing else."""
    if windows.edges is None:
        return None
    first, last = (
        np.take_along_axis(before, np.clip(np.broadcast_to(one, windows.shape), 0, before.shape[1] - 1), axis=1)
        for one in (windows.edges.first, windows.edges.last)
    )
    return Edges(windows.edges.mode, first, last)


def _running(marks: BoolArray) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """How many marks precede each column; one column more than marks."""
    count = np.zeros((marks.shape[0], marks.shape[1] + 1), dtype=np.intp)
    np.cumsum(marks, axis=1, out=count[:, 1:])
    return count
