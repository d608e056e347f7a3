"""Before and after a release: noise is no difference, too little is unknown, and a bound holds whatever was before."""

from __future__ import annotations

import math

import pytest

from analytics.release_gate import Limit, compare, overall

CALM = [0.10, 0.11, 0.10, 0.09, 0.10, 0.10]


@pytest.mark.parametrize(
    ("after", "verdict", "reason"),
    [
        (CALM, "passed", ""),
        ([0.12] * 6, "passed", ""),
        ([0.2] * 6, "failed", "worse"),
        ([0.01] * 6, "passed", ""),
        ([0.2] * 3, "unknown", "few_after"),
        ([math.nan] * 6, "unknown", "few_after"),
    ],
)
def test_a_median_that_is_clearly_higher_has_failed(after: list[float], verdict: str, reason: str) -> None:
    found = compare(CALM, after, Limit(worse_by=0.3))
    assert (found.verdict, found.reason) == (verdict, reason)


def test_what_was_noisy_before_may_be_noisy_afterwards() -> None:
    noisy = [0.05, 0.4, 0.1, 0.35, 0.02, 0.3]
    assert compare(noisy, [0.6] * 6, Limit(worse_by=0.1)).verdict == "passed"
    assert compare([0.2] * 6, [0.6] * 6, Limit(worse_by=0.1)).verdict == "failed"


def test_small_differences_never_count_and_lower_may_be_worse() -> None:
    assert compare([0.0] * 6, [0.005] * 6, Limit(least=0.01)).verdict == "passed"
    assert compare([0.99] * 6, [0.5] * 6, Limit(higher_is_worse=False)).verdict == "failed"
    assert compare([0.99] * 6, [1.0] * 6, Limit(higher_is_worse=False)).verdict == "passed"


def test_a_bound_holds_without_a_time_before_and_nothing_passes_without_one() -> None:
    assert compare([], [0.2] * 6, Limit(bound=0.1)).reason == "bound"
    assert compare([], [0.05] * 6, Limit(bound=0.1)).verdict == "unknown"


def test_one_failure_fails_all_and_unknown_is_not_passed() -> None:
    assert overall(["passed", "failed", "unknown"]) == "failed"
    assert overall(["passed", "unknown"]) == "unknown"
    assert overall([]) == "unknown"
    assert overall(["passed", "passed"]) == "passed"
