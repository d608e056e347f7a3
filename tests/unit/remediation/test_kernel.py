"""The safety kernel at its edges: the last value that passes, the first that does not, and what a refusal says."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.remedies import (
    HOUR,
    IMPACT,
    LINK,
    MINUTE,
    NOON,
    RULE,
    STEP,
    a_link,
    a_plan,
    bad,
    effect,
    failed,
    history,
    observation,
    passing,
    refusals,
    settings,
)

from remediation import gates
from remediation.gates import GATES, all_passed, evaluate
from remediation.gates.authority import approval
from remediation.gates.evidence import cut_off, heard
from remediation.settings import Freeze, Maintenance
from remediation.situation import InFlight, Watched
from watchkeeper.model import RiskClass, Severity

SECOND = timedelta(seconds=1)
P0, P1, P2, P3 = Severity.P0, Severity.P1, Severity.P2, Severity.P3


def up(count: int, dark: int, service: str = "s") -> tuple[Watched, ...]:
    return tuple(Watched(name=f"t{n}", service=f"{service}{n}", up=n >= dark) for n in range(count))


def later_bad(count: int, total: int, at: datetime, service: str = "shop") -> tuple[Watched, ...]:
    """So many of the targets went bad at that time."""
    return tuple(
        Watched(name=f"t{n}", service=service, up=True, bad_since=at if n < count else None) for n in range(total)
    )


def switched(ago: timedelta, **more: Any) -> Any:
    return effect(ago, direction="switch:b", **more)


def half_open(**more: Any) -> Any:
    return tuple(failed(61 * MINUTE, **more) for _ in range(3))


def busy(rule: str = "x", target: str = "else", service: str = "none") -> InFlight:
    return InFlight(action_id="act-9", rule=rule, target=target, service=service)


#: What only just passes.
PASSES: list[tuple[str, dict[str, Any]]] = [
    (
        "a maintenance that begins in a second, and one that has just ended",
        {
            "settings": settings(
                maintenance=[
                    Maintenance(targets=["web"], start=NOON + SECOND, end=NOON + HOUR, owner="eve"),
                    Maintenance(targets=["web"], start=NOON - HOUR, end=NOON, owner="eve"),
                    Maintenance(targets=["else"], start=NOON - HOUR, end=NOON + HOUR, owner="eve"),
                ]
            )
        },
    ),
    (
        "a freeze that begins in a second, and one that has just ended",
        {
            "settings": settings(
                freeze=[Freeze(start=NOON + SECOND, end=NOON + HOUR), Freeze(start=NOON - HOUR, end=NOON)]
            )
        },
    ),
    ("evidence of exactly two intervals ago", {"history": history(until=NOON - 2 * STEP + timedelta(seconds=5))}),
    ("a sample from two intervals ahead", {"history": (*history()[:3], observation(newest_sample_at=NOON + 2 * STEP))}),
    ("one canary of two", {"canaries": {"north": False, "south": True}}),
    ("a canary asked at the very onset", {"asked": dict.fromkeys(("north", "south"), NOON), "onset": NOON}),
    ("half of the unrelated targets are dark", {"watched": up(4, 2)}),
    ("the only unrelated target is dark", {"watched": up(1, 1)}),
    (
        "all of its own service is dark",
        {"watched": tuple(Watched(name=f"t{n}", service="shop", up=False) for n in range(3))},
    ),
    ("two services went bad", {"bad_services": dict.fromkeys(("a", "shop"), NOON)}),
    (
        "three services, one of them long ago",
        {"bad_services": {"a": NOON, "b": NOON, "c": NOON - 3 * STEP - timedelta(seconds=61)}},
    ),
    ("one bad target of one", {"watched": later_bad(1, 1, NOON)}),
    ("two bad targets of seven", {"watched": later_bad(2, 7, NOON)}),
    ("all bad for long", {"watched": later_bad(4, 4, NOON - 3 * STEP - timedelta(seconds=61))}),
    (
        "two of the link's own are bad, another is not",
        {"watched": (*later_bad(2, 2, NOON), *up(4, 0)), "link": a_link()},
    ),
    ("three changes", {"changes": tuple(NOON - MINUTE * n for n in range(1, 4))}),
    ("the fourth change is ten minutes old", {"changes": tuple(NOON - MINUTE * n for n in (1, 2, 3, 10))}),
    ("exactly the floor", {"impact": replace(IMPACT, floor=3.0)}),
    ("exactly the ceiling", {"impact": replace(IMPACT, scaling=True, direction="out", total=4.0)}),
    (
        "below the floor and given more",
        {"impact": replace(IMPACT, scaling=True, direction="out", healthy_after=1.0, floor=2.0, total=3.0)},
    ),
    ("above a ceiling that is not touched", {"impact": replace(IMPACT, total=5.0, healthy_after=4.0)}),
    ("idle for exactly long enough", {"impact": replace(IMPACT, scaling=True), "idle_since": NOON - 5 * MINUTE}),
    (
        "the backup carries exactly enough",
        {"link": a_link(link=replace(LINK, backup_capacity=0.5, needed_capacity=0.5))},
    ),
    (
        "the way back to a primary that carries all, whatever the backup carries",
        {"link": a_link(returning=True, half_open=True, link=replace(LINK, backup_capacity=0.5, needed_capacity=1.0))},
    ),
    ("the dwell is just over", {"link": a_link(returning=True, half_open=True, serving_since=NOON - 10 * MINUTE)}),
    ("three of the last four probes", {"link": a_link(other_probes=(False, True, True, True))}),
    ("bad probes before the last four", {"link": a_link(other_probes=(False, False, True, True, True, True))}),
    ("one of ten", {"impact": replace(IMPACT, touched=("a",), healthy_after=9.0, total=10.0)}),
    ("two of twenty", {"impact": replace(IMPACT, touched=("a", "b"), healthy_after=18.0, total=20.0)}),
    ("exactly two thirds left", {"impact": replace(IMPACT, healthy_after=2.0, total=3.0)}),
    (
        "many more when scaling out",
        {"impact": replace(IMPACT, touched=("a", "b", "c"), scaling=True, direction="out", healthy_after=1.0)},
    ),
    (
        "the other direction after twice the cooldown",
        {"effects": (effect(20 * MINUTE, target="web", direction="out"),)},
    ),
    (
        "the newest effect counts, not the oldest",
        {"effects": (effect(HOUR, target="web"), effect(11 * MINUTE, target="web"))},
    ),
    ("another target rests", {"effects": (effect(MINUTE, target="else"),)}),
    (
        "the same link after its cooldown",
        {"link": a_link(), "effects": (effect(10 * MINUTE, target="web", link="maps"),)},
    ),
    ("four actions in ten minutes", {"effects": tuple(effect(MINUTE * n) for n in range(1, 5))}),
    ("the fifth is ten minutes old", {"effects": tuple(effect(MINUTE * n) for n in (1, 2, 3, 4, 10))}),
    (
        "nineteen in a day and one just before",
        {"effects": (*tuple(effect(HOUR * n) for n in range(1, 20)), effect(24 * HOUR))},
    ),
    ("rollbacks cost no budget", {"effects": tuple(effect(MINUTE * n, operation="rollback") for n in range(1, 30))}),
    ("what links do costs the others nothing", {"effects": tuple(effect(MINUTE, link="other") for _ in range(6))}),
    ("another link's switch", {"link": a_link(), "effects": (effect(MINUTE, link="other"),)}),
    ("a drain beside a failover", {"effects": (switched(MINUTE),)}),
    ("a failover beside a drain", {"impact": replace(IMPACT, direction="switch:b"), "effects": (effect(MINUTE),)}),
    ("two failures", {"ended": (failed(2 * MINUTE, rule=RULE.name), failed(MINUTE, rule=RULE.name))}),
    ("half-open of the rule while another rule works", {"ended": half_open(rule=RULE.name), "in_flight": (busy(),)}),
    (
        "half-open of the target while another is at work",
        {"ended": half_open(target="web"), "in_flight": (busy(RULE.name),)},
    ),
    ("a pool of three", {"impact": replace(IMPACT, total=3.0, healthy_after=2.0)}),
    ("a small pool of a link", {"impact": replace(IMPACT, total=2.0), "link": a_link()}),
    ("another service's target is being changed", {"in_flight": (busy(),)}),
    (
        "no service is not everybody's service",
        {"rule": replace(RULE, service=""), "in_flight": (busy(service=""),), "watched": ()},
    ),
]

#: What only just does not, beside the cases of every gate.
REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    (
        "switch",
        "a maintenance that begins now",
        {"settings": settings(maintenance=[Maintenance(targets=["web"], start=NOON, end=NOON + SECOND, owner="e")])},
    ),
    ("switch", "a freeze that begins now", {"settings": settings(freeze=[Freeze(start=NOON, end=NOON + SECOND)])}),
    (
        "switch",
        "a freeze, for class A2 in an outage",
        {
            "settings": settings(freeze=[Freeze(start=NOON, end=NOON + HOUR)]),
            "severity": P0,
            "graduated": True,
            **a_plan(risk=RiskClass.A2),
        },
    ),
    ("isolation", "most of the unrelated targets are dark", {"watched": up(4, 3)}),
    ("isolation", "two of two unrelated targets are dark", {"watched": up(2, 2)}),
    ("common_cause", "two bad targets of six", {"watched": later_bad(2, 6, NOON)}),
    ("common_cause", "exactly three of ten", {"watched": later_bad(3, 10, NOON)}),
    (
        "common_cause",
        "two that went bad within a minute before",
        {"watched": later_bad(2, 3, NOON - 3 * STEP - MINUTE)},
    ),
    (
        "common_cause",
        "three services within a minute before",
        {"bad_services": dict.fromkeys("abc", NOON - 3 * STEP - MINUTE)},
    ),
    (
        "common_cause",
        "two of three others beside a link",
        {"watched": (*later_bad(2, 3, NOON, "else"), bad("own", "shop")), "link": a_link()},
    ),
    (
        "flapping",
        "the fourth change is not yet ten minutes old",
        {"changes": (*(NOON - MINUTE * n for n in (1, 2, 3)), NOON - 10 * MINUTE + SECOND)},
    ),
    (
        "flapping",
        "a link that changed more often than its budget explains",
        {"link": a_link(), "changes": tuple(NOON - MINUTE * n for n in range(1, 6))},
    ),
    ("precondition", "a guard that is not finite", {"guards": {"latency": float("inf")}}),
    (
        "blast_radius",
        "three of twenty",
        {"impact": replace(IMPACT, touched=("a", "b", "c"), healthy_after=17.0, total=20.0)},
    ),
    ("blast_radius", "less than two thirds left", {"impact": replace(IMPACT, healthy_after=6.0, total=10.0)}),
    (
        "blast_radius",
        "scaling in by two",
        {
            "impact": replace(
                IMPACT, touched=("a", "b"), scaling=True, healthy_after=4.0, total=6.0, floor=1.0, ceiling=9.0
            ),
            "idle_since": NOON - HOUR,
        },
    ),
    ("cooldown", "a second too early", {"effects": (effect(10 * MINUTE - SECOND, target="web"),)}),
    (
        "cooldown",
        "a second too early for the other direction",
        {"effects": (effect(20 * MINUTE - SECOND, target="web", direction="out"),)},
    ),
    (
        "cooldown",
        "a switch the other way",
        {
            "impact": replace(IMPACT, direction="switch:a"),
            "effects": (switched(15 * MINUTE, target="web"),),
        },
    ),
    (
        "budget",
        "the fifth is not yet ten minutes old",
        {"effects": (*tuple(effect(MINUTE * n) for n in (1, 2, 3, 4)), effect(10 * MINUTE - SECOND))},
    ),
    (
        "budget",
        "the twentieth is not yet a day old",
        {"effects": (*tuple(effect(HOUR * n) for n in range(1, 20)), effect(24 * HOUR - SECOND))},
    ),
    (
        "budget",
        "a day's twenty, links among them",
        {"link": a_link(), "effects": tuple(effect(HOUR * n, link="maps") for n in range(1, 21))},
    ),
    (
        "breaker",
        "half-open of the rule while it works",
        {"ended": half_open(rule=RULE.name), "in_flight": (busy(RULE.name),)},
    ),
    (
        "breaker",
        "half-open of everything while anything works",
        {"ended": tuple(failed(61 * MINUTE, rule=f"r{n}", target=f"t{n}") for n in range(5)), "in_flight": (busy(),)},
    ),
    ("approval", "declared is not enough for class A3", {**a_plan(risk=RiskClass.A3), "declared": True}),
    ("approval", "class A2 that nobody declared", a_plan(risk=RiskClass.A2)),
    ("approval", "a pool of two", {"impact": replace(IMPACT, total=2.0, healthy_after=2.0)}),
]


@pytest.mark.parametrize(("why", "changes"), PASSES, ids=[why for why, _ in PASSES])
def test_this_just_passes(why: str, changes: dict[str, Any]) -> None:
    assert refusals(passing(**changes)) == []


@pytest.mark.parametrize(("gate", "why", "changes"), REFUSED, ids=[f"{gate}-{why}" for gate, why, _ in REFUSED])
def test_this_just_does_not(gate: str, why: str, changes: dict[str, Any]) -> None:
    assert refusals(passing(**changes)) == [gate]


@pytest.mark.parametrize("removed", [name for name, _ in GATES])
def test_without_any_one_gate_something_it_stops_would_be_carried_out(
    removed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The matrix: all other gates let it pass, so nothing but this gate stands between it and the effect."""
    from support.gate_cases import CASES

    only = [changes for gate, _, changes in CASES if gate == removed and refusals(passing(**changes)) == [removed]]
    assert only
    monkeypatch.setattr(gates, "GATES", tuple((name, gate) for name, gate in GATES if name != removed))
    for changes in only:
        assert all_passed(evaluate(passing(**changes), last="intent"))
        assert len(evaluate(passing(**changes), last="intent")) == 14


