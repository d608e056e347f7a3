"""Tails, medians, findings, forests and the scoring of recorded series."""

from __future__ import annotations

import numpy as np
import pytest
from support.matrices import DAY_MS, HOUR_MS, MONDAY_MS, matrix

from detectors import finding
from detectors.base import State, rarity_score
from detectors.evaluate import score_batch, score_series
from detectors.findings import FLAT, LASTING
from detectors.isolation_forest import IsolationForest
from detectors.profile import DAY, WEEK, expected, learn, start_rows
from detectors.robust_zscore import RobustZScore, nanmedian
from detectors.tail import KNEE, RATIO_TAIL, TAIL

NAN = float("nan")
RANDOM = np.random.default_rng(9)


def test_a_running_tail_learns_the_quantile_of_the_series_it_sees() -> None:
    state = State(RATIO_TAIL.start_rows(50, 1))
    residuals = RANDOM.exponential(3.0, (50, 4000)).astype(np.float32)
    for at in range(residuals.shape[1]):
        RATIO_TAIL.rarity(state, residuals[:, at : at + 1], np.full((50, 1), at))
    quantile = state.rows["tail_quantile"].mean()
    assert quantile == pytest.approx(-3.0 * np.log(TAIL), rel=0.15)


def test_rarity_at_the_quantile_is_its_own_rarity_and_at_half_it_scores_half() -> None:
    state = State(RATIO_TAIL.start_rows(1, 1))
    seen = np.array([[100]])
    at_knee = RATIO_TAIL.rarity(State(RATIO_TAIL.start_rows(1, 1)), np.array([[RATIO_TAIL.quantile]], np.float32), seen)
    assert at_knee[0, 0] == pytest.approx(KNEE)
    half = RATIO_TAIL.half(state)
    assert rarity_score(RATIO_TAIL.rarity(state, half, seen))[0, 0] == pytest.approx(0.5, abs=1e-4)


def test_a_median_skips_the_unknown_and_warns_of_nothing() -> None:
    rows = np.array([[1.0, NAN, 3.0, 2.0], [NAN] * 4, [5.0, 1.0, NAN, NAN], [4.0, 1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(nanmedian(rows), [2.0, NAN, 3.0, 2.5])


def test_robust_zscore_scores_half_at_its_sigmas_and_keeps_small_moves_on_large_levels() -> None:
    past = RANDOM.normal(0.0, 1.0, 400)
    rows = np.vstack([past, past + 1e9])
    value = RobustZScore(window=200).score(matrix(rows)).value
    np.testing.assert_allclose(value[0, 250:], value[1, 250:], atol=0.02)
    spread = 1.4826 * np.median(np.abs(past[199:399] - np.median(past[199:399])))
    rows = np.append(past[:399], np.median(past[199:399]) + 3.0 * spread)
    assert RobustZScore(window=200).score(matrix([rows.tolist()])).value[0, -1] == pytest.approx(0.5, abs=1e-4)


def test_a_profile_is_known_after_two_visits_and_prefers_the_week() -> None:
    state = State(start_rows(1))
    moments = MONDAY_MS + HOUR_MS * np.arange(24 * 15)
    by_hour = np.tile(np.arange(24.0), 15)
    weekend = ((np.arange(24 * 15) // 24) % 7 == 6) * 100.0
    for moment, sample in zip(moments.tolist(), (by_hour + weekend).tolist(), strict=True):
        learn(state, np.array([sample]), moment)
    noon = MONDAY_MS + 15 * DAY_MS + 12 * HOUR_MS + HOUR_MS // 4
    assert np.isnan(WEEK.expected(State(start_rows(1)), noon)[0])
    sunday_noon = noon + 5 * DAY_MS
    assert expected(state, sunday_noon)[0] == pytest.approx(112.0, abs=1.0)
    assert DAY.expected(state, sunday_noon)[0] < 60.0


def test_a_forest_sees_several_series_a_little_off_at_once_and_blames_those() -> None:
    rows = np.random.default_rng(12).normal(0.0, 1.0, (4, 260))
    rows[:, 250] = [2.8, -2.8, 2.8, 0.0]
    value = IsolationForest(min_history=128, window=128, trees=40).score(matrix(rows)).value
    assert value[:, 250].max() > np.quantile(value[:, 130:250].max(axis=0), 0.95)
    assert value[:3, 250].min() > value[3, 250]


def test_a_forest_says_nothing_when_most_of_the_group_is_missing() -> None:
    rows = RANDOM.normal(0.0, 1.0, (3, 100))
    rows[:2, 90] = NAN
    value = IsolationForest(min_history=32).score(matrix(rows)).value
    assert np.isnan(value[:, 90]).all()
    assert not np.isnan(value[:, 91]).any()


def find(values: list[float]) -> tuple[str, int | None]:
    observed = np.array(values)
    times = np.arange(len(values), dtype=np.int64) * 1000
    known = observed[~np.isnan(observed)]
    centre = float(np.median(known)) if len(known) else 0.0
    flat = np.full(len(values), centre)
    found = finding(times, observed, flat, flat - 3.0, flat + 3.0)
    return found.kind, found.since_ms


CALM = RANDOM.normal(0.0, 0.5, 60).clip(-1.0, 1.0).tolist()


@pytest.mark.parametrize(
    ("ending", "kind", "since"),
    [
        ([], "none", None),
        ([50.0], "spike", 60),
        ([-50.0, -40.0], "dip", 60),
        ([30.0 + step % 3 for step in range(LASTING)], "level_shift", 60),
        ([0.25] * (FLAT + 3), "flat_line", 60),
        ([NAN, NAN], "missing", 60),
    ],
)
def test_the_end_of_a_series_is_named(ending: list[float], kind: str, since: int | None) -> None:
    assert find([*CALM, *ending]) == (kind, None if since is None else since * 1000)


@pytest.mark.parametrize("values", [[], [NAN, NAN], [1.0, 2.0, 30.0]])
def test_too_little_history_has_no_name(values: list[float]) -> None:
    assert find(values)[0] == "unknown"


def test_a_series_that_was_always_flat_is_not_a_flat_line() -> None:
    assert find([4.0] * 80)[0] == "none"


def test_the_size_of_a_shift_is_the_distance_of_the_levels() -> None:
    observed = np.array([*CALM, *[30.0] * 8])
    flat = np.zeros(len(observed))
    found = finding(np.arange(len(observed)), observed, flat, flat - 3, flat + 3)
    assert found.change == pytest.approx(30.0, abs=0.5)


def test_recorded_series_of_unlike_length_are_scored_as_each_alone() -> None:
    series = []
    for length, start in ((300, 1_700_000_000), (500, 1_710_000_000), (200, 0)):
        values = RANDOM.normal(0.0, 1.0, length)
        values[-20] += 30.0
        series.append((start + 60 * np.arange(length), values, {"id": "x", "interval_s": 60, "warmup": 100}))
    for job, (score, alarm) in zip(series, score_batch(series), strict=True):
        alone, alarm_alone = score_series(*job)
        np.testing.assert_allclose(score, alone, rtol=1e-4)
        np.testing.assert_array_equal(alarm, alarm_alone)
        assert alarm[-20]
        assert np.nanargmax(score) in (len(score) - 20, len(score) - 19)


def test_several_values_a_point_give_one_score() -> None:
    values = RANDOM.normal(0.0, 1.0, (300, 4))
    values[250] += 15.0
    score, alarm = score_series(np.arange(300), values, {"interval_s": None})
    assert score.shape == alarm.shape == (300,)
    assert np.nanargmax(score) in (250, 251)
