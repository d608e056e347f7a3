"""The default detector on series whose anomalies are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from support.matrices import MINUTE_MS, columns, matrix

from detectors import alarm, channels, predictor, wide
from detectors.alarm import Budget, Evidence, judge
from detectors.base import State
from detectors.ensemble import Ensemble
from detectors.network import weights
from watchkeeper.model import Scores

DAY = 288


def scored(row: npt.NDArray[np.float64], step_ms: int = 5 * MINUTE_MS) -> Scores:
    return Ensemble().score(matrix([row.tolist()], step_ms=step_ms))


def alarms(row: npt.NDArray[np.float64]) -> list[int]:
    found = scored(row).alarm
    assert found is not None
    return [int(at) for at in np.flatnonzero(np.nan_to_num(found[0]) > 0)]


def calm(length: int, seed: int = 5) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.0, 1.0, length)


def days(count: int) -> npt.NDArray[np.float64]:
    points = np.arange(DAY * count)
    return 100.0 + 50.0 * np.sin(points * 2 * np.pi / DAY) + calm(len(points))


def test_the_weights_were_made_for_the_inputs_there_are() -> None:
    assert weights().inputs == channels.NAMES
    assert weights().begins.hidden.shape[1] == len(channels.NAMES)


@pytest.mark.parametrize("shape", ["normal", "laplace", "heavy", "counts", "skewed"])
def test_the_budget_holds_back_alarms_of_noise_whatever_its_shape(shape: str) -> None:
    random = np.random.default_rng(11)
    rows = {
        "normal": random.normal(0.0, 1.0, (6, DAY * 14)),
        "laplace": random.laplace(0.0, 1.0, (6, DAY * 14)),
        "heavy": random.standard_t(3, (6, DAY * 14)),
        "counts": random.poisson(3.0, (6, DAY * 14)).astype(np.float64),
        "skewed": random.lognormal(0.0, 1.0, (6, DAY * 14)),
    }[shape]
    found = Ensemble().score(matrix(rows, step_ms=5 * MINUTE_MS)).alarm
    assert found is not None
    assert (
        np.nansum(found[:, DAY * 4 :]) / (6 * 10) < 1.0
    )  # a day; a student's t of three has some that anybody would ask about


def test_a_level_shift_pages_at_once_and_then_is_the_new_level() -> None:
    row = calm(DAY * 6)
    row[1000:] += 100.0
    assert next(at for at in alarms(row) if at >= 900) == 1000
    assert len([at for at in alarms(row) if at > 1001]) <= 1


def test_a_constant_that_moves_once_is_seen_and_then_believed() -> None:
    row = np.zeros(1200)
    row[600:] = 1.0
    value = scored(row).value[0]
    assert np.nanmax(value[:600]) == 0.0
    assert value[600] > 0.5
    assert value[1000:].max() < value[600]


def test_a_beat_left_out_of_a_periodic_series_is_seen_though_no_value_is_unusual() -> None:
    points = np.arange(3000)
    row = np.sin(points * 2 * np.pi / 40) + 0.05 * calm(len(points))
    row[2500:2540] = np.sin(points[2500:2540] * np.pi / 40) * 0.5
    value = Ensemble(season=False).score(matrix([row.tolist()])).value[0]
    assert 2500 <= int(np.argmax(value[1000:])) + 1000 < 2560


def test_an_ordinary_value_at_an_unusual_hour_is_seen_once_the_days_are_known() -> None:
    row, odd = days(6), DAY * 5 + 216  # the bottom of the night
    row[odd : odd + 3] = 100.0
    value = scored(row).value[0]
    assert value[odd] > 0.5
    assert value[DAY * 5 : odd].max() < value[odd]


def test_the_band_holds_nearly_all_calm_points_and_follows_the_season() -> None:
    row = days(6)
    answer, late = scored(row), slice(DAY * 4, None)
    inside = (row[late] >= answer.lower[0, late]) & (row[late] <= answer.upper[0, late])
    assert inside.mean() > 0.985
    assert np.abs(answer.expected[0, late] - row[late]).mean() < 2.0


def test_infinite_samples_are_unknown_and_do_no_harm() -> None:
    row = calm(400)
    row[200] = np.inf
    value = scored(row).value[0]
    assert np.isnan(value[200])
    assert np.isfinite(value[201:]).all()


def test_a_block_of_columns_is_scored_as_its_columns_one_by_one() -> None:
    whole, detector = matrix(np.vstack([days(3), days(3)[::-1]]), step_ms=5 * MINUTE_MS), Ensemble()
    state, parts = detector.fit(columns(whole, 0, 500)), []
    for at in range(500, 640):
        state, scores = detector.update(state, columns(whole, at, at + 1))
        parts.append(scores.value)
    np.testing.assert_allclose(np.hstack(parts), detector.score(whole).value[:, 500:640], rtol=1e-4)


def test_many_series_scored_in_parts_are_scored_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(2).normal(0.0, 1.0, (8, 300))
    rows[5, 150:160] = np.nan
    whole = matrix(rows, step_ms=5 * MINUTE_MS)
    together, once = Ensemble().fit(whole), Ensemble().score(whole).value
    monkeypatch.setattr(wide, "SERIES", 3)
    parts = Ensemble().score(whole).value
    np.testing.assert_allclose(parts, once, rtol=1e-5)
    for name, array in Ensemble().fit(whole).rows.items():
        np.testing.assert_allclose(array, together.rows[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_predictor_learns_a_period_that_no_level_shows() -> None:
    wave = np.sin(np.arange(1200) * 2 * np.pi / 48)[None].astype(np.float32)
    steps = predictor.in_steps(wave)
    state = State(predictor.start_rows(1) | {"seen": np.array([0])})
    errors = []
    for start in (0, 128, 256, 512, 1024):
        until = start + predictor.horizon(state, start)
        block = steps[:, start:until]
        errors.append(float(np.abs(predictor.predict(state, block, start) - wave[:, start:until]).mean()))
        state.rows["seen"] += block.shape[1]
        predictor.absorb(state, block, start)
    assert errors[-1] < 0.2 * errors[0]


def test_a_series_that_pages_over_its_budget_needs_stronger_evidence() -> None:
    state, budget = State(alarm.start_rows(1)), Budget(a_day=0.1, samples_a_day=100.0)
    weak = np.full((1, 3000), -10.0)
    weak[0, ::100] = alarm.LIMIT + 1.0
    enough = np.ones(weak.shape, np.bool_)
    opened = judge(state, Evidence(weak), enough, np.arange(3000)[None], budget)
    assert 2 <= opened.sum() < 15
    strong = np.full((1, 1), alarm.LIMIT + 12.0)
    assert judge(state, Evidence(strong), enough[:, :1], np.array([[3000]]), budget).sum() == 1


def test_one_episode_opens_one_alarm() -> None:
    state = State(alarm.start_rows(1))
    episode = np.array([[-9.0, 3.0, 2.6, 2.3, 2.0, 1.5, 1.0, -9.0]])
    enough, seen = np.ones(episode.shape, np.bool_), np.arange(500, 508)[None]
    opened = judge(state, Evidence(episode), enough, seen, Budget(a_day=0.15, samples_a_day=288.0))
    assert opened[0].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


def test_a_smooth_series_opens_no_alarm_when_its_first_day_is_over() -> None:
    """From then on it is judged by the time of day too: the view is new, the series is not."""
    at = np.arange(400)
    many = np.array([np.sin(at * pace + start) for pace in (0.2, 0.7, 1.0) for start in range(4)])
    found = Ensemble().score(matrix(many, step_ms=5 * MINUTE_MS)).alarm
    assert found is not None
    assert np.nansum(found[:, 280:310]) == 0
