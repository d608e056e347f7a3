"""What every forecaster promises, tried on every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.matrices import HOUR_MS, matrix

from forecasting import BUILTIN, QUANTILES
from watchkeeper.errors import ConfigError
from watchkeeper.model import Forecast
from watchkeeper.registry import Registry

KINDS = sorted(BUILTIN)
#: ``ets`` fits every series by itself: it is tried with fewer examples.
BATCHED = sorted(set(KINDS) - {"ets"})


def sound(forecast: Forecast, horizon: int, lower: float = -np.inf, upper: float = np.inf) -> None:
    """Either a reason and nothing else, or whole paths in order and inside the bounds."""
    if forecast.unknown:
        assert not forecast.quantiles
        assert not len(forecast.times)
        return
    paths = np.stack([forecast.quantiles[quantile] for quantile in QUANTILES])
    assert paths.shape == (5, horizon)
    assert np.isfinite(paths).all()
    assert (np.diff(paths, axis=0) >= 0).all()
    assert paths.min() >= lower
    assert paths.max() <= upper


def load(length: int = 24 * 14, seed: int = 3) -> npt.NDArray[np.float64]:
    hours = np.arange(length)
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (2, length))
    return np.asarray(50.0 + 10.0 * np.sin(hours * 2 * np.pi / 24) + noise)


@pytest.mark.parametrize("kind", BATCHED)
@settings(max_examples=12, deadline=None)
@given(
    rows=arrays(
        np.float64,
        (2, 60),
        elements=st.one_of(st.floats(width=64), st.floats(-1e3, 1e3), st.just(np.nan)),
        fill=st.nothing(),
    ),
    horizon=st.integers(1, 50),
)
def test_answers_are_whole_ordered_and_bounded_whatever_the_samples_are(
    kind: str, rows: npt.NDArray[np.float64], horizon: int
) -> None:
    forecasts = BUILTIN[kind](lower=-5.0, upper=95.0, min_history=1).forecast(matrix(rows, step_ms=HOUR_MS), horizon)
    assert len(forecasts) == 2
    for forecast in forecasts:
        sound(forecast, horizon, -5.0, 95.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("constant", [3.0] * 100),
        ("one point", [np.nan] * 99 + [3.0]),
        ("all gap", [np.nan] * 100),
        ("empty", []),
        ("late start", [np.nan] * 40 + [float(value % 24) for value in range(60)]),
        ("stopped", [float(value % 24) for value in range(60)] + [np.nan] * 40),
        ("zeros", [0.0] * 100),
        ("one step up", [0.0] * 80 + [1.0] * 20),
    ],
)
def test_odd_histories_are_answered_or_refused_with_a_reason(kind: str, name: str, row: list[float]) -> None:
    forecast = BUILTIN[kind](lower=0.0, upper=100.0).forecast(matrix([row], step_ms=HOUR_MS), 30)[0]
    sound(forecast, 30, 0.0, 100.0)
    assert bool(forecast.unknown) is (name in ("one point", "all gap", "empty"))


@pytest.mark.parametrize("kind", KINDS)
def test_short_history_is_refused_with_both_numbers(kind: str) -> None:
    forecast = BUILTIN[kind]().forecast(matrix([list(range(12))], step_ms=HOUR_MS), 5)[0]
    assert forecast.unknown == "not enough history: 12 of 48 points"


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_is_forecast_as_itself(kind: str) -> None:
    forecast = BUILTIN[kind]().forecast(matrix([[3.0] * 100], step_ms=HOUR_MS), 10)[0]
    for path in forecast.quantiles.values():
        np.testing.assert_allclose(path, 3.0, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_input_is_left_as_it_was_and_the_answer_is_the_same_twice(kind: str) -> None:
    given_matrix = matrix(load(24 * 3), step_ms=HOUR_MS)
    before = given_matrix.values.copy()
    once, twice = (BUILTIN[kind]().forecast(given_matrix, 12) for _ in range(2))
    np.testing.assert_array_equal(given_matrix.values, before)
    for first, second in zip(once, twice, strict=True):
        assert first.backtest == second.backtest
        for quantile in QUANTILES:
            np.testing.assert_array_equal(first.quantiles[quantile], second.quantiles[quantile])


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"drift"}))
def test_a_daily_shape_is_continued(kind: str) -> None:
    history = load(24 * 7)[:1]
    forecast = BUILTIN[kind]().forecast(matrix(history, step_ms=HOUR_MS), 24)[0]
    truth = 50.0 + 10.0 * np.sin(np.arange(24 * 7, 24 * 8) * 2 * np.pi / 24)
    assert np.abs(forecast.quantiles[0.5] - truth).mean() < 2.0
    assert forecast.backtest.origins > 0
    assert forecast.backtest.better_than_last_value
    assert 0.5 <= forecast.backtest.coverage80 <= 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_times_go_on_in_the_step_of_the_history(kind: str) -> None:
    given_matrix = matrix(load(24 * 3)[:1], step_ms=HOUR_MS)
    forecast = BUILTIN[kind]().forecast(given_matrix, 3)[0]
    assert forecast.issued_ms == given_matrix.times[-1]
    assert (forecast.times - given_matrix.times[-1]).tolist() == [HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_option_is_named(kind: str) -> None:
    options: dict[str, Any] = {"seazons": [24]}
    with pytest.raises(ConfigError, match=rf"forecasting\.{kind}\.seazons"):
        Registry("forecasting", BUILTIN).build(kind, options)
