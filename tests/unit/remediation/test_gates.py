"""Each case is stopped by one gate and by no other: without that gate the plan would be carried out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.gate_cases import CASES
from support.remedies import (
    HOUR,
    MINUTE,
    NOON,
    RULE,
    a_link,
    a_plan,
    bad,
    effect,
    failed,
    passing,
    refusals,
    settings,
)

from remediation.gates import GATES, WAIVABLE, all_passed, evaluate
from remediation.settings import Freeze
from remediation.situation import Frozen
from watchkeeper.model import Approval, RiskClass, Severity


def test_the_calm_situation_passes_all_fifteen_gates() -> None:
    verdicts = evaluate(passing(), last="intent")
    assert len(verdicts) == len(GATES) == 15
    assert all_passed(verdicts)


@pytest.mark.parametrize(("gate", "why", "changes"), CASES, ids=[f"{gate}-{why}" for gate, why, _ in CASES])
def test_this_gate_and_only_this_gate_stops(gate: str, why: str, changes: dict[str, Any]) -> None:
    situation = passing(**changes)
    others = [name for name in refusals(situation) if name != gate]
    if gate == "fresh":  # what is not fresh is often not confirmed either
        others = [name for name in others if name != "confirmed"]
    assert others == []
    verdict = evaluate(situation, last="intent")[-1]
    assert (verdict.gate, verdict.passed) == (gate, False)
    assert verdict.reason


def test_every_gate_has_a_case_that_only_it_stops() -> None:
    only = {gate for gate, _, changes in CASES if refusals(passing(**changes)) == [gate]}
    assert only == {name for name, _ in GATES}


@pytest.mark.parametrize("gate", [name for name, _ in GATES])
def test_a_person_may_waive_four_gates_and_no_other(gate: str) -> None:
    case = next(changes for name, _, changes in CASES if name == gate and refusals(passing(**changes)) == [gate])
    waived = refusals(passing(**{**case, "waived": frozenset({name for name, _ in GATES}), "requester": "eve"}))
    assert (gate not in waived) == (gate in WAIVABLE)


def test_a_freeze_lets_diagnosis_and_reversible_work_on_an_outage_through() -> None:
    frozen = settings(freeze=[Freeze(start=NOON, end=NOON + HOUR)])
    assert "switch" not in refusals(passing(settings=frozen, severity=Severity.P0))
    assert "switch" not in refusals(passing(settings=frozen, **a_plan(risk=RiskClass.A0)))
    assert "switch" in refusals(passing(settings=frozen, severity=Severity.P0, **a_plan(risk=RiskClass.A2)))


def test_a_freeze_that_was_told_holds_for_its_service_and_environment() -> None:
    test = replace(RULE, incident_labels={**RULE.incident_labels, "environment": "TEST"})
    for told in (Frozen(reason="sales"), Frozen(reason="sales", service=RULE.service, environment="PROD")):
        assert told.means(RULE)
    assert not Frozen(reason="sales", environment="PROD").means(test)
    assert not Frozen(reason="sales", service="another").means(RULE)
    calm = passing(frozen=[Frozen(reason="sales")], severity=Severity.P0)
    assert "switch" not in refusals(calm)
    assert "switch" in refusals(replace(calm, **a_plan(risk=RiskClass.A2)))


def test_a_plan_approved_by_another_person_passes() -> None:
    changes = a_plan(risk=RiskClass.A3)
    digest = changes["plan"].digest()
    given = Approval(action_id="act-1", plan_hash=digest, user="eve", verdict="approve", reason="", at=NOON - MINUTE)
    assert refusals(passing(**changes, approvals=(given,))) == []
    assert refusals(passing(**changes, approvals=(replace(given, user=RULE.name),))) == ["approval"]
    assert refusals(passing(**changes, approvals=(replace(given, plan_hash="other"),))) == ["approval"]
    assert refusals(passing(**changes, approvals=(replace(given, at=NOON - 16 * MINUTE),))) == ["approval"]
    assert refusals(passing(**changes, approvals=(replace(given, verdict="reject"),))) == ["approval"]


def test_limits_end_when_their_time_is_over() -> None:
    assert refusals(passing(effects=(effect(10 * MINUTE, target="web"),))) == []
    assert refusals(passing(effects=(effect(20 * MINUTE, target="web", direction="out"),))) == []
    assert refusals(passing(foreign_at=NOON - 30 * MINUTE)) == []
    assert refusals(passing(ended=tuple(failed(61 * MINUTE, rule="drain-web1") for _ in range(3)))) == []


def test_a_link_ignores_its_own_service_in_the_common_cause() -> None:
    alone = {"bad_services": dict.fromkeys(("a", "b", "shop"), NOON), "watched": (bad("t1", "shop"), bad("t2", "shop"))}
    assert refusals(passing(**alone, link=a_link())) == []
