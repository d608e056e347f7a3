"""The default detector on series whose anomalies are known."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from support.matrices import MINUTE_MS, columns, matrix

from detectors import BUILTIN
from detectors.ensemble import Ensemble, soft_maximum
from watchkeeper.model import Matrix, labels


def scores(row: npt.NDArray[np.float64], step_ms: int = 5 * MINUTE_MS) -> npt.NDArray[np.float64]:
    return np.asarray(Ensemble().score(matrix([row.tolist()], step_ms=step_ms)).value[0])


@pytest.mark.parametrize("shape", ["normal", "laplace", "heavy", "counts", "skewed"])
def test_half_a_point_is_roughly_one_in_a_thousand_whatever_the_noise(shape: str) -> None:
    random = np.random.default_rng(11)
    rows = {
        "normal": random.normal(0.0, 1.0, (40, 1600)),
        "laplace": random.laplace(0.0, 1.0, (40, 1600)),
        "heavy": random.standard_t(3, (40, 1600)),
        "counts": random.poisson(3.0, (40, 1600)).astype(np.float64),
        "skewed": random.lognormal(0.0, 1.0, (40, 1600)),
    }[shape]
    value = Ensemble(season=False).score(matrix(rows)).value[:, 600:]
    assert 0.0002 < (value >= 0.5).mean() < 0.004


def test_a_level_shift_is_seen_at_once_and_not_for_ever() -> None:
    row = np.random.default_rng(5).normal(0.0, 1.0, 1200)
    row[800:] += 100.0
    value = scores(row)
    assert value[800] > 0.7
    assert (value[830:] < 0.5).mean() > 0.99
    assert value[900:].mean() < 0.15


def test_a_constant_that_moves_once_is_seen_and_then_believed() -> None:
    row = np.zeros(600)
    row[300:] = 1.0
    value = scores(row)
    assert np.nanmax(value[:300]) == 0.0
    assert value[300] > 0.9
    assert value[360:].max() < 0.2


def test_after_a_shift_a_spike_of_the_old_size_is_still_seen() -> None:
    row = np.random.default_rng(5).normal(0.0, 1.0, 2000)
    row[800:] += 100.0
    row[1700] += 12.0
    assert scores(row)[1700] > 0.5


def test_an_ordinary_value_at_an_unusual_hour_is_seen_once_the_days_are_known() -> None:
    points = np.arange(288 * 6)
    row = 100.0 + 50.0 * np.sin(points * 2 * np.pi / 288) + np.random.default_rng(5).normal(0.0, 1.0, len(points))
    odd = 288 * 5 + 216  # the bottom of the night
    row[odd : odd + 3] = 100.0
    value = scores(row)
    assert value[odd] > 0.55
    assert value[288 * 5 : odd].max() < value[odd]


def test_the_band_holds_nearly_all_calm_points_and_follows_the_season() -> None:
    points = np.arange(288 * 6)
    row = 100.0 + 50.0 * np.sin(points * 2 * np.pi / 288) + np.random.default_rng(5).normal(0.0, 1.0, len(points))
    answer = Ensemble().score(matrix([row.tolist()], step_ms=5 * MINUTE_MS))
    late = slice(288 * 4, None)
    inside = (row[late] >= answer.lower[0, late]) & (row[late] <= answer.upper[0, late])
    assert inside.mean() > 0.985
    assert np.abs(answer.expected[0, late] - row[late]).mean() < 2.0


def test_infinite_samples_are_unknown_and_do_no_harm() -> None:
    row = np.random.default_rng(5).normal(0.0, 1.0, 400)
    row[200] = np.inf
    value = scores(row)
    assert np.isnan(value[200])
    assert np.isfinite(value[201:]).all()


def test_a_soft_maximum_lies_a_little_above_the_largest_and_ignores_the_unknown() -> None:
    joined = soft_maximum(np.array([[3.0, 3.0, np.nan], [4.0, 0.0, 0.0], [np.nan, np.nan, np.nan]]), 6.0)
    assert 3.0 < joined[0] < 3.5
    assert joined[1] == pytest.approx(4.0)
    assert np.isnan(joined[2])


def test_the_profile_of_the_week_tells_sunday_from_monday() -> None:
    quarters = np.arange(96 * 7 * 5)
    weekend = (quarters // 96) % 7 >= 5
    row = np.where(weekend, 20.0, 100.0) + np.random.default_rng(5).normal(0.0, 1.0, len(quarters))
    answer = BUILTIN["seasonal"](min_history=5).score(matrix([row.tolist()], step_ms=15 * MINUTE_MS))
    fifth_week = slice(96 * 7 * 4, None)
    assert np.abs(answer.expected[0, fifth_week] - row[fifth_week]).mean() < 5.0
    assert (answer.value[0, fifth_week] > 0.5).mean() < 0.05


def test_fifteen_hundred_series_cost_about_a_millisecond_a_column() -> None:
    """Generous, for slow and shared machines: a Python loop over series would take a hundred times longer."""
    series = tuple(labels("m", row=str(row)) for row in range(1500))
    values = np.random.default_rng(2).normal(100.0, 5.0, (1500, 60))
    whole = Matrix(
        series=series, times=np.arange(60) * 60_000, values=values, present=np.ones(values.shape, dtype=np.bool_)
    )
    detector = Ensemble()
    state, spent = detector.fit(columns(whole, 0, 10)), []
    for at in range(10, 60):
        started = time.process_time()
        state, _ = detector.update(state, columns(whole, at, at + 1))
        spent.append(time.process_time() - started)
    assert np.median(spent) < 0.02
