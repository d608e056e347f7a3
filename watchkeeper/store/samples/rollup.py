"""Aggregates of many samples: min, max, sum, count and last of every series in every bucket of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import STALE_BITS, FloatArray, IntArray, is_stale

#: What is kept of a bucket, in the order of ``Rolled.values``.
AGGREGATES = ("min", "max", "sum", "count", "last")
STALE = float(np.array([STALE_BITS], dtype=np.uint64).view(np.float64)[0])


@dataclass(frozen=True, slots=True)
class Rolled:
    """``times`` are those of the last row of each bucket; ``values[aggregate]`` is [series, buckets]."""

    times: IntArray
    values: Sequence[FloatArray]


def roll(times: IntArray, values: FloatArray, resolution_ms: int) -> Rolled:
    """Aggregates of rows (``values[series, time]``, staleness bits where absent) by buckets of ``resolution_ms``.

    A bucket without a sample of a series has the staleness bits in every aggregate. NaN is a sample: it counts, makes
    the sum NaN, and is the least and the greatest only where there is nothing else, as in PromQL's *_over_time.
    """
    starts = np.flatnonzero(np.diff(times // resolution_ms, prepend=-(1 << 62)))
    absent = is_stale(values)
    known = np.where(absent, np.nan, values)
    present = ~absent
    count = np.add.reduceat(present, starts, axis=1, dtype=np.float64)
    place = np.where(present, np.arange(len(times)), -1)
    newest = np.maximum.reduceat(place, starts, axis=1)
    last = np.take_along_axis(values, np.maximum(newest, 0), axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.add.reduceat(np.where(absent, 0.0, values), starts, axis=1)
    found = [np.fmin.reduceat(known, starts, axis=1), np.fmax.reduceat(known, starts, axis=1), total, count, last]
    nothing = count == 0
    for values in found:
        values[nothing] = STALE
    ends = np.append(starts[1:], len(times)) - 1
    return Rolled(times[ends], found)


def counter(times: IntArray, least: FloatArray, greatest: FloatArray, last: FloatArray) -> tuple[IntArray, FloatArray]:
    """(times, values) of a counter as rate and increase want it: the last of every bucket, and resets inside shown.

    Where the greatest is above the last, the counter fell after it; where the least is below the last before, it fell
    to it. Either is put a moment before the bucket's time, so that the fall is seen and what was counted is kept.
    """
    absent = is_stale(last)
    filled = _forward(np.where(absent, np.nan, last))
    before = np.concatenate([np.full((len(last), 1), np.nan), filled[:, :-1]], axis=1)
    with np.errstate(invalid="ignore"):
        peak = ~absent & (greatest > last)
        low = ~absent & ~peak & (least < before)
    extra = np.flatnonzero((peak | low).any(axis=0))
    if not len(extra):
        return times, last
    shown = np.where(peak[:, extra], greatest[:, extra], np.where(low[:, extra], least[:, extra], STALE))
    at = np.concatenate([times, times[extra] - 1])
    order = np.argsort(at, kind="stable")
    keep = np.append(True, np.diff(at[order]) > 0)
    values: FloatArray = np.concatenate([last, shown], axis=1)[:, order][:, keep]
    return at[order][keep], values


def _forward(values: FloatArray) -> FloatArray:
    """Every gap filled with the value before it."""
    place = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    np.maximum.accumulate(place, axis=1, out=place)
    filled: FloatArray = np.take_along_axis(values, place, axis=1)
    return filled
