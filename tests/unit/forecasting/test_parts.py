"""Cleaning, shapes, combination, bands and limits."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
from support.matrices import DAY_MS, HOUR_MS, MONDAY_MS, matrix

from forecasting import BUILTIN, QUANTILES, exhaustion
from forecasting.backtest import plan
from forecasting.base import Bounds, future_times, seasons_of
from forecasting.clean import fill_gaps, tame_spikes
from forecasting.combine import CUT, _from_errors
from forecasting.intervals import finish, from_errors, without_backtest
from forecasting.shape import take_apart
from watchkeeper.model import Backtest, Forecast, labels

FREE = Bounds(np.array([-np.inf]), np.array([np.inf]))
HOURS = np.arange(24 * 14)
WAVE = 50.0 + 10.0 * np.sin(HOURS * 2 * np.pi / 24)


def noisy(seed: int = 1) -> npt.NDArray[np.float64]:
    return np.asarray(WAVE + np.random.default_rng(seed).normal(0.0, 0.5, len(WAVE)))


def test_a_gap_of_half_a_day_is_filled_along_the_daily_shape() -> None:
    row = noisy()[None].copy()
    row[0, 100:112] = np.nan
    filled = fill_gaps(row, 24)
    assert np.abs(filled[0, 100:112] - WAVE[100:112]).mean() < 1.0
    np.testing.assert_array_equal(
        np.delete(filled, np.arange(100, 112), axis=1), np.delete(row, np.arange(100, 112), 1)
    )


def test_a_lone_spike_is_cut_and_a_new_level_is_not() -> None:
    row = noisy()[None].copy()
    row[0, 200] = 500.0
    row[0, 300:] += 60.0
    tamed = tame_spikes(row, 24)
    assert abs(tamed[0, 200] - WAVE[200]) < 15.0
    np.testing.assert_array_equal(tamed[0, 310:], row[0, 310:])


def test_the_newest_sample_is_never_cut() -> None:
    row = noisy()[None].copy()
    row[0, -1] = 500.0
    assert tame_spikes(row, 24)[0, -1] == 500.0


def test_a_shape_that_repeats_is_believed_and_noise_is_not() -> None:
    noise = np.random.default_rng(4).normal(0.0, 5.0, (1, len(WAVE)))
    shape, nothing = take_apart(noisy()[None], 24, (24,)), take_apart(noise, 24, (24,))
    ahead = 10.0 * np.sin(np.arange(len(WAVE), len(WAVE) + 24) * 2 * np.pi / 24)
    assert np.abs(shape.future[0] - ahead).mean() < 0.5
    assert np.abs(nothing.future).mean() < 1.0


def test_candidates_far_worse_than_the_best_are_left_out_and_weights_sum_to_1() -> None:
    weight = _from_errors(np.array([[1.0, 0.0], [1.2, 0.0], [1.0 / CUT + 0.1, 3.0]]))
    np.testing.assert_allclose(weight.sum(axis=0), 1.0)
    assert weight[0, 0] > weight[1, 0] > weight[2, 0] == 0.0
    np.testing.assert_allclose(weight[:, 1], [0.5, 0.5, 0.0])


@pytest.mark.parametrize(
    ("length", "horizon", "season"), [(336, 48, 24), (60, 48, 24), (20, 5, 1), (9, 1, 1), (1000, 168, 24)]
)
def test_origins_leave_enough_to_learn_from_and_hide_what_they_judge(length: int, horizon: int, season: int) -> None:
    steps, hidden = plan(length, horizon, season)
    assert 1 <= steps <= horizon
    assert 1 <= len(hidden) <= 6
    assert all(steps <= back <= length - 8 for back in hidden)
    assert hidden == sorted(set(hidden))


def test_no_origin_fits_into_a_history_that_is_too_short() -> None:
    assert plan(8, 10, 1) == (0, [])


def test_bands_hold_about_the_share_of_actuals_they_promise() -> None:
    random = np.random.default_rng(8)
    errors = random.normal(0.0, 2.0, (6, 40, 24))
    bounds = Bounds(np.full(40, -np.inf), np.full(40, np.inf))
    bands, coverage = from_errors(np.zeros((40, 24)), errors, bounds)
    actual = random.normal(0.0, 2.0, (200, 40, 24))
    inside80 = (actual >= bands[:, 1]) & (actual <= bands[:, 3])
    inside95 = (actual >= bands[:, 0]) & (actual <= bands[:, 4])
    assert 0.78 < inside80.mean() < 0.90
    assert 0.94 < inside95.mean() < 0.995
    assert 0.7 < coverage.mean() < 0.95


def test_bands_widen_when_errors_grow_along_the_horizon() -> None:
    errors = np.random.default_rng(8).normal(0.0, 1.0, (6, 10, 24)) * np.sqrt(np.arange(1, 25))
    bands, _ = from_errors(np.zeros((10, 24)), errors, Bounds(np.full(10, -np.inf), np.full(10, np.inf)))
    width = bands[:, 3] - bands[:, 1]
    assert (width[:, 20] > 2.5 * width[:, 1]).all()


def test_bounds_cut_every_path_and_paths_never_cross() -> None:
    path = np.linspace(90.0, 120.0, 10)[None]
    bands = without_backtest(path, np.array([[80.0, 90.0, 85.0]]), Bounds(np.array([0.0]), np.array([100.0])))
    assert bands.max() <= 100.0
    assert (np.diff(bands, axis=1) >= 0).all()
    crossed = finish(np.array([[[5.0], [4.0], [3.0], [2.0], [1.0]]]), FREE)
    np.testing.assert_array_equal(crossed[0, :, 0], 3.0)


@pytest.mark.parametrize(
    ("step_ms", "seasons"),
    [
        (HOUR_MS, (24, 168)),
        (300_000, (288, 2016)),
        (DAY_MS, (7,)),
        (7 * DAY_MS, (52,)),
        (7_000, ()),
        (2 * DAY_MS, ()),
        (8 * HOUR_MS, ()),
    ],
)
def test_seasons_come_from_the_distance_of_the_samples(step_ms: int, seasons: tuple[int, ...]) -> None:
    assert seasons_of(MONDAY_MS + step_ms * np.arange(20)) == seasons


def test_months_stay_calendar_months() -> None:
    months = np.array(["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"], dtype="datetime64[ms]").astype(np.int64)
    assert seasons_of(months) == (12,)
    ahead = future_times(months, 3).astype("datetime64[ms]").astype("datetime64[D]").astype(str).tolist()
    assert ahead == ["2026-05-01", "2026-06-01", "2026-07-01"]


def test_a_level_shift_is_forgotten_within_the_history() -> None:
    row = noisy()
    row[:250] -= 40.0
    forecast = BUILTIN["combined"]().forecast(matrix([row.tolist()], step_ms=HOUR_MS), 24)[0]
    truth = 50.0 + 10.0 * np.sin(np.arange(len(WAVE), len(WAVE) + 24) * 2 * np.pi / 24)
    assert np.abs(forecast.quantiles[0.5] - truth).mean() < 5.0


def test_spikes_in_the_history_cost_little() -> None:
    clean, spiky = noisy(), noisy()
    spiky[[60, 121, 202, 283]] += 300.0
    paths = [
        BUILTIN["combined"]().forecast(matrix([row.tolist()], step_ms=HOUR_MS), 24)[0].quantiles[0.5]
        for row in (clean, spiky)
    ]
    assert np.abs(paths[0] - paths[1]).mean() < 1.0


def test_components_add_up_to_the_history() -> None:
    for kind in ("combined", "ets"):
        forecast = BUILTIN[kind]().forecast(matrix([noisy().tolist()], step_ms=HOUR_MS), 5)[0]
        total = forecast.components["trend"] + forecast.components["seasonal"]
        np.testing.assert_allclose(total, noisy(), atol=1e-6)


def test_series_that_begin_at_different_times_keep_their_order() -> None:
    late = np.full(len(WAVE), np.nan)
    late[100:] = 7.0
    rows = np.vstack([np.full(len(WAVE), 3.0), late, np.full(len(WAVE), 5.0)])
    answers = BUILTIN["combined"]().forecast(matrix(rows, step_ms=HOUR_MS), 4)
    assert [round(float(answer.quantiles[0.5][0]), 6) for answer in answers] == [3.0, 7.0, 5.0]
    assert [dict(answer.series)["row"] for answer in answers] == ["0", "1", "2"]


def test_a_horizon_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BUILTIN["drift"]().forecast(matrix([[1.0, 2.0]]), 0)


def rising() -> Forecast:
    path = np.arange(10.0)
    shifts = dict(zip(QUANTILES, (-4.0, -2.0, 0.0, 2.0, 4.0), strict=True))
    return Forecast(
        series=labels("disk"),
        issued_ms=MONDAY_MS,
        times=MONDAY_MS + DAY_MS * np.arange(1, 11),
        quantiles={quantile: path + shift for quantile, shift in shifts.items()},
        method="drift",
        backtest=Backtest(origins=0, mase=float("nan"), coverage80=float("nan"), better_than_last_value=False),
    )


def test_a_limit_is_reached_first_by_the_upper_edge() -> None:
    answer = exhaustion(rising(), 6.0)
    days = [
        moment and (moment - datetime(2026, 6, 1, tzinfo=UTC)).days
        for moment in (answer.earliest, answer.expected, answer.latest)
    ]
    assert days == [5, 7, 9]


def test_a_limit_beyond_the_path_is_never_reached_within_it() -> None:
    answer = exhaustion(rising(), 10.0)
    assert answer.earliest is not None
    assert answer.expected is None
    assert answer.latest is None


def test_a_falling_limit_is_reached_first_by_the_lower_edge() -> None:
    answer = exhaustion(rising(), 0.0, "down")
    assert answer.earliest == answer.expected == datetime(2026, 6, 2, tzinfo=UTC)
    assert answer.latest is None


def test_an_undeclared_limit_is_never_reached() -> None:
    assert exhaustion(rising(), float("nan")).earliest is None