def test_the_first_refusal_ends_the_questions_and_nothing_asked_is_nothing_passed() -> None:
    verdicts = evaluate(passing(kill_switch="set", foreign_at=NOON))
    assert [verdict.gate for verdict in verdicts] == ["switch"]
    assert not all_passed(verdicts)
    assert not all_passed([])
    assert [verdict.gate for verdict in evaluate(passing(), last="approval")][-1] == "approval"
    assert len(evaluate(passing(), last="approval")) == 13


def test_a_reason_names_what_is_needed_and_what_was_found() -> None:
    assert (
        approval(passing(**a_plan(risk=RiskClass.A4), severity=P3)).reason == "this class is refused at this severity"
    )
    assert approval(passing(severity=P3)).reason == "only a person may do this"
    dark = cut_off("shop", [], {}, up(50, 50)).evidence["dark"]
    assert isinstance(dark, list)
    assert len(dark) == 20
    many = dict(GATES)["common_cause"](passing(watched=later_bad(40, 40, NOON))).evidence["targets"]
    assert isinstance(many, list)
    assert len(many) == 20


def test_a_canary_that_answers_counts_only_when_it_was_asked_since_the_fault_began() -> None:
    asked = {"north": NOON - SECOND, "south": NOON}
    assert heard(["north", "south"], {"north": True, "south": True}, asked, NOON)
    assert not heard(["north", "south"], {"north": True, "south": False}, asked, NOON)
    assert heard(["north"], {"north": False}, {"north": NOON - HOUR}, NOON)  # gate 4 has a better reason
    assert heard(["north"], {"north": True}, {}, NOON)
    assert heard(["north"], {"north": True}, asked, None)
