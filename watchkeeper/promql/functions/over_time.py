"""``*_over_time``: statistics of the samples in a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Windows
from watchkeeper.promql.numeric import compensated_sum, one_sign, quantile

#: Above this many window cells a plain sum is used where it is as good: compensation costs eight times as much.
COMPENSATE_CELLS = 1 << 19
Answer = tuple[FloatArray, BoolArray]


def _each(windows: Windows, function: Callable[[FloatArray, BoolArray, FloatArray], FloatArray]) -> FloatArray:
    """``function(values, inside, times) -> [series, k]`` over padded chunks."""
    answer = np.full(windows.shape, np.nan)
    for part, values, inside, times in windows.padded():
        answer[:, part] = function(values, inside, times)
    return answer


def total(windows: Windows) -> FloatArray:
    """Compensated sums, as Prometheus adds (Kahan, Neumaier)."""
    rows, _ = windows.shape
    cells = int(np.broadcast_to(windows.count, windows.shape).sum())
    if cells > COMPENSATE_CELLS and rows and one_sign(windows.values):
        return windows.reduce(np.add)
    return _each(windows, lambda values, inside, _: compensated_sum(np.where(inside, values, 0.0)))


def sum_over_time(windows: Windows) -> Answer:
    return total(windows), windows.present()


def avg_over_time(windows: Windows) -> Answer:
    """The mean; where the sum leaves the range of floats, the mean of the shares."""
    count = np.maximum(windows.count, 1)
    mean = total(windows) / count
    overflown = np.isinf(mean)
    if overflown.any():
        widest = float(count.max())
        shares = _each(windows, lambda values, inside, _: compensated_sum(np.where(inside, values, 0.0) / widest))
        mean = np.where(overflown, shares * (widest / count), mean)
    return mean, windows.present()


def count_over_time(windows: Windows) -> Answer:
    return np.broadcast_to(windows.count.astype(np.float64), windows.shape), windows.present()


def present_over_time(windows: Windows) -> Answer:
    return np.ones(windows.shape), windows.present()


def min_over_time(windows: Windows) -> Answer:
    return windows.reduce(np.fmin), windows.present()


def max_over_time(windows: Windows) -> Answer:
    return windows.reduce(np.fmax), windows.present()


def last_over_time(windows: Windows) -> Answer:
    return windows.last(), windows.present()


def first_over_time(windows: Windows) -> Answer:
    return windows.first(), windows.present()


def _variance(values: FloatArray, inside: BoolArray, _: FloatArray) -> FloatArray:
    count = np.maximum(inside.sum(axis=-1), 1)
    apart = np.where(inside, values - values[..., :1], 0.0)  # from the first sample: equal samples give exactly 0
    apart = np.where(inside, apart - (apart.sum(axis=-1) / count)[..., None], 0.0)
    variance: FloatArray = (apart**2).sum(axis=-1) / count
    return variance


def stdvar_over_time(windows: Windows) -> Answer:
    return _each(windows, _variance), windows.present()


def stddev_over_time(windows: Windows) -> Answer:
    return np.sqrt(_each(windows, _variance)), windows.present()


def _deviation(values: FloatArray, inside: BoolArray, _: FloatArray) -> FloatArray:
    half = np.float64(0.5)
    centre = quantile(half, values, inside)
    deviation = quantile(half, np.abs(values - centre[..., None]), inside)
    known: FloatArray = np.where((np.isnan(values) & inside).any(axis=-1), np.nan, deviation)
    return known


def mad_over_time(windows: Windows) -> Answer:
    return _each(windows, _deviation), windows.present()


def quantile_over_time(windows: Windows, q: FloatArray) -> Answer:
    answer = np.full(windows.shape, np.nan)
    for part, values, inside, _ in windows.padded():
        answer[:, part] = quantile(q[part], values, inside)
    return answer, windows.present()


def _when(pick: str) -> Callable[[FloatArray, BoolArray, FloatArray], FloatArray]:
    """The time of the newest smallest or largest sample; NaN counts as neither while there is another."""

    def find(values: FloatArray, inside: BoolArray, times: FloatArray) -> FloatArray:
        worst = np.inf if pick == "min" else -np.inf
        usable = np.where(inside & ~np.isnan(values), values, worst)
        best = usable.min(axis=-1, keepdims=True) if pick == "min" else usable.max(axis=-1, keepdims=True)
        hit = inside & (usable == best) & ~np.isnan(values)
        none = ~hit.any(axis=-1, keepdims=True)
        hit = hit | (none & inside)
        newest = hit.shape[-1] - 1 - np.argmax(hit[..., ::-1], axis=-1)
        moment = np.take_along_axis(np.broadcast_to(times, values.shape), newest[..., None], axis=-1)[..., 0]
        seconds: FloatArray = moment / 1000
        return seconds

    return find


def ts_of_min_over_time(windows: Windows) -> Answer:
    return _each(windows, _when("min")), windows.present()


def ts_of_max_over_time(windows: Windows) -> Answer:
    return _each(windows, _when("max")), windows.present()


def ts_of_last_over_time(windows: Windows) -> Answer:
    return np.broadcast_to(windows.time_at(windows.hi - 1) / 1000, windows.shape), windows.present()


def ts_of_first_over_time(windows: Windows) -> Answer:
    return np.broadcast_to(windows.time_at(windows.lo) / 1000, windows.shape), windows.present()


OVER_TIME: dict[str, Callable[[Windows], Answer]] = {
    function.__name__: function
    for function in (
        sum_over_time, avg_over_time, count_over_time, present_over_time, min_over_time, max_over_time,
        last_over_time, first_over_time, stdvar_over_time, stddev_over_time, mad_over_time,
        ts_of_min_over_time, ts_of_max_over_time, ts_of_last_over_time, ts_of_first_over_time,
    )
}  # fmt: skip
#: These hand on a sample unchanged, so the series keeps its name.
KEEPS_NAME = frozenset({"last_over_time", "first_over_time"})
