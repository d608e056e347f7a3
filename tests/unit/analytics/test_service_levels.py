"""Service levels, quality scores and reliability times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analytics.quality import WEIGHTS, Observed, quality
from analytics.reliability import automation, reliability
from analytics.slo import (
    BURN_WINDOWS,
    MONTH_30D,
    MONTH_730H,
    budget,
    burn_rate,
    burning,
    downtime,
    serial_availability,
    time_to_spent,
)
from watchkeeper.model import Incident, IncidentState, Severity

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_the_three_figures_of_the_contract_come_from_two_kinds_of_month() -> None:
    assert downtime(0.999, MONTH_730H).computed == 43.8 * MINUTE
    assert downtime(0.999, MONTH_30D).computed == 43.2 * MINUTE
    assert downtime(0.995, MONTH_30D).computed == timedelta(hours=3.6)
    assert downtime(0.990, MONTH_30D).computed == timedelta(hours=7.2)


def test_the_contract_figure_decides_and_both_are_kept() -> None:
    allowed = downtime(0.999, MONTH_30D, contract=43.8 * MINUTE, used=44 * MINUTE)
    assert (allowed.allowed, allowed.computed) == (43.8 * MINUTE, 43.2 * MINUTE)
    assert allowed.remaining == -0.2 * MINUTE
    assert allowed.differs == 0.6 * MINUTE


def test_unmeasured_downtime_leaves_an_unknown_rest() -> None:
    assert downtime(0.999, MONTH_30D).remaining is None


@pytest.mark.parametrize("target", [0.0, 1.0, 99.9, float("nan")])
def test_a_target_that_is_no_share_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match=r"0\.999"):
        downtime(target, MONTH_30D)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        downtime(0.999, timedelta(0))


def test_a_budget_is_spent_by_bad_events() -> None:
    half = budget(0.99, total=10_000, bad=50)
    assert half.allowed == pytest.approx(100.0)
    assert half.remaining_ratio == pytest.approx(0.5)
    assert half.attained == pytest.approx(0.995)
    assert burn_rate(0.99, total=10_000, bad=300) == pytest.approx(3.0)


def test_no_events_are_unknown_and_not_perfect() -> None:
    assert np.isnan(budget(0.99, total=0, bad=0).remaining_ratio)
    assert np.isnan(budget(0.99, total=0, bad=0).attained)
    assert np.isnan(burn_rate(0.99, total=0, bad=0))


def test_more_bad_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match="bad"):
        budget(0.99, total=1, bad=2)


def test_both_windows_must_burn_and_an_unknown_one_does_not() -> None:
    fast, slow = BURN_WINDOWS[0], BURN_WINDOWS[2]
    assert burning({fast.long: 20.0, fast.short: 20.0, slow.long: 2.0, slow.short: 2.0}) is fast
    assert burning({fast.long: 20.0, fast.short: 1.0, slow.long: 2.0, slow.short: 2.0}) is slow
    assert burning({fast.long: float("nan"), fast.short: 20.0}) is None


def test_the_rest_of_a_budget_lasts_as_long_as_its_burn_rate_lets_it() -> None:
    assert time_to_spent(0.5, 2.0, MONTH_30D) == timedelta(days=7.5)
    assert time_to_spent(-0.1, 2.0, MONTH_30D) == timedelta(0)
    assert time_to_spent(0.5, 0.0, MONTH_30D) is None
    assert time_to_spent(float("nan"), 1.0, MONTH_30D) is None


def test_twenty_good_services_in_a_row_are_not_a_good_system() -> None:
    assert serial_availability([0.999] * 20) == pytest.approx(0.980, abs=0.0005)


PERFECT = Observed(success_ratio=1.0, latency_seconds=0.1, age_seconds=5.0, errors={}, requests=100.0)


def test_a_perfect_provider_has_100_and_no_worst_part() -> None:
    found = quality(PERFECT)
    assert (found.score, found.worst) == (100.0, "")


def test_what_each_part_costs_sums_to_what_is_missing() -> None:
    found = quality(
        Observed(success_ratio=0.97, latency_seconds=3.0, age_seconds=300.0, errors={"timeout": 2.0}, requests=100.0)
    )
    assert sum(part.lost for part in found.components) == pytest.approx(100.0 - found.score)
    assert 0.0 < found.score < 100.0
    assert found.worst == "latency"


def test_the_callers_own_mistakes_hurt_a_provider_less_than_time_outs() -> None:
    scores = [
        quality(
            Observed(success_ratio=0.99, latency_seconds=0.1, age_seconds=1, errors={kind: 4.0}, requests=100.0)
        ).score
        for kind in ("client", "rate_limited", "timeout", "never heard of")
    ]
    assert scores[0] > scores[1] > scores[2] == scores[3]


def test_an_unmeasured_part_gives_its_weight_to_the_others() -> None:
    found = quality(Observed(success_ratio=0.90, latency_seconds=0.1, age_seconds=1.0))
    weights = {part.name: part.weight for part in found.components}
    assert weights["error_mix"] == 0.0
    assert sum(weights.values()) == pytest.approx(1.0)
    assert found.score == pytest.approx(100.0 * (1 - WEIGHTS["success"] / 0.85))


def test_too_little_measured_is_unknown_and_says_what() -> None:
    found = quality(Observed(latency_seconds=0.1))
    assert np.isnan(found.score)
    assert found.unknown == "not measured: success, freshness, error_mix"


def incident(
    name: str, *, acknowledged: int | None = None, resolved: int | None = None, began: object = None
) -> Incident:
    return Incident(
        id=name,
        state=IncidentState.OPENED,
        severity=Severity.P1,
        title=name,
        group_key=name,
        labels={},
        opened_at=NOON,
        acknowledged_at=None if acknowledged is None else NOON + acknowledged * MINUTE,
        resolved_at=None if resolved is None else NOON + resolved * MINUTE,
        respond_by=NOON + 5 * MINUTE,
        details={} if began is None else {"began_at": began},
    )


def test_means_rest_on_what_is_known_and_say_on_how_much() -> None:
    incidents = [
        incident("a", acknowledged=2, resolved=10, began=NOON - 3 * MINUTE),
        incident("b", acknowledged=8, resolved=30, began=(NOON - MINUTE).isoformat()),
        incident("c"),
    ]
    found = reliability(incidents, NOON + 3 * MINUTE)
    assert (found.mtta.seconds, found.mtta.count, found.mtta.left_out) == (300.0, 2, 1)
    assert (found.mttr.seconds, found.mttr.median_seconds) == (1200.0, 1200.0)
    assert (found.mttd.seconds, found.mttd.count) == (120.0, 2)
    assert found.answered_in_time_ratio == 0.5


def test_an_incident_nobody_answered_counts_once_its_clock_has_run_out() -> None:
    assert np.isnan(reliability([incident("c")], NOON + 3 * MINUTE).answered_in_time_ratio)
    assert reliability([incident("c")], NOON + 6 * MINUTE).answered_in_time_ratio == 0.0


def test_without_incidents_every_mean_is_unknown() -> None:
    found = reliability([], NOON)
    assert np.isnan(found.mttr.seconds)
    assert found.incidents == found.mttr.count == 0


def test_an_effect_somebody_approved_is_not_automatic() -> None:
    assert automation(["a", "b", "c"], ["b", "other"], manual_fixes=1).rate == 0.5
    assert np.isnan(automation([], []).rate)
