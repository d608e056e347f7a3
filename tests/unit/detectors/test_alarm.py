"""When the default detector pages: what counts against the budget, and what is told once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from detectors import alarm
from detectors.alarm import Budget, Evidence, judge
from detectors.base import State

Row = npt.NDArray[np.float64]
BUDGET = Budget(a_day=0.1, samples_a_day=100.0)
#: Evidence of an ordinary sample, and of one that is surely odd.
NONE, SURE = -10.0, 4.0


def opened(begins: Row, lasts: Row, state: State | None = None, start: int = 0, less: float = 0.0) -> list[int]:
    """Where alarms of one series open."""
    held = State(alarm.start_rows(1)) if state is None else state
    enough, seen = np.ones((1, len(begins)), np.bool_), start + np.arange(len(begins))[None]
    rings = judge(held, Evidence(begins[None], lasts[None], less), enough, seen, BUDGET)
    return [start + int(at) for at in np.flatnonzero(rings[0])]


def beginnings(length: int, every: int) -> Row:
    begins = np.full(length, NONE)
    begins[::every] = alarm.LIMIT + 1.0
    return begins


def test_alarms_after_which_something_odd_goes_on_hardly_count_against_the_budget() -> None:
    begins, calm = beginnings(5000, 100), np.full(5000, NONE)
    real = calm.copy()
    for late in range(1, 8):
        real[late::100] = SURE
    assert len(opened(begins, calm)) < 15
    assert len(opened(begins, real)) == 50


def test_a_part_of_the_budget_is_kept_whatever_goes_on() -> None:
    """A series that pages without end is held back in the end, also where every alarm looks right."""
    begins, always = beginnings(20_000, 12), np.full(20_000, SURE)
    always[6::12] = NONE
    assert len(opened(begins, always)) < 0.9 * 20_000 / 12


def test_what_goes_on_and_was_not_told_is_told_late_and_once() -> None:
    lasts = np.full(400, NONE)
    lasts[100:160] = 1.0
    assert opened(np.full(400, NONE), lasts) == [100]
    told = np.full(400, NONE)
    told[98] = SURE
    assert opened(told, lasts) == [98]


def test_what_comes_back_after_a_calm_is_told_again() -> None:
    lasts = np.full(400, NONE)
    lasts[100:110] = lasts[100 + 2 * alarm.CALM : 200] = 3.0
    lasts[300:310] = 3.0
    assert opened(np.full(400, NONE), lasts) == [100, 100 + 2 * alarm.CALM, 300]


def test_for_a_while_after_an_alarm_only_stronger_evidence_opens_another() -> None:
    calm, begins = np.full(100, NONE), np.full(100, NONE)
    begins[[10, 60]], begins[14] = alarm.LIMIT + 3.0, alarm.LIMIT + 1.5
    assert opened(begins, calm) == [10, 60]
    begins[14] = alarm.LIMIT + 6.0
    assert opened(begins, calm) == [10, 14]  # and then the budget is used up


def test_what_is_doubted_counts_less_both_ways() -> None:
    begins, lasts = np.full(50, NONE), np.full(50, NONE)
    begins[10], lasts[40:] = alarm.LIMIT + 3.0, alarm.LASTING_LIMIT + 3.0
    assert opened(begins, lasts) == [10, 40]
    assert opened(begins, lasts, less=3.5) == []


@pytest.mark.parametrize("size", [1, 3, 64])
def test_blocks_of_any_size_open_the_same_alarms_and_remember_the_same(size: int) -> None:
    random = np.random.default_rng(4)
    begins, lasts = random.normal(-3.0, 2.0, 600), random.normal(-2.5, 2.0, 600)
    whole, parts = State(alarm.start_rows(1)), State(alarm.start_rows(1))
    expected, found = opened(begins, lasts, whole), []
    for at in range(0, 600, size):
        found += opened(begins[at : at + size], lasts[at : at + size], parts, at)
    assert found == expected
    assert len(expected) >= 5
    for name, array in whole.rows.items():
        np.testing.assert_allclose(parts.rows[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
