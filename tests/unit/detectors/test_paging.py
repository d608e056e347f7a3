"""Alarms of the kinds that have nothing but a score: they page, keep to a budget, go on over blocks and restarts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from support.matrices import columns, matrix

from detectors import BUILTIN, align

STEP = 300_000
KINDS = sorted(set(BUILTIN) - {"ensemble", "isolation_forest"})
#: Samples of the made-up days, of five minutes.
DAYS, DAY = 5, 288


def days(spike: int = -1, series: int = 3) -> npt.NDArray[np.float64]:
    """Noise on a daily shape, and one value far outside."""
    rows = np.random.default_rng(3).normal(0.0, 1.0, (series, DAYS * DAY))
    rows += 100.0 + 10.0 * np.sin(np.arange(DAYS * DAY) * 2 * np.pi / DAY)
    if spike >= 0:
        rows[0, spike] += 80.0
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_pages_for_what_is_far_outside_and_for_little_else(kind: str) -> None:
    spike = 4 * DAY + 70
    found = BUILTIN[kind]().score(matrix(days(spike), step_ms=STEP)).alarm
    assert found is not None
    assert found[0, spike] == 1.0
    calm = np.nansum(found) - np.nansum(found[0, spike : spike + 2])
    assert calm / (3 * DAYS) < 0.5, "alarms a series-day on noise"


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_budget_pages_no_more_often(kind: str) -> None:
    noisy = days()
    noisy[:, ::97] += 12.0  # odd values all day
    generous, strict = (
        BUILTIN[kind](false_alarms_a_day=a_day).score(matrix(noisy, step_ms=STEP)).alarm for a_day in (20.0, 0.05)
    )
    assert np.nansum(strict) < np.nansum(generous)


def test_alarms_do_not_depend_on_how_the_columns_come() -> None:
    whole, detector = matrix(days(1000)[:, :1100], step_ms=STEP), BUILTIN["ewma"]()
    state, parts = detector.fit(columns(whole, 0, 0)), []
    for at in range(0, 1100, 7):
        state, scores = detector.update(state, columns(whole, at, at + 7))
        parts.append(scores.alarm)
    np.testing.assert_array_equal(np.hstack(parts), detector.score(whole).alarm)


def test_a_series_that_joins_later_pages_as_well_and_is_unknown_until_it_has_a_score() -> None:
    detector, rows = BUILTIN["ewma"](), days(1000)[:, :1100]
    whole = matrix(rows, step_ms=STEP)
    first = whole.series[1:]
    state = detector.fit(matrix(rows[1:, :100], step_ms=STEP))
    state = align(state, first, whole.series)
    _, scores = detector.update(state, columns(whole, 100, 1100))
    assert np.isnan(scores.alarm[0, :10]).all()
    assert scores.alarm[0, 900] == 1.0


def test_what_people_said_of_alarms_moves_the_limit() -> None:
    detector, whole = BUILTIN["ewma"](), matrix(days(1000)[:, :1100], step_ms=STEP)
    state = detector.fit(columns(whole, 0, 990))
    kept = state.copy()
    state.rows["alarm_moved"] = np.full(3, 40.0)
    assert np.nansum(detector.update(state, columns(whole, 990, 1010))[1].alarm) == 0
    assert np.nansum(detector.update(kept, columns(whole, 990, 1010))[1].alarm) > 0


def test_an_isolation_forest_pages_from_a_score_of_one_half_on() -> None:
    rows = days(series=3)[:, :600]
    rows[:, 500:503] += 25.0
    scores = BUILTIN["isolation_forest"]().score(matrix(rows, step_ms=STEP))
    opened = scores.alarm == 1.0
    assert opened[:, 500:503].any()
    assert (scores.value[opened] >= 0.5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_for_rare_and_comes_every_hour_uses_the_budget_up(kind: str) -> None:
    rows = np.zeros((2, 20 * DAY))
    dice = np.random.default_rng(5)
    rows[:, dice.integers(0, 20 * DAY, 20 * 24)] = dice.uniform(50.0, 100.0, 20 * 24)
    found = BUILTIN[kind]().score(matrix(rows, step_ms=STEP)).alarm
    assert found is not None
    assert np.nansum(found[:, 10 * DAY :]) / (2 * 10) < 1.0, "alarms a series-day after ten days"
