"""Calendar functions of a UTC time in seconds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import FloatArray

DAY_SECONDS = 86_400

Days = npt.NDArray[np.datetime64]


def _days(seconds: FloatArray) -> Days:
    return np.floor(seconds / DAY_SECONDS).astype(np.int64).astype("datetime64[D]")


def _number(days: npt.NDArray[np.generic]) -> FloatArray:
    number: FloatArray = days.astype(np.int64).astype(np.float64)
    return number


def _of_year(days: Days) -> FloatArray:
    return _number(days - days.astype("datetime64[Y]").astype("datetime64[D]")) + 1.0


def _of_month(days: Days) -> FloatArray:
    return _number(days - days.astype("datetime64[M]").astype("datetime64[D]")) + 1.0


def _month_length(days: Days) -> FloatArray:
    month = days.astype("datetime64[M]")
    return _number((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]"))


def _month(days: Days) -> FloatArray:
    return np.mod(_number(days.astype("datetime64[M]")), 12.0) + 1.0


def _year(days: Days) -> FloatArray:
    return _number(days.astype("datetime64[Y]")) + 1970.0


def _weekday(days: Days) -> FloatArray:
    return np.mod(_number(days) + 4.0, 7.0)  # 1970-01-01 was a Thursday


CALENDAR: dict[str, Callable[[Days], FloatArray]] = {
    "year": _year,
    "month": _month,
    "day_of_month": _of_month,
    "day_of_year": _of_year,
    "day_of_week": _weekday,
    "days_in_month": _month_length,
}

NAMES = (*CALENDAR, "hour", "minute")


def part_of_date(name: str, values: FloatArray) -> FloatArray:
    """The named part of each time; NaN for what is no time."""
    known = np.isfinite(values) & (np.abs(values) < 2**53)
    seconds = np.trunc(np.where(known, values, 0.0))
    if name == "hour":
        part = np.floor(np.mod(seconds, DAY_SECONDS) / 3600)
    elif name == "minute":
        part = np.floor(np.mod(seconds, 3600) / 60)
    else:
        part = CALENDAR[name](_days(seconds))
    answer: FloatArray = np.where(known, part, np.nan)
    return answer
