"""Usual times and an incident on one grid of steps."""

from __future__ import annotations

import numpy as np

from analytics.stretches import STEPS, stretches

MINUTE = 60_000
BEGIN, END = 100 * MINUTE, (100 + STEPS) * MINUTE


def test_samples_become_means_of_steps_and_gaps_stay_unknown() -> None:
    times = np.array([98, 98.5, 99, 101, 102]) * MINUTE
    usual, during = stretches(
        times.astype(np.int64), np.array([1.0, 3.0, np.nan, 5.0, 7.0]),
        counter=False, since=97 * MINUTE, begin=BEGIN, end=END,
    )  # fmt: skip
    np.testing.assert_equal(usual, [np.nan, 2.0, np.nan])
    np.testing.assert_equal(during[:4], [np.nan, 5.0, 7.0, np.nan])
    assert len(during) == STEPS


def test_a_counter_is_its_rate_and_a_reset_is_unknown() -> None:
    times = (np.arange(95, 105) * MINUTE).astype(np.int64)
    values = np.array([0.0, 60, 120, 180, 240, 300, 900, 1500, 10, 70])
    usual, during = stretches(times, values, counter=True, since=95 * MINUTE, begin=BEGIN, end=END)
    np.testing.assert_equal(usual, [np.nan, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_equal(during[:6], [1.0, 10.0, 10.0, np.nan, 1.0, np.nan])


def test_what_lies_outside_is_left_out() -> None:
    times = np.array([1, 99 * MINUTE, 2 * END], np.int64)
    usual, during = stretches(times, np.array([9.0, 1.0, 9.0]), counter=False, since=98 * MINUTE, begin=BEGIN, end=END)
    np.testing.assert_equal(usual, [np.nan, 1.0])
    assert np.isnan(during).all()
