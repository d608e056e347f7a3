"""What kind of anomaly it is, in the words a person would use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray, IntArray

Kind = Literal[
    "none", "spike", "dip", "contextual", "collective", "level_shift", "trend", "slow_leak", "variance", "flat_line",
    "missing", "joint", "unknown",
]  # fmt: skip

#: Samples on a new level before it is called a shift and not a spike.
LASTING = 6
#: Samples without any change before a series that used to move is called flat.
FLAT = 12
#: Known samples before the present ones that are needed to say anything.
MIN_PAST = 12
#: A new level must differ by this many median absolute deviations of the old one.
SHIFT_DEVIATIONS = 4.0


#: A trend is so many samples, of which this share moves the same way over half their number; so far in all, in median
#: absolute deviations of what was before.
TREND, SAME_WAY, TREND_DEVIATIONS = 24, 0.95, 4.0
#: Samples whose moves are compared with those before, and by how much these must be exceeded (or fallen short of).
SHAKEN, SHAKEN_BY = 16, 4.0
#: Nothing is told to be more times too far.
MOST = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A kind, since when, how far from what it is compared with, in the series' unit, and how many times too far.

    | kind | ``baseline`` is | ``factor`` counts |
    |---|---|---|
    | spike, dip, collective | the value expected | half widths of the band |
    | contextual | the value expected at this time of day | half widths of the band |
    | level_shift, trend | the level before | median deviations of the samples before |
    | slow_leak | the level of the day before | the level: growth of a day as a share of it |
    | variance | the usual move from sample to sample | itself |
    | flat_line | the usual value | runs as long as the longest before |
    | missing | nothing | gaps as long as the longest before |
    | joint | the usual distance of all metrics | itself |
    """

    kind: Kind
    since_ms: int | None = None
    change: float = float("nan")
    baseline: float = float("nan")
    factor: float = float("nan")


def finding(
    times: IntArray, observed: FloatArray, expected: FloatArray, lower: FloatArray, upper: FloatArray
) -> Finding:
    """The kind of what happens at the end of one series; arrays have shape [time], NaN where unknown."""
    if not len(times):
        return Finding(kind="unknown")
    if np.isnan(observed[-1]):
        return _missing(times, observed)
    known = ~np.isnan(observed)
    moments, values = times[known], observed[known]
    if len(values) <= MIN_PAST:
        return Finding(kind="unknown")
    outside = (values < lower[known]) | (values > upper[known])
    return (
        _flat(moments, values)
        or _trend(moments, values)
        or _shift(moments, values)
        or _variance(moments, values)
        or _spike(moments, values, expected[known], (upper - lower)[known] / 2.0, outside)
    )


def _missing(times: IntArray, observed: FloatArray) -> Finding:
    known = np.flatnonzero(~np.isnan(observed))
    if not len(known):
        return Finding(kind="unknown")
    gaps = np.diff(known, prepend=-1) - 1
    factor = (len(times) - 1 - int(known[-1])) / max(1, int(gaps[1:].max(initial=0)))
    return Finding(kind="missing", since_ms=int(times[known[-1] + 1]), factor=factor)


def _flat(times: IntArray, values: FloatArray) -> Finding | None:
    """The newest value again and again, in a series whose earlier runs were all far shorter."""
    changes = np.flatnonzero(np.diff(values) != 0)
    if not len(changes):
        return None  # constant from the start: that is how it is
    start = int(changes[-1]) + 1
    length = len(values) - start
    runs = np.diff(np.concatenate([[-1], changes]))
    if length < FLAT or start < MIN_PAST or length <= 3 * int(runs.max()):
        return None
    usual = float(np.median(values[:start]))
    change, factor = float(values[-1]) - usual, length / int(runs.max())
    return Finding(kind="flat_line", since_ms=int(times[start]), change=change, baseline=usual, factor=factor)


def _shift(times: IntArray, values: FloatArray) -> Finding | None:
    """The newest samples, all of them, on one side of the old level and far from it."""
    centre = float(np.median(values[:-LASTING]))
    spread = float(np.median(np.abs(values[:-LASTING] - centre)))
    far = SHIFT_DEVIATIONS * max(spread, 1e-9 * max(1.0, abs(centre)))
    distance = values - centre
    moved = np.abs(distance) > far
    side = np.where(moved, np.sign(distance), 0.0)
    if side[-1] == 0.0 or (side[-LASTING:] != side[-1]).any():
        return None
    others = np.flatnonzero(side != side[-1])
    if not len(others):
        return None
    start = int(others[-1]) + 1
    change = float(np.median(values[start:]) - centre)
    factor = _times(change, far / SHIFT_DEVIATIONS)
    return Finding(kind="level_shift", since_ms=int(times[start]), change=change, baseline=centre, factor=factor)


def _trend(times: IntArray, values: FloatArray) -> Finding | None:
    """The newest samples, all the way in one direction, further than the ones before ever strayed: a leak, say."""
    if len(values) < TREND + MIN_PAST:
        return None
    newest, before = values[-TREND:], values[:-TREND]
    spread = float(np.median(np.abs(before - np.median(before))))
    moves = newest[TREND // 2 :] - newest[: -TREND // 2]
    change = float(newest[-1] - newest[0])
    steps = np.diff(newest)
    steady = float(np.abs(steps).max()) < 0.5 * abs(change)  # one step is a shift
    same_way = float((np.sign(moves) == np.sign(change)).mean())
    far = TREND_DEVIATIONS * max(spread, 1e-9 * max(1.0, abs(float(np.median(before)))))
    if not steady or same_way < SAME_WAY or abs(change) <= far:
        return None
    baseline, factor = float(newest[0]), _times(change, far / TREND_DEVIATIONS)
    return Finding(kind="trend", since_ms=int(times[-TREND]), change=change, baseline=baseline, factor=factor)


def _variance(times: IntArray, values: FloatArray) -> Finding | None:
    """Moves from sample to sample that became several times larger, or smaller, than they were."""
    moves = np.abs(np.diff(values))
    if len(moves) < SHAKEN + MIN_PAST:
        return None
    now, before = float(np.median(moves[-SHAKEN:])), float(np.median(moves[:-SHAKEN]))
    if before <= 0.0 or 1.0 / SHAKEN_BY < now / before < SHAKEN_BY:
        return None
    since, factor = int(times[-SHAKEN]), max(now / before, before / max(now, 1e-12))
    return Finding(kind="variance", since_ms=since, change=now - before, baseline=before, factor=factor)


def _spike(
    times: IntArray,
    values: FloatArray,
    expected: FloatArray,
    reach: FloatArray,
    outside: BoolArray,
) -> Finding:
    if not outside[-1]:
        return Finding(kind="none")
    inside = np.flatnonzero(~outside)
    start = int(inside[-1]) + 1 if len(inside) else 0
    usual = float(expected[-1])
    change = float(values[-1]) - usual
    kind: Kind = "spike" if change > 0 else "dip"
    factor = _times(change, float(reach[-1]))
    return Finding(kind=kind, since_ms=int(times[start]), change=change, baseline=usual, factor=factor)


def _times(change: float, usual: float) -> float:
    """How many times what is usual; of what never moved at most ``MOST``."""
    return min(MOST, abs(change) / usual) if usual > 0 else MOST
