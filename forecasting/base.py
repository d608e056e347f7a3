"""What every forecaster shares: quantiles, the clock of a series, bounds and the shape of an answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import ConfigDict

from watchkeeper.model.series import FloatArray, IntArray

#: Options of a forecaster: an unknown one is a mistake, not a wish.
STRICT = ConfigDict(extra="forbid")
QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
#: Larger values are cut to this, so that squares stay finite.
LARGEST = 1e100
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Hard limits of every series, shape [series]; infinite where there is none."""

    lower: FloatArray
    upper: FloatArray

    def clip(self, values: FloatArray) -> FloatArray:
        """Values with the series on the first axis, kept inside."""
        shape = (-1, *[1] * (values.ndim - 1))
        kept: FloatArray = np.clip(values, self.lower.reshape(shape), self.upper.reshape(shape))
        return kept

    def of(self, rows: IntArray) -> Bounds:
        return Bounds(self.lower[rows], self.upper[rows])


def same_bounds(count: int, lower: float | None, upper: float | None) -> Bounds:
    return Bounds(
        np.full(count, -np.inf if lower is None else lower), np.full(count, np.inf if upper is None else upper)
    )


def is_monthly(times: IntArray) -> bool:
    """Every step is a calendar month (28 to 31 days, not all alike or all of about 30 days)."""
    steps = np.diff(times)
    return bool(len(steps)) and bool((steps >= 28 * DAY_MS).all() and (steps <= 31 * DAY_MS).all())


def step_ms(times: IntArray) -> int:
    """The usual distance of two samples; one minute where there are fewer than two."""
    return int(np.median(np.diff(times))) if len(times) > 1 else 60_000


def seasons_of(times: IntArray) -> tuple[int, ...]:
    """Seasons worth trying, in points: day and week below a day, week for days, year for weeks and months."""
    step = step_ms(times)
    if is_monthly(times):
        return (12,)
    if step >= 6 * DAY_MS:
        return (52,) if step <= 8 * DAY_MS else ()
    if step >= DAY_MS:
        return (7,) if step == DAY_MS else ()
    if DAY_MS % step or DAY_MS // step < 4:
        return ()
    return (DAY_MS // step, 7 * DAY_MS // step)


def future_times(times: IntArray, horizon: int) -> IntArray:
    """The next ``horizon`` moments; calendar months stay calendar months."""
    if is_monthly(times):
        last = times[-1].astype("datetime64[ms]")
        month = last.astype("datetime64[M]")
        inside = last - month.astype("datetime64[ms]")
        months = (month + np.arange(1, horizon + 1)).astype("datetime64[ms]") + inside
        return np.asarray(months.astype(np.int64))
    return np.asarray(times[-1] + step_ms(times) * np.arange(1, horizon + 1), dtype=np.int64)
