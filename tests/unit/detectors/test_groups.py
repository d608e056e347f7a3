"""Several metrics of one thing: one score, one alarm, and the metrics that contribute most."""

from __future__ import annotations

import numpy as np
import pytest
from support.matrices import HOUR_MS, MINUTE_MS, MONDAY_MS

from detectors import Budget, groups, state_from_arrays, state_to_arrays, together
from detectors.base import State
from detectors.groups import Joint

USUAL = Budget(0.15, 1440.0)
METRICS = 5


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "FIRST", 64)


def moments(count: int, seed: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Metrics that go together, [moment, metric]."""
    chance = np.random.default_rng(seed)
    load = 10.0 + chance.normal(0.0, 2.0, count)
    return np.stack([load * (1.0 + metric) + chance.normal(0.0, 0.1, count) for metric in range(METRICS)], axis=1)


def follow(
    state: State, values: np.ndarray[tuple[int, int], np.dtype[np.float64]], *, first: int = 0, learning_ms: int = 0
) -> list[Joint]:
    calm = np.full(METRICS, 0.05)
    return [
        groups.step(state, row, calm, MONDAY_MS + at * MINUTE_MS, USUAL, learning_ms=learning_ms)
        for at, row in enumerate(values, start=first)
    ]


def apart() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Every metric where it often is, but one of them not where it is together with the others."""
    values = moments(310)
    values[280:290, 1] += 12.0
    return values


def test_a_group_has_no_score_while_it_is_learned_and_a_low_one_while_all_is_calm() -> None:
    found = follow(groups.start(METRICS), moments(290))
    assert np.isnan([one.score for one in found[:64]]).all()
    assert max(one.score for one in found[64:]) < 0.6
    assert all(one.finding is None for one in found)


def test_metrics_that_part_company_raise_one_alarm_which_names_the_one_that_left() -> None:
    found = follow(groups.start(METRICS), apart())
    odd = found[289]
    assert odd.score > 0.9
    assert odd.finding is not None
    assert odd.finding.kind == "joint"
    assert MONDAY_MS + 280 * MINUTE_MS <= (odd.finding.since_ms or 0) < MONDAY_MS + 285 * MINUTE_MS
    assert odd.finding.factor == pytest.approx(odd.finding.change + 1.0)
    assert odd.finding.factor > groups.FAR
    assert int(np.argmax(odd.shares)) == 1
    assert found[-1].finding is None, "an alarm that is over ends"


def test_no_alarm_of_a_group_opens_before_it_was_seen_long_enough() -> None:
    assert follow(groups.start(METRICS), apart(), learning_ms=10 * HOUR_MS)[289].finding is None


def test_a_state_that_was_kept_goes_on_as_if_nothing_had_been() -> None:
    whole, kept = groups.start(METRICS), groups.start(METRICS)
    values = apart()
    expected = follow(whole, values)[200:]
    follow(kept, values[:200])
    restored = state_from_arrays(state_to_arrays(kept))
    assert [one.score for one in follow(restored, values[200:], first=200)] == [one.score for one in expected]


def test_a_metric_that_is_missing_counts_as_usual() -> None:
    values = moments(300)
    values[250:, 2] = np.nan
    found = follow(groups.start(METRICS), values)
    assert np.isfinite([one.score for one in found[250:]]).all()
