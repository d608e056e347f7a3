"""Extended ranges: ``anchored`` starts from the sample before the window, ``smoothed`` draws lines to its edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import QueryError
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.promql import nodes
from watchkeeper.promql.block import Windows

#: The functions that know what to do with samples beyond the window (functions.go).
SAFE = {
    "anchored": ("changes", "delta", "increase", "rate", "resets"),
    "smoothed": ("delta", "increase", "rate"),
}

Index = npt.NDArray[np.intp]


def check_call(call: nodes.Call) -> None:
    """Raises QueryError when a function is asked of an extended range it cannot take."""
    for arg in call.args:
        mode = arg.selector.mode if isinstance(arg, nodes.Range) else ""
        if mode and call.name not in SAFE[mode]:
            raise QueryError(
                f"{mode} modifier can only be used with: {', '.join(SAFE[mode])} - not with {call.name}",
                kind="execution",
            )


def known(windows: Windows) -> BoolArray:
    """Windows about which the samples say anything."""
    assert windows.edges is not None
    last, first = windows.time_at(windows.edges.last), windows.time_at(windows.edges.first)
    told = (windows.count > 0) & (last > windows.starts)
    if windows.edges.mode == "smoothed":
        told = told & (first <= windows.ends)
    answer: BoolArray = np.broadcast_to(told, windows.shape)
    return answer


def _line(windows: Windows, left: Index, right: Index, moment: IntArray, *, counter: bool) -> FloatArray:
    """The value at ``moment`` on the line between two samples; a counter that fell between them came from 0."""
    before, after = _value(windows, left), _value(windows, right)
    if counter:
        before = np.where(after < before, 0.0, before)
    t1, t2 = windows.time_at(left), windows.time_at(right)
    answer: FloatArray = before + (after - before) * (moment - t1) / (t2 - t1)
    return answer


def _value(windows: Windows, index: Index) -> FloatArray:
    found: FloatArray = windows.take(windows.values, index)  # type: ignore[assignment]  # dtype is kept
    return found


def bounds(windows: Windows, *, counter: bool) -> tuple[FloatArray, FloatArray]:
    """The values at the window's two edges."""
    edges = windows.edges
    assert edges is not None
    left, right = _value(windows, edges.first), _value(windows, edges.last)
    if edges.mode == "smoothed":
        early = windows.time_at(edges.first) < windows.starts
        late = (windows.time_at(edges.last) > windows.ends) & (edges.last > windows.lo)
        begin = _line(windows, edges.first, edges.first + 1, windows.starts, counter=counter)
        end = _line(windows, edges.last - 1, edges.last, windows.ends, counter=counter)
        left, right = np.where(early, begin, left), np.where(late, end, right)
    return left, right


def inside(windows: Windows) -> tuple[Index, Index]:
    """First and last position strictly between the edges; first > last when there is none."""
    edges = windows.edges
    assert edges is not None
    first = edges.first + (windows.time_at(edges.first) <= windows.starts)
    last = edges.last - (windows.time_at(edges.last) >= windows.ends)
    return first, last


def change(windows: Windows, *, counter: bool, per_second: bool) -> tuple[FloatArray, BoolArray]:
    """rate, increase and delta between the edges, without extrapolation."""
    left, right = bounds(windows, counter=counter)
    difference = right - left
    if counter:
        difference = difference + _lost(windows, left, right)
    if per_second:
        difference = difference / ((windows.ends - windows.starts) / 1000)
    return np.broadcast_to(difference, windows.shape), known(windows)


def _lost(windows: Windows, left: FloatArray, right: FloatArray) -> FloatArray:
    """What resets between the edges took away."""
    first, last = inside(windows)
    some = first <= last
    begin, end = _value(windows, first), _value(windows, last)
    dropped = np.zeros(windows.values.shape)
    before, after = windows.values[:, :-1], windows.values[:, 1:]
    dropped[:, 1:] = np.where(after < before, before, 0.0)
    total = np.cumsum(dropped, axis=1)
    middle = _taken(windows, total, last) - _taken(windows, total, first)
    within = middle + np.where(begin < left, left, 0.0) + np.where(right < end, end, 0.0)
    lost: FloatArray = np.where(some, within, np.where(right < left, left, 0.0))
    return lost


def _taken(windows: Windows, array: FloatArray, index: Index) -> FloatArray:
    found: FloatArray = windows.take(array, index)  # type: ignore[assignment]  # dtype is kept
    return found


def raw(windows: Windows, row: int) -> tuple[IntArray, FloatArray]:
    """The samples of one row at the only step: one at each edge, and those between."""
    left, right = bounds(windows, counter=False)
    first, last = inside(windows)
    pick = [int(np.broadcast_to(index, windows.shape)[row, 0]) for index in (first, last)]
    between = slice(pick[0], pick[1] + 1) if pick[0] <= pick[1] else slice(0, 0)
    times = windows.times if windows.times.ndim == 1 else windows.times[row]
    return (
        np.concatenate([windows.starts, times[between], windows.ends]),
        np.concatenate([left[row], windows.values[row, between], right[row]]),
    )


def on_line(windows: Windows) -> tuple[FloatArray, BoolArray]:
    """An instant selector drawn as a line: at the step itself, between its neighbours, or held after the last."""
    assert windows.edges is not None
    at = windows.edges.last  # the first sample at or after the step, or the last before it
    time = windows.time_at(at)
    before = (windows.count > 0) & ((time <= windows.ends) | (at > windows.lo))
    value = np.where(time > windows.ends, _line(windows, at - 1, at, windows.ends, counter=False), _value(windows, at))
    return np.broadcast_to(value, windows.shape), np.broadcast_to(before, windows.shape)
