"""The STL residual: season and trend of past days, from means of parts of a day, never looking ahead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from support.matrices import columns, matrix

from detectors import align
from detectors.stl_residual import StlResidual

STEP, DAY = 600_000, 144


def days(count: int, *, series: int = 1, growth: float = 0.0) -> npt.NDArray[np.float64]:
    at = np.arange(count * DAY)
    noise = np.random.default_rng(5).normal(0.0, 0.5, (series, len(at)))
    return np.asarray(50.0 + 20.0 * np.sin(at * 2 * np.pi / DAY) + growth * at + noise)


def test_a_usual_value_at_an_unusual_hour_is_odd_and_the_day_itself_is_not() -> None:
    rows = days(6)
    rows[0, 5 * DAY + 36 : 5 * DAY + 40] = 50.0 - 20.0  # the lowest value of the day, at its peak
    scores = StlResidual().score(matrix(rows, step_ms=STEP))
    assert scores.value[0, 5 * DAY + 36] > 0.6
    assert scores.alarm is not None
    assert scores.alarm[0, 5 * DAY + 36] == 1.0
    calm = scores.alarm[0, 3 * DAY : 5 * DAY]
    assert np.nansum(calm) <= 1.0
    assert abs(scores.expected[0, 5 * DAY + 35] - 70.0) < 3.0


def test_nothing_is_said_before_two_days_were_seen() -> None:
    value = StlResidual().score(matrix(days(4), step_ms=STEP)).value
    assert np.isnan(value[0, : 2 * DAY]).all()
    assert not np.isnan(value[0, 3 * DAY :]).any()


def test_growth_is_expected() -> None:
    scores = StlResidual().score(matrix(days(7, growth=0.05), step_ms=STEP))
    late = np.abs(scores.expected - days(7, growth=0.05))[0, 5 * DAY :]
    assert np.median(late) < 1.0


def test_samples_finer_than_a_part_are_means_of_it() -> None:
    at = np.arange(5 * 1440)
    rows = 50.0 + 20.0 * np.sin(at * 2 * np.pi / 1440)[None] + np.random.default_rng(1).normal(0, 0.3, (1, len(at)))
    scores = StlResidual().score(matrix(rows, step_ms=60_000))
    assert np.median(np.abs(scores.expected - rows)[0, 4 * 1440 :]) < 1.0


def test_a_day_without_samples_is_bridged_and_a_series_that_joins_learns_by_itself() -> None:
    rows = days(8, series=2)
    rows[0, 3 * DAY : 4 * DAY] = np.nan
    whole, detector = matrix(rows, step_ms=STEP), StlResidual()
    state = detector.fit(matrix(rows[:1, :DAY], step_ms=STEP))
    state = align(state, whole.series[:1], whole.series)
    _, scores = detector.update(state, columns(whole, DAY, 8 * DAY))
    assert not np.isnan(scores.value[0, 5 * DAY :]).any()
    assert np.isnan(scores.value[1, :DAY]).all()
    assert not np.isnan(scores.value[1, 4 * DAY :]).any()
