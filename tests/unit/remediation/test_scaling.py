"""How many workers a load needs, and who must agree to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.remedies import NOON, passing
from support.rules import query_over

from remediation.gates.authority import need_of
from remediation.gates.target import precondition
from remediation.plan import NOTHING, Planned
from remediation.scaling import (
    Bounds,
    bounded,
    bounds_of,
    expected_load,
    guarded,
    load_now,
    resolved,
    scaled_enough,
    wanted,
)
from remediation.situation import Impact, Situation
from watchkeeper.errors import ActionError, QueryError
from watchkeeper.model import Labels, Mode, RiskClass, Scale, ScaleTime, Severity
from watchkeeper.ports import Reading
from watchkeeper.promql import MemoryReader

OUT = Scale(direction="out", load="pending", per_worker=40.0, min=2, max=8, step=8)
IN = Scale(direction="in", load="rate", per_worker=4.0, min=2, max=8, step=1)
MINUTES = timedelta(minutes=5)
SECONDS = timedelta(seconds=15)
numbers = st.floats(min_value=0.0, max_value=1e9)
counts = st.integers(min_value=1, max_value=50)


class Answers:
    """PromQL with one answer; keeps what was asked."""

    def __init__(self, *values: float) -> None:
        self.values, self.asked, self.looks = values, list[str](), 20

    def __call__(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        self.asked.append(expr)
        if expr.startswith("count_over_time"):
            return [((), float(self.looks))]
        return [((), value) for value in self.values]


def broken(expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
    raise QueryError(f"no such function in {expr} at {at}")


@pytest.mark.parametrize(
    ("scale", "load", "running", "count"),
    [
        (OUT, 300, 2, 8),  # 7.5 workers are eight
        (OUT, 120, 2, 3),  # exactly three, not four
        (OUT, 4000, 2, 8),  # never above the maximum
        (OUT, 40, 5, 5),  # a rule that adds takes nobody away
        (OUT, 86, 2, 2),  # a tenth more is no reason
        (OUT, 90, 2, 3),
        (replace(OUT, step=2), 300, 2, 4),  # one step at a time
        (OUT, 0, 0, 2),  # at least the minimum
        (IN, 8, 5, 4),  # one worker less, however few are needed
        (IN, 8, 2, 2),
        (IN, 0, 3, 2),
        (IN, 0, 2, 2),  # never below the minimum
        (IN, 100, 5, 5),  # a rule that takes away adds nobody
        (replace(IN, step=6), 8, 8, 3),  # those who stay have a tenth in hand
    ],
)
def test_the_count_follows_from_the_load_in_one_direction_inside_the_bounds(
    scale: Scale, load: float, running: int, count: int
) -> None:
    assert wanted(scale, load, running).count == count


@pytest.mark.parametrize(
    ("scale", "answers", "says"),
    [
        (OUT, (), "must be one number"),
        (OUT, (math.nan,), "must be one number"),
        (replace(OUT, cost_guard="over_budget"), (300.0,), "the budget guard has tripped"),
        (IN, (), "must be one number"),
        (IN, (30.0,), "the load of 30 needs 8 by now: nobody is taken away"),
        (replace(IN, forecast="rate_in_an_hour"), (math.inf,), "must be one number"),
    ],
)
def test_what_a_number_was_made_from_is_asked_anew_before_it_is_carried_out(
    scale: Scale, answers: tuple[float, ...], says: str
) -> None:
    reading = Reading(state={}, epoch="e", capacity={"total": 8.0})
    with pytest.raises(ActionError, match=says):
        resolved(rule_of(scale), {"count": 7}, reading, Answers(*answers), NOON, MINUTES)


@pytest.mark.parametrize("scale", [OUT, IN])
def test_a_load_beyond_all_bounds_asks_for_no_more_than_a_step(scale: Scale) -> None:
    found = wanted(replace(scale, per_worker=0.1), 1e308, 2, bounds=Bounds(least=2, most=8))
    assert found.count == (8 if scale.direction == "out" else 2)


@given(load=numbers, more=numbers, running=counts, scale=st.sampled_from([OUT, IN, replace(OUT, step=1)]))
def test_more_load_never_means_fewer_workers_and_a_step_is_never_exceeded(
    load: float, more: float, running: int, scale: Scale
) -> None:
    count = wanted(scale, load, running).count
    assert abs(count - running) <= scale.step
    assert (count >= running) if scale.direction == "out" else (count <= running)
    near = abs((load + more) / (scale.per_worker * running) - 1) <= scale.tolerance
    assert near or wanted(scale, load + more, running).count >= count or scale.direction == "out"


@given(load=numbers, running=st.integers(min_value=2, max_value=8))
def test_the_same_load_asks_for_the_same_number_again(load: float, running: int) -> None:
    once = wanted(OUT, load, running).count
    assert wanted(OUT, load, once).count == once


def test_taking_away_looks_at_the_busiest_moment_of_the_whole_window() -> None:
    ask = Answers(8.0)
    assert load_now(IN, ask, NOON, MINUTES, SECONDS) == 8.0
    assert load_now(OUT, ask, NOON, MINUTES, SECONDS) == 8.0
    known = "count_over_time(((rate)>=0)[300s:15s])"
    fresh = 'count_over_time((count(count_over_time({__name__="rate"}[30000ms])))[300000ms:15000ms])'
    assert ask.asked == [known, fresh, "max_over_time((rate)[300s:15s])", "pending"]


def test_one_look_of_the_window_that_was_not_known_takes_nobody_away() -> None:
    ask = Answers(8.0)
    ask.looks = 19
    with pytest.raises(ActionError, match="was known at 19 of 20 looks: nobody is taken away"):
        load_now(IN, ask, NOON, MINUTES, SECONDS)
    assert load_now(OUT, ask, NOON, MINUTES, SECONDS) == 8.0


def over(series: str) -> float:
    """What scale-in looks at, by the real PromQL, ten minutes into these samples."""
    ask = query_over(MemoryReader().load("15s", f"load {series}"))
    return load_now(replace(IN, load="sum(load)"), ask, minutes(10), MINUTES, SECONDS)


def minutes(count: int) -> datetime:
    return datetime.fromtimestamp(60 * count, UTC)


@pytest.mark.parametrize("series", ["5x25 _x4 5x40", "5x30 stale 5x40", "5x30 NaN 5x40", "_x25 5x40", "5x36 _x4"])
def test_samples_that_are_missing_in_the_window_take_nobody_away(series: str) -> None:
    assert over("5x60") == 5.0
    with pytest.raises(ActionError, match=r"nobody is taken away|one number"):
        over(series)


@pytest.mark.parametrize("values", [(), (math.nan,), (math.inf,), (1.0, 2.0), (-1.0,)])
def test_a_load_that_is_not_one_known_number_is_an_error_and_never_a_count(values: tuple[float, ...]) -> None:
    for scale in (OUT, IN):
        with pytest.raises(ActionError, match="one number"):
            load_now(scale, Answers(*values), NOON, MINUTES, SECONDS)
    with pytest.raises(ActionError, match="no such function"):
        load_now(OUT, broken, NOON, MINUTES, SECONDS)


@pytest.mark.parametrize(
    ("moment", "least"),
    [
        ("2026-11-23T00:00:00Z", 6),  # Monday, 8 in the morning in Shanghai
        ("2026-11-22T23:59:00Z", 2),
        ("2026-11-23T12:00:00Z", 2),  # 8 in the evening: over
        ("2026-11-28T15:00:00Z", 7),  # Saturday, 11 at night
        ("2026-11-28T17:00:00Z", 7),  # past midnight, still Saturday's
        ("2026-11-28T18:00:00Z", 2),
    ],
)
def test_a_schedule_sets_the_least_in_its_own_time_zone(moment: str, least: int) -> None:
    day = ScaleTime(days=(0, 1), start=time(8), end=time(20), zone="Asia/Shanghai", min=6)
    night = ScaleTime(days=(5,), start=time(22), end=time(2), zone="Asia/Shanghai", min=7)
    scale = replace(OUT, schedule=(day, night))
    at = datetime.fromisoformat(moment)
    assert bounds_of(scale, at) == Bounds(least=least, most=8)
    assert wanted(scale, 0, 2, bounds=bounds_of(scale, at)).count == least
    assert wanted(replace(IN, schedule=(day, night)), 0, 7, bounds=bounds_of(scale, at)).count == max(least, 6)


def test_the_ceiling_of_cost_binds_what_is_added_and_the_least_is_kept_whatever_it_costs() -> None:
    dear = replace(OUT, cost_per_worker=0.5, cost_ceiling=2.0)
    assert bounds_of(dear, NOON) == Bounds(least=2, most=4)
    found = wanted(dear, 300, 2, bounds=bounds_of(dear, NOON))
    assert (found.count, found.needed) == (4, 8)
    assert bounds_of(replace(dear, cost_ceiling=0.5), NOON) == Bounds(least=2, most=2)


@pytest.mark.parametrize(("values", "ok"), [((), True), ((0.0,), True), ((1.0,), False), ((math.nan,), False)])
def test_a_budget_guard_that_tripped_or_is_not_known_adds_nobody(values: tuple[float, ...], ok: bool) -> None:
    ask = Answers(*values)
    guarded(replace(IN, cost_guard="over"), ask, NOON)  # taking away is never held up by money
    if ok:
        guarded(replace(OUT, cost_guard="over"), ask, NOON)
        return
    with pytest.raises(ActionError, match="the budget guard has tripped"):
        guarded(replace(OUT, cost_guard="over"), ask, NOON)
    with pytest.raises(ActionError, match=r"scale\.cost\.guard cannot be asked"):
        guarded(replace(OUT, cost_guard="over"), broken, NOON)


def test_a_forecast_only_ever_asks_for_more() -> None:
    out, calm = replace(OUT, forecast="soon"), replace(IN, forecast="soon")
    assert expected_load(out, Answers(300.0), NOON) == 300.0
    assert expected_load(out, Answers(), NOON) is None
    with pytest.raises(ActionError, match=r"scale\.forecast must be one number"):
        expected_load(calm, Answers(math.nan), NOON)
    assert wanted(out, 40, 2, expected=300.0).count == 8
    assert wanted(out, 300, 2, expected=40.0).count == 8
    assert wanted(calm, 8, 5, expected=40.0).count == 5


def rule_of(scale: Scale | None) -> Any:
    return replace(passing().rule, scale=scale, parameters={})


def test_a_plan_that_has_its_count_keeps_it_whatever_the_load_became() -> None:
    reading = Reading(state={}, epoch="e", capacity={"total": 2.0})
    rule, why = resolved(rule_of(OUT), None, reading, Answers(300), NOON, MINUTES)
    assert rule.parameters == {"count": 8}
    assert why == {"scale": {"load": 300, "running": 2, "needed": 8, "count": 8, "least": 2, "most": 8}}
    later, _ = resolved(rule_of(OUT), rule.parameters, reading, Answers(100), NOON, MINUTES)
    assert later.parameters == {"count": 8}
    with pytest.raises(ActionError, match="how many run"):
        resolved(rule_of(OUT), None, Reading(state={}, epoch="e"), Answers(300), NOON, MINUTES)
    assert resolved(rule_of(None), None, reading, Answers(300), NOON, MINUTES)[1] == {}


def scaling(scale: Scale, *, risk: RiskClass, touched: int, total: float, **changes: Any) -> Situation:
    """A step that its owner declared automatic, at the severity of a backlog."""
    base = passing()
    impact = Impact(
        touched=tuple(f"jobs_{number}" for number in range(touched)),
        healthy_after=total - 1,
        total=total,
        floor=1.0,
        ceiling=20.0,
        direction=scale.direction,
        risk=risk,
        scaling=True,
    )
    given: dict[str, Any] = {"declared": True, "graduated": False, "severity": Severity.P2, **changes}
    mode = given.pop("mode", Mode.AUTO)
    return replace(
        base,
        rule=replace(base.rule, scale=scale, parameters={}, mode=mode),
        plan=replace(base.plan, risk=given.pop("plan_risk", risk), mode=mode),
        impact=impact,
        requester=given.pop("requester", base.rule.name),
        **given,
    )


def test_a_declared_step_inside_minimum_and_maximum_needs_nobody() -> None:
    out = scaling(OUT, risk=RiskClass.A2, touched=6, total=8)
    calm = scaling(IN, risk=RiskClass.A3, touched=1, total=8)
    assert bounded(out)
    assert bounded(calm)
    assert (need_of(out).people, need_of(calm).people) == (0, 0)


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("nobody declared it", {"declared": False}),
        ("its mode is approve", {"mode": Mode.APPROVE}),
        ("a person asked for it", {"requester": "eve"}),
        ("graduated is not declared", {"declared": False, "graduated": True}),
        ("more than one at once", {"touched": 2}),
        ("below the minimum", {"total": 2.0}),
        ("above the maximum", {"total": 10.0}),
    ],
)
def test_calm_scale_in_needs_a_person_when(why: str, changes: dict[str, Any]) -> None:
    given: dict[str, Any] = {"risk": RiskClass.A3, "touched": 1, "total": 8.0, **changes}
    assert need_of(scaling(IN, **given)).people >= 1, why


def test_no_way_back_needs_two_people_and_a_hint_is_only_a_suggestion_declared_or_not() -> None:
    assert need_of(scaling(IN, risk=RiskClass.A3, plan_risk=RiskClass.A4, touched=1, total=8)).people == 2
    assert need_of(scaling(OUT, risk=RiskClass.A2, touched=1, total=8, severity=Severity.P3)).answer == "suggest"


def planned(needed: int, touched: tuple[str, ...] = (), problem: str = "") -> Planned:
    why = {"needed": needed, "running": 8, "load": 300.0, "count": 8, "most": 8}
    plan = replace(passing().plan, evidence={"scale": why})
    return Planned(
        plan=plan, impact=replace(NOTHING, touched=touched, problem=problem), reading=Reading(state={}, epoch="e")
    )


def test_enough_is_said_once_and_too_little_at_the_maximum_goes_on_to_be_refused_and_told() -> None:
    rule = rule_of(OUT)
    assert scaled_enough(rule, planned(8)) == "8 run, and the load of 300 needs 8"
    assert scaled_enough(rule, planned(12)) == ""
    assert scaled_enough(rule, planned(8, touched=("jobs_1",))) == ""
    assert scaled_enough(rule, planned(8, problem="no load")) == ""
    assert scaled_enough(rule_of(None), planned(8)) == ""
    at_most = scaling(OUT, risk=RiskClass.A2, touched=0, total=8)
    assert precondition(at_most).reason == "8 run, which is the most allowed"
