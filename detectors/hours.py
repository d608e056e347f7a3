"""How far a series went in each of the last 48 hours: what is usual at another hour, and what grows from day to day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray

from .base import Array, State, usable

HOUR_MS = 3_600_000
#: Complete hours remembered, two days: each is compared with the same one a day before.
HOURS, DAY = 48, 24
#: With the one under way.
PLACES = HOURS + 1
#: Hours of the past that are needed to say what is usual at other hours; so many of them must have gone as far.
ENOUGH, REACHED = 24, 3
#: Places of the hours about the same time on the days before, and how many of them must be known.
SAME_HOUR, LEAST_SAME = (0, 1, HOURS - DAY - 1, HOURS - DAY, HOURS - DAY + 1), 2
#: Hours compared with the same one a day before: at least so many, this share of them moved the same way.
LEAST_HOURS, SAME_WAY = 20, 0.9
#: Growth from day to day: in median absolute deviations of itself, and as a share of the level.
LEAK_DEVIATIONS, LEAK_SHARE = 4.0, 0.05
#: Growth of which this share came within one hour is a step.
STEP_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows, of every series [series]."""

    leaks: BoolArray
    a_day: Array  #: growth in a day, in the series' unit
    before: Array  #: the level of the first day


def start(count: int) -> State:
    rows = {name: np.full((count, PLACES), np.nan, np.float32) for name in ("low", "high")}
    return State(rows, {"hour": np.full(PLACES, -1, np.int64)})


def add(state: State, values: FloatArray, time_ms: int) -> bool:
    """One column of samples [series]; answers whether an hour has begun with it."""
    hour = time_ms // HOUR_MS
    place, hours = hour % PLACES, state.shared["hour"]
    begins = bool(hours[place] != hour)
    if begins:
        state.shared["hour"] = np.where(np.arange(PLACES) == place, hour, hours)
        for name in ("low", "high"):
            state.rows[name][:, place] = np.nan
    samples = usable(values).astype(np.float32)
    for name, fold in (("low", np.fmin), ("high", np.fmax)):
        fold(state.rows[name][:, place], samples, out=state.rows[name][:, place])
    return begins


def past(state: State, name: str, time_ms: int) -> Array:
    """``low`` or ``high`` of the complete hours before this one [series, HOURS], oldest first; NaN: not known."""
    hours = time_ms // HOUR_MS - np.arange(HOURS, 0, -1)
    places = hours % PLACES
    return np.where(state.shared["hour"][places] == hours, state.rows[name][:, places], np.float32(np.nan))


def reached(state: State, row: int, value: float, time_ms: int) -> bool:
    """Whether the series is often there at other hours: some of the past went as high, or as low, and not further."""
    low, high = _range(state, row, time_ms)
    known = ~np.isnan(low)
    return bool(known.sum() >= ENOUGH and ((low <= value) & (value <= high))[known].sum() >= REACHED)


def usual_now(state: State, row: int, time_ms: int) -> tuple[float, float]:
    """(middle, half width) of where the series was about this hour on the days before; NaN: not known."""
    low, high = _range(state, row, time_ms)
    low, high = low[list(SAME_HOUR)], high[list(SAME_HOUR)]
    if np.count_nonzero(~np.isnan(low)) < LEAST_SAME:
        return float("nan"), float("nan")
    least, most = float(np.nanmin(low)), float(np.nanmax(high))
    return (least + most) / 2.0, (most - least) / 2.0


def _range(state: State, row: int, time_ms: int) -> tuple[Array, Array]:
    part = State({name: state.rows[name][row : row + 1] for name in ("low", "high")}, state.shared)
    return past(part, "low", time_ms)[0], past(part, "high", time_ms)[0]


def growth(state: State, time_ms: int) -> Growth:
    """What grew (or shrank) all day long against the day before, hour by hour, and in no single step.

    The lowest sample of each hour counts: of memory that is collected now and then the part that never comes back.
    """
    if np.count_nonzero(state.shared["hour"] >= time_ms // HOUR_MS - HOURS) <= DAY + LEAST_HOURS:
        nobody, unknown = np.zeros(state.count, np.bool_), np.full(state.count, np.nan)
        return Growth(nobody, unknown, unknown)
    return _grown(past(state, "low", time_ms).astype(np.float64))


def _grown(low: Array) -> Growth:
    moved = low[:, DAY:] - low[:, :DAY]
    known = ~np.isnan(moved)
    enough = known.sum(axis=1) >= LEAST_HOURS
    filled = np.where(enough[:, None], moved, 0.0)
    a_day = np.nanmedian(filled, axis=1)
    spread = np.nanmedian(np.abs(filled - a_day[:, None]), axis=1)
    before = np.nanmedian(np.where(enough[:, None], low[:, :DAY], 0.0), axis=1)
    same = (known & (np.sign(moved) == np.sign(a_day)[:, None])).sum(axis=1)
    steps = np.diff(low, axis=1)
    unlike = np.abs(steps[:, DAY:] - steps[:, : HOURS - 1 - DAY])  # against the same hour of the other day
    largest = np.nan_to_num(np.concatenate([unlike, np.abs(steps[:, DAY - 1 : DAY])], axis=1)).max(axis=1)
    size = np.abs(a_day)
    leaks = enough & (size > LEAK_DEVIATIONS * spread) & (size > LEAK_SHARE * np.abs(before)) & (size > 0)
    leaks &= (same >= SAME_WAY * known.sum(axis=1)) & (largest < STEP_SHARE * size)
    return Growth(leaks, a_day, before)
