"""What a plan says of the world after it, in figures and money; and how far off it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.remediator import World
from support.remedies import IMPACT, LINK, NOON, PLAN, RULE, passing

from remediation.hindsight import hindsights
from remediation.judgement import foresight
from remediation.links import RETURN
from remediation.plan import Planned
from remediation.predict import measured, objections, off, prediction
from remediation.settings import Settings
from rules import load_text
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.model import ActionState, Expectation, Mode, RemedyRule, Scale
from watchkeeper.ports import Reading

ERRORS = Expectation(metric="errors", sense="at_most", value=0.1)
PLANNED = Planned(plan=PLAN, impact=IMPACT, reading=Reading(state={}, epoch="e"))
SCALE = Scale(direction="out", load="waiting", per_worker=40.0, min=2, max=8, step=8, cost_per_worker=0.5)


def said(rule: RemedyRule, answers: Mapping[str, float], counted: Mapping[str, Any] | None = None) -> Any:
    settings = Settings(
        targets=[{"name": "web", "kind": "haproxy"}], links=[replace(LINK, primary_cost=3.0, backup_cost=5.0)]
    )
    return prediction(rule, PLANNED, settings, lambda expr, at: [((), answers[expr])], NOON, counted or {})


def test_a_plan_says_which_number_moves_whom_it_touches_and_whether_the_symptom_is_there() -> None:
    found = said(replace(RULE, expect=ERRORS), {"errors": 0.4, RULE.verify: 1.0})
    assert found["metrics"] == [{"metric": "errors", "sense": "at_most", "value": 0.1, "before": 0.4}]
    assert (found["touched"], found["healthy_after"], found["symptom_before"]) == (["web1"], 3.0, True)
    assert found["unchecked_after"] == 0.0
    assert found["cost"] is None


def test_a_scaling_plan_says_the_load_of_each_worker_and_the_money() -> None:
    rule = replace(RULE, scale=SCALE, verify="waiting > 100")
    counted = {"load": 240.0, "running": 2, "count": 6}
    found = said(rule, {"(waiting) / 6": 40.0, "waiting > 100": 240.0}, counted)
    assert found["metrics"][0] | {"before": 0} == {
        "metric": "(waiting) / 6", "sense": "at_most", "value": pytest.approx(44.0), "before": 0,
    }  # fmt: skip
    assert found["cost"] == {"before": 1.0, "after": 3.0, "change": 2.0}


@pytest.mark.parametrize(("name", "change"), [("a", 2.0), ("a" + RETURN, -2.0)])
def test_a_link_says_what_the_other_side_costs_more(name: str, change: float) -> None:
    found = said(replace(RULE, name=name, link="maps"), {RULE.verify: 0.0})
    assert found["cost"]["change"] == change
    assert found["symptom_before"] is False


def test_a_rule_may_declare_its_cost() -> None:
    found = said(replace(RULE, expect=replace(ERRORS, cost_per_hour=0.7)), {"errors": 1.0, RULE.verify: 1.0})
    assert found["cost"] == {"change": 0.7}


@pytest.mark.parametrize(
    ("sense", "value", "now", "error", "kept"),
    [
        ("at_most", 0.1, 0.05, -0.5, True), ("at_most", 0.1, 0.2, 1.0, False),
        ("at_least", 100.0, 90.0, 0.1, False), ("at_least", 100.0, 120.0, -0.2, True),
        ("about", 10.0, 11.0, 0.1, True), ("about", 10.0, 14.0, 0.4, False),
        ("other_than", 0.0, 0.0, 1.0, False), ("other_than", 0.0, 1.0, 0.0, True),
        ("at_most", 0.0, 3.0, 3.0, False),
    ],
)  # fmt: skip
def test_an_error_is_a_share_of_what_was_said_and_positive_is_worse(
    sense: str, value: float, now: float, error: float, kept: bool
) -> None:
    assert off(sense, value, now) == pytest.approx(error)
    foretold = {"metrics": [{"metric": "m", "sense": sense, "value": value, "before": None}]}
    found: Any = measured(foretold, lambda expr, at: [((), now)], NOON)["metrics"]
    assert found[0]["kept"] is kept


def test_what_cannot_be_measured_is_unknown_and_never_right() -> None:
    def broken(expr: str, at: datetime) -> Any:
        raise QueryError(f"no {expr} at {at}")

    def silent(expr: str, at: datetime) -> Any:
        return []

    def not_a_number(expr: str, at: datetime) -> Any:
        return [((), float("nan"))]

    foretold = {"metrics": [{"metric": "m", "sense": "at_most", "value": 1.0, "before": None}]}
    for query in (broken, silent, not_a_number):
        assert measured(foretold, query, NOON)["metrics"] == [
            {"metric": "m", "value": None, "error": None, "kept": None}
        ]


def test_all_that_speaks_against_a_plan_is_told_and_not_the_first_alone() -> None:
    calm = objections(passing())
    wrong = objections(replace(passing(), kill_switch="smoke", impact=replace(IMPACT, problem="no such server")))
    assert [one["gate"] for one in calm] == []
    assert [one["gate"] for one in wrong] == ["switch", "precondition"]
    assert wrong[1]["reason"]


def test_what_was_predicted_is_measured_at_the_end_kept_with_the_action_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, expect=ERRORS))
    world.answers = {"errors": 0.5}
    world.step(3)
    world.symptom, world.answers = 0.0, {"errors": 0.15}
    world.step(30)
    record = world.record()
    assert record.state is ActionState.SUCCEEDED
    prediction: Any = record.plan.evidence["prediction"]
    assert prediction["metrics"][0]["before"] == 0.5
    happened: Any = record.progress["happened"]
    assert happened["metrics"] == [{"metric": "errors", "value": 0.15, "error": pytest.approx(0.5), "kept": False}]
    assert (happened["moved"], record.progress["as_predicted"]) == (True, False)
    with world.state.read() as unit:
        told = unit.transitions.of(record.id)[-1]
        assert told.evidence["prediction_error"] == pytest.approx(0.5)
        found = foresight(unit, world.clock.now())[RULE.name]
    assert (found.as_predicted, found.otherwise) == (0, 1)
    assert found.error == pytest.approx(0.5)
    world.state.close()


def test_a_dry_run_keeps_the_same_prediction_with_its_objections_and_touches_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, expect=ERRORS, mode=Mode.DRY_RUN))
    world.answers = {"errors": 0.5}
    world.step(4)
    record = world.record()
    assert record.state is ActionState.DRY_RUN
    assert record.plan.evidence["prediction"]["metrics"][0]["value"] == 0.1  # type: ignore[index]
    assert record.progress["objections"] == []
    assert world.pool.executed() == 0
    world.state.close()


def stays(world: World) -> None:
    world.answers = {"errors": 0.6}


def goes(world: World) -> None:
    world.symptom, world.answers = 0.0, {"errors": 0.0}


def is_done_by_hand(world: World) -> None:
    goes(world)
    world.pool.servers["web1"]["state"] = "drain"


def falls_silent(world: World) -> None:
    world.symptom, world.answers = None, {"errors": None}


@pytest.mark.parametrize("mode", [Mode.DRY_RUN, Mode.SUGGEST])
@pytest.mark.parametrize(
    ("then", "became", "value"),
    [(stays, "needed", 0.6), (goes, "by_itself", 0.0), (is_done_by_hand, "by_others", 0.0),
     (falls_silent, "unknown", None)],
)  # fmt: skip
def test_what_was_only_proposed_is_held_against_what_happened_without_it(
    tmp_path: Path, mode: Mode, then: Callable[[World], None], became: str, value: float | None
) -> None:
    world = World(tmp_path, replace(RULE, expect=ERRORS, mode=mode))
    world.answers = {"errors": 0.5}
    world.step(4)
    then(world)
    world.step(20)
    assert "became" not in world.records()[0].progress
    world.start()  # what waits to be looked back at outlives the process
    world.step(3)
    progress: Any = world.records()[0].progress
    assert progress["became"] == became
    assert progress["happened"]["metrics"][0]["value"] == value
    assert progress.get("as_predicted") is (True if became == "by_others" else None)
    assert world.pool.executed() == 0
    with world.state.read() as unit:
        assert getattr(hindsights(unit)[RULE.name], became) == 1
        assert [row.action for row in unit.audit.rows(subject=world.records()[0].id)][-1] == "action.looked_back"
    world.state.close()


RULE_TEXT = """
remediations:
- {name: a, when: 'x > 1', action: haproxy, target: web, parameters: {drain: b}, verify: '%s'%s}
"""


@pytest.mark.parametrize(
    ("verify", "more", "sense", "value"),
    [
        ("rate(e[1m]) > 0.5", "", "at_most", 0.5), ("5 >= p99", "", "at_least", 5.0),
        ("up == 0", "", "other_than", 0.0),
        ("a > 1 and b > 2", "", None, None), ("vector(1)", "", None, None),
        ("up == 0", ", expect: {metric: p95, about: 0.2, cost_per_hour: 3}", "about", 0.2),
    ],
)  # fmt: skip
def test_without_words_of_its_own_a_rule_promises_the_end_of_what_verify_compares(
    verify: str, more: str, sense: str | None, value: float | None
) -> None:
    found = load_text(RULE_TEXT % (verify, more)).remedies[0].expect
    assert (found.sense if found else None, found.value if found else None) == (sense, value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", expect: {metric: p95}", "needs exactly one of at_most, at_least, about"),
        (", expect: {metric: p95, about: soon}", "about: must be a number"),
        (", expect: {metric: 'p95 >', about: 1}", "metric: is not valid PromQL"),
        (", expect: {metrik: p95, about: 1}", "is not a known key"),
    ],
)
def test_a_wrong_expectation_is_refused_with_its_place(more: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_text(RULE_TEXT % ("up == 0", more))
