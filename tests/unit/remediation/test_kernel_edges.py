"""The gates where only their mutants had looked: what no other test told from a change of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from support.remedies import (
    HOUR,
    IMPACT,
    LINK,
    MINUTE,
    NOON,
    PLAN,
    RULE,
    STEP,
    a_link,
    effect,
    failed,
    observation,
    passing,
    refusals,
)

from remediation import confirm
from remediation.breakers import BreakerState, state_of
from remediation.gates.evidence import confirmed
from remediation.gates.limits import breaker, cooldown
from remediation.gates.target import blast_radius, drift, flapping, precondition
from remediation.situation import Ended
from watchkeeper.model import Scale, Target
from watchkeeper.reasons import told

# --- breakers and limits ---


def test_what_failed_before_a_breaker_closed_is_forgotten_even_when_its_rest_was_short() -> None:
    ends = [(0, False), (1, False), (2, False), (12, True), (13, False)]
    ended = [Ended(at=NOON + minute * MINUTE, rule="r", target="t", ok=ok) for minute, ok in ends]
    asked = state_of(ended, NOON + 14 * MINUTE, limit=3, window=HOUR, rest=10 * MINUTE)
    assert asked is BreakerState.CLOSED


def test_a_half_open_breaker_is_named_and_every_target_of_a_plan_is_asked() -> None:
    half = tuple(failed(80 * MINUTE - n * MINUTE, target="web") for n in range(3))
    assert "half-open: target web" in breaker(passing(ended=half)).reason
    assert breaker(passing()).reason == ""
    two = replace(PLAN, targets=(Target(kind="haproxy", name="web"), Target(kind="haproxy", name="db")))
    broken = (*half, *(failed(MINUTE, target="db") for _ in range(3)))
    verdict = breaker(passing(plan=two, ended=broken))
    assert (verdict.passed, "target db is open" in verdict.reason) == (False, True)


@pytest.mark.parametrize(
    ("last", "now", "rests"),
    [
        ("switch:web2", "in", False),
        ("in", "switch:web2", False),
        ("switch:web2", "switch:web2", False),
        ("in", "in", False),
        ("in", "out", True),
        ("switch:web2", "switch:web1", True),
    ],
)
def test_only_what_undoes_the_last_change_rests_twice_as_long(last: str, now: str, *, rests: bool) -> None:
    done = effect(15 * MINUTE, target="web", direction=last)
    assert cooldown(passing(effects=(done,), impact=replace(IMPACT, direction=now))).passed is not rests


def test_one_vote_that_is_asked_for_is_no_vote_once_the_rule_sees_that_all_is_well() -> None:
    seen = [observation(NOON, bad=True, observers={}), observation(NOON + STEP, bad=False, observers={})]
    assert confirm.agreeing(seen, 1, 2) == []
    assert confirm.agreeing(seen[:1], 1, 2) == ["rule"]


# --- the target ---


@pytest.mark.parametrize(("direction", "bound"), [("out", "most"), ("in", "least")])
def test_a_scaling_rule_at_its_bound_says_which(direction: Any, bound: str) -> None:
    rule = replace(RULE, scale=Scale(direction=direction, load="x", per_worker=1, min=1, max=9, step=1))
    verdict = precondition(passing(rule=rule, impact=replace(IMPACT, touched=())))
    assert f"the {bound} allowed" in verdict.reason


@pytest.mark.parametrize(
    ("unchecked", "ends"),
    [(0.0, ("the floor is 2", "7 are needed")), (8.0, ("; nobody checks 8 that would serve",) * 2)],
)
def test_where_few_are_known_to_be_healthy_it_is_said_how_many_nobody_checks(
    unchecked: float, ends: tuple[str, str]
) -> None:
    few = passing(impact=replace(IMPACT, healthy_after=1.0, total=10.0, floor=2.0, unchecked_after=unchecked))
    for verdict, end in zip((precondition(few), blast_radius(few)), ends, strict=True):
        assert (verdict.passed, verdict.reason.endswith(end)) == (False, True)
        assert told(verdict.reason, "zh-CN").isascii() is False


def test_of_the_other_sides_probes_the_last_four_count() -> None:
    assert not blast_radius(passing(link=a_link(other_probes=(True, True, False, False, True)))).passed
    assert blast_radius(passing(link=a_link(other_probes=(False, True, True, True)))).passed
    seen = blast_radius(passing(link=a_link(other_probes=(False, True, True, True, True)))).evidence["probes"]
    assert seen == [True] * 4


def test_what_changed_before_the_window_is_no_flapping() -> None:
    old, now = [NOON - HOUR] * 9, [NOON - MINUTE] * 4
    assert flapping(passing(changes=tuple(old), onsets=tuple(old))).passed
    assert not flapping(passing(changes=tuple(now))).passed
    assert not flapping(passing(onsets=tuple(now))).passed


def test_a_guard_that_can_be_read_is_no_problem_and_one_that_cannot_is_named() -> None:
    assert precondition(passing(guards={"latency": 0.2})).passed
    verdict = precondition(passing(guards={"latency": 0.2, "errors": None}))
    assert (verdict.passed, "the guard errors cannot be read" in verdict.reason) == (False, True)


def test_whoever_acted_is_left_alone_for_as_long_as_is_said() -> None:
    hold = passing().settings.foreign_hold
    verdict = drift(passing(foreign_at=NOON - 10 * MINUTE))
    assert (verdict.passed, f"for {(hold - 10 * MINUTE).total_seconds():.0f} s" in verdict.reason) == (False, True)
    assert drift(passing(foreign_at=NOON - hold)).passed


def test_who_of_a_links_observers_did_not_confirm_is_named() -> None:
    assert "did not confirm" not in confirmed(passing(history=())).reason
    verdict = confirmed(passing(link=a_link(link=replace(LINK, observers=["probe", "users"]))))
    assert (verdict.passed, "; users did not confirm" in verdict.reason) == (False, True)


@pytest.mark.parametrize("change", [{"healthy_after": math.nan}, {"total": math.inf}, {"total": math.nan}])
def test_figures_that_are_none_are_refused_by_whoever_counts_with_them(change: dict[str, Any]) -> None:
    assert refusals(passing(impact=replace(IMPACT, **change))) == ["precondition", "blast_radius"]
