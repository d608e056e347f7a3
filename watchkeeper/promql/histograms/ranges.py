"""Range functions over windows that hold histograms, alone or among floats: row by row, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Block, Windows
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms import remarks
from watchkeeper.promql.histograms.model import Histogram, is_native, nothing, places
from watchkeeper.promql.histograms.rates import delta, idelta, increase, irate, rate
from watchkeeper.promql.histograms.sequence import Answer, Sample, Sequence_, mean_of, sum_of, transitions
from watchkeeper.promql.nodes import Call

Compute = Callable[[Windows], tuple[FloatArray, BoolArray]]


def over(context: Context, call: Call, windows: Windows, compute: Compute, drop: BoolArray) -> Block:
    """As ``compute`` does where a window holds floats only; histograms are taken or left out as the function does."""
    assert windows.histograms is not None
    floats, native = without_histograms(windows)
    values, present = compute(floats)
    values, present = np.array(values), np.array(present)
    histograms = nothing(values.shape)
    position = call.args[-1 if call.name == "quantile_over_time" else 0].position
    taken = TAKEN.get(call.name)
    for row, step in places(native > 0):
        context.check()
        if taken is None:
            if native[row, step] < _size(windows, row, step):
                remarks.ignored_in_range(context, windows.series[row], position)
            continue
        sequence = Sequence_(
            context, windows.series[row], position, _samples(windows, row, step), _edges(windows, step)
        )
        answer = taken(sequence)
        present[row, step] = answer is not None
        if isinstance(answer, Histogram):
            histograms[row, step] = answer
        elif answer is not None:
            values[row, step] = answer
    return Block(windows.series, values, present, drop, histograms)


def _edges(windows: Windows, step: int) -> tuple[int, int]:
    return int(windows.starts[step]), int(windows.ends[step])


def _size(windows: Windows, row: int, step: int) -> int:
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
    )
    count = np.take_along_axis(natives, hi, axis=1) - np.take_along_axis(natives, lo, axis=1)
    return floats, count.astype(np.float64)


def _running(marks: BoolArray) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """How many marks precede each column; one column more than marks."""
    count = np.zeros((marks.shape[0], marks.shape[1] + 1), dtype=np.intp)
    np.cumsum(marks, axis=1, out=count[:, 1:])
    return count


TAKEN: dict[str, Callable[[Sequence_], Answer]] = {
    "sum_over_time": sum_of,
    "avg_over_time": mean_of,
    "count_over_time": lambda one: float(len(one.samples)),
    "present_over_time": lambda _: 1.0,
    "last_over_time": lambda one: one.samples[-1].value,
    "first_over_time": lambda one: one.samples[0].value,
    "ts_of_last_over_time": lambda one: one.samples[-1].time / 1000,
    "ts_of_first_over_time": lambda one: one.samples[0].time / 1000,
    "rate": rate,
    "increase": increase,
    "delta": delta,
    "irate": irate,
    "idelta": idelta,
    "resets": lambda one: transitions(one, resets=True),
    "changes": lambda one: transitions(one, resets=False),
}
