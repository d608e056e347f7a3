"""rate, increase, delta and their kin: what a counter or gauge did over a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.promql import extended
from watchkeeper.promql.births import first_birth, restarts
from watchkeeper.promql.block import Windows

#: Extrapolate to the window's edge when it is nearer than this many average sample distances.
EXTRAPOLATION_THRESHOLD = 1.1
#: Above 1 by more than rounding: whether any line may meet zero is asked roughly first, as hardly any does.
NEARLY = 1 + 1e-9


def extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> tuple[FloatArray, BoolArray]:
    """The change over the window, extended to its edges as Prometheus does (functions.go, extrapolatedRate)."""
    if windows.edges is not None:
        return extended.change(windows, counter=counter, per_second=per_second)
    begin = windows.first()
    change = windows.last() - begin
    if counter:
        add_resets(windows, change)
    first, last = windows.time_at(windows.lo), windows.time_at(windows.hi - 1)
    to_start, to_end = (first - windows.starts) / 1000, (windows.ends - last) / 1000
    sampled, present = (last - first) / 1000, windows.present(2)
    average = np.where(windows.count > 1, sampled / np.maximum(windows.count - 1, 1), 0.0)
    threshold = average * EXTRAPOLATION_THRESHOLD
    to_start = np.where(to_start >= threshold, average / 2, to_start)
    to_end = np.where(to_end >= threshold, average / 2, to_end)
    if counter and bool((begin * sampled <= to_start * change * NEARLY).any()):
        to_start = np.minimum(to_start, _to_zero(begin, change, sampled))
    if counter and windows.born is not None:  # it is known when the counter stood at zero
        start, inside = first_birth(windows)
        change = np.where(inside, change + begin, change)
        to_start, sampled = np.where(inside, 0.0, to_start), np.where(inside, (last - start) / 1000, sampled)
        present = present | inside
    scale = sampled * ((windows.ends - windows.starts) / 1000) if per_second else sampled
    change *= (to_start + (sampled + to_end)) / scale
    return change, present


def _to_zero(begin: FloatArray, change: FloatArray, sampled: FloatArray) -> FloatArray:
    """Seconds before the first sample at which the line meets zero: a counter was never below it."""
    zero: FloatArray = np.divide(begin, change)
    zero *= sampled
    zero[(change <= 0) | (begin < 0) | np.isnan(zero)] = np.inf
    return zero


def _between(windows: Windows, running: FloatArray, first: npt.NDArray[np.intp]) -> FloatArray:
    """What a running total gained from ``first`` to the last sample of each window."""
    gained: FloatArray = np.subtract(
        windows.take(running, windows.hi - 1), windows.take(running, first), dtype=np.float64
    )
    return gained


def add_resets(windows: Windows, change: FloatArray) -> None:
    """Add what the counter had reached before each reset inside the window. Few rows have any."""
    reset = windows.values[:, 1:] < windows.values[:, :-1]
    if windows.born is not None:
        reset |= restarts(windows)
    happened = np.flatnonzero(reset)
    if not len(happened):
        return
    if len(windows.ends) == 1:
        _add_once(windows, change, *np.divmod(happened, reset.shape[1]))
        return
    rows = np.flatnonzero(reset.any(axis=1))
    lost = np.zeros((len(rows), windows.values.shape[1]))
    np.copyto(lost[:, 1:], windows.values[rows, :-1], where=reset[rows])
    total = np.cumsum(lost, axis=1)
    some = windows.of(rows) if windows.lo.ndim > 1 else windows  # else all rows have the same windows
    if np.isfinite(total[:, -1]).all():
        change[rows] += _between(some, total, some.lo)
        return
    losses = replace(windows.of(rows), values=lost)  # an infinite value would poison every later prefix
    for part, values, inside, _ in losses.padded():
        change[rows, part] += np.where(inside[..., 1:], values[..., 1:], 0.0).sum(axis=-1)


def _add_once(windows: Windows, change: FloatArray, rows: IntArray, before: IntArray) -> None:
    """As ``add_resets`` for one window: ``before`` are the positions of the last samples before the resets."""
    own = windows.lo.ndim > 1
    lo, hi = (windows.lo[rows, 0], windows.hi[rows, 0]) if own else (windows.lo, windows.hi)
    inside = (lo <= before) & (before < hi - 1)
    rows, before = rows[inside], before[inside]
    np.add.at(change[:, 0], rows, windows.values[rows, before])


def instant_change(windows: Windows, *, rate: bool) -> tuple[FloatArray, BoolArray]:
    """irate and idelta: from the last sample but one to the last."""
    last = windows.last()
    before: FloatArray = windows.take(windows.values, windows.hi - 2)  # type: ignore[assignment]
    change = last - before
    if rate:
        reset = last < before
        if windows.born is not None:
            anew = np.zeros(windows.values.shape, bool)
            anew[:, 1:] = restarts(windows)
            reset = reset | windows.take(anew, windows.hi - 1).astype(bool)
        change = np.where(reset, last, change)
        change = change / ((windows.time_at(windows.hi - 1) - windows.time_at(windows.hi - 2)) / 1000)
    return change, windows.present(2)


def transitions(windows: Windows, *, resets: bool) -> tuple[FloatArray, BoolArray]:
    """resets (falls) or changes (any difference; NaN equals NaN) between neighbours in the window."""
    before, after = windows.values[:, :-1], windows.values[:, 1:]
    happened = after < before if resets else (after != before) & ~(np.isnan(after) & np.isnan(before))
    if resets and windows.born is not None:
        happened = happened | restarts(windows)
    total = np.zeros(windows.values.shape)
    np.cumsum(happened, axis=1, out=total[:, 1:])
    if windows.edges is None:
        return _between(windows, total, windows.lo), windows.present()
    return _between(windows, total, windows.edges.first), extended.known(windows)
