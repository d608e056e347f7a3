"""Contingency plans, pure: which step is next, what it came to, when time is up, when the symptom is gone."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.contingency import NOON, STEPS, Playing, action, plan

from remediation.contingency import PlanError, abort, mark, retry
from remediation.contingency.load import Known, definition
from remediation.contingency.triggers import fits, quiet, triggered
from watchkeeper.config.plans import Plan, Trigger
from watchkeeper.model import ActionState, Alert, AlertState, Incident, IncidentState, RunState, Severity, StepState

DONE = {"act-1": action(ActionState.SUCCEEDED)}


def test_a_step_of_a_rule_asks_once_and_is_done_when_its_action_is_verified() -> None:
    run = Playing.of(plan())
    asked = run.look()
    assert asked is not None
    assert (asked.step, asked.rule, asked.attempt) == ("degrade", "quotes_cached", 1)
    run.asked("degrade")
    assert run.look(actions={"act-1": action(ActionState.VERIFYING)}) is None
    assert run.states() == ["active", "pending", "pending"]
    assert run.look(after=20, actions=DONE) is None
    assert run.states() == ["done", "done", "active"]
    assert run.told == ["start", "degrade:", "tell:", "call:"]


@pytest.mark.parametrize(
    "state",
    [ActionState.SUPPRESSED, ActionState.REJECTED, ActionState.EXPIRED, ActionState.ROLLED_BACK, ActionState.ESCALATED,
     ActionState.ABORTED, ActionState.SUGGESTED, ActionState.DRY_RUN],
)  # fmt: skip
def test_what_the_machine_could_not_do_waits_for_a_person_who_may_have_it_try_again(state: ActionState) -> None:
    run = Playing.of(plan())
    run.look()
    run.asked("degrade")
    run.look(actions={"act-1": action(state)})
    assert run.step("degrade").state is StepState.BLOCKED
    assert run.told[-1] == "degrade:blocked"
    assert run.look(after=60) is None
    run.do(retry, "degrade", "approved by phone", "ann")
    asked = run.look()
    assert asked is not None
    assert asked.attempt == 2


def test_who_has_it_tried_again_is_who_asks_and_may_waive_only_what_people_may() -> None:
    run = Playing.of(plan())
    run.look()
    run.asked("degrade")
    run.look(actions={"act-1": action(ActionState.SUPPRESSED)})
    for waive, note, said in ((("blast_radius",), "x", "binds people too"), (("confirmed",), " ", "say in a note")):
        with pytest.raises(PlanError, match=said):
            run.do(retry, "degrade", note, "ann", waive)
    run.do(retry, "degrade", "seen with my own eyes", "ann", ("confirmed",))
    asked = run.look()
    assert asked is not None
    assert (asked.by, tuple(asked.waive), asked.note) == ("ann", ("confirmed",), "seen with my own eyes")


def test_a_failure_that_may_be_left_behind_is_left_behind() -> None:
    run = Playing.of(plan(steps=[{**STEPS[0], "on_failure": "continue"}, *STEPS[1:]]))
    run.look()
    run.asked("degrade")
    run.look(actions={"act-1": action(ActionState.REJECTED)})
    assert run.states() == ["failed", "done", "active"]


def test_a_way_back_waits_until_its_rule_sees_what_it_is_for() -> None:
    run = Playing.of(plan(steps=[{**STEPS[0], "wait": True}], notices=[]))
    for seen in (None, False):
        assert run.look(after=30, sees={"quotes_cached": seen}) is None
    assert run.states() == ["active"]
    assert run.look(sees={"quotes_cached": True}) is not None
    assert Playing.of(plan(steps=[{**STEPS[0], "wait": True}], notices=[]), drill=True).look() is not None


def test_an_action_that_nothing_needed_any_more_is_skipped() -> None:
    run = Playing.of(plan())
    run.look()
    run.asked("degrade")
    run.look(actions={"act-1": action(ActionState.CLEARED)})
    assert run.step("degrade").state is StepState.SKIPPED


def test_a_late_step_is_told_once_and_goes_on_or_is_left_behind_as_it_says() -> None:
    run = Playing.of(plan(steps=STEPS[2:], notices=[]))
    run.look(after=599)
    assert "call:overdue" not in run.told
    run.look(after=1)
    run.look(after=600)
    assert run.told.count("call:overdue") == 1
    assert run.step("call").state is StepState.ACTIVE
    left = Playing.of(plan(steps=[{**STEPS[2], "on_timeout": "continue"}], notices=[]))
    left.look()
    left.look(after=600)
    assert left.states() == ["timed_out"]
    assert left.run.state is RunState.RECOVERING


@pytest.mark.parametrize(("holds", "state"), [(False, "skipped"), (True, "active"), (None, "active")])
def test_a_step_is_left_out_only_when_its_condition_is_known_not_to_hold(holds: bool | None, state: str) -> None:
    run = Playing.of(plan(steps=[{"name": "call", "when": "up == 0"}], notices=[]))
    run.look(holds={"up == 0": holds})
    assert run.states() == [state]


def test_the_clock_stops_at_the_moment_the_symptom_went_once_it_has_stayed_away() -> None:
    run = Playing.of(plan(recovery={"target": "30m", "hold": "1m"}, steps=STEPS[2:], notices=[]))
    run.look(after=120, quiet=True)
    run.look(after=30, quiet=None)  # unknown is not recovered: begins anew
    run.look(after=30, quiet=True)
    run.look(after=59, quiet=True)
    assert run.run.recovered_at is None
    run.look(after=1, quiet=True)
    assert run.run.recovered_at == NOON + timedelta(seconds=180)
    assert run.told[-1] == "recovered"


def test_a_symptom_that_comes_back_starts_the_clock_again() -> None:
    run = Playing.of(plan(recovery={"hold": "0s"}, steps=STEPS[2:], notices=[]))
    run.look(after=60, quiet=True)
    run.look(after=60, quiet=None)
    assert run.run.recovered_at is not None  # not known is no news of a return
    run.look(after=60, quiet=False)
    assert run.run.recovered_at is None
    assert run.told[-1] == "back"
    run.look(after=60, quiet=True)
    assert run.run.recovered_at == NOON + timedelta(seconds=240)


def test_a_target_that_passes_is_told_once() -> None:
    run = Playing.of(plan(recovery={"target": "10m"}, steps=[{"name": "fix"}], notices=[]))
    run.look(after=599)
    run.look(after=1)
    run.look(after=60)
    assert run.told.count("late") == 1
    assert run.run.late_at == NOON + timedelta(minutes=10)


def test_a_run_is_complete_when_its_steps_are_over_and_the_symptom_is_gone() -> None:
    run = Playing.of(plan(recovery={"hold": "0s"}, steps=[{"name": "fix"}], notices=[]))
    run.look()
    run.do(mark, "fix", "done", "", "ann", None)
    run.look()
    assert str(run.run.state) == "recovering"
    run.look(after=30, quiet=True)
    assert str(run.run.state) == "completed"
    assert run.told[-1] == "end"
    assert run.look(quiet=False) is None
    assert str(run.run.state) == "completed"


def test_where_nothing_measures_recovery_the_steps_alone_end_the_run_and_no_recovery_is_claimed() -> None:
    run = Playing.of(plan(trigger={}, steps=[{"name": "fix"}], notices=[]))
    run.look(quiet=None, measured=False)
    run.do(mark, "fix", "done", "", "ann", None)
    run.look(quiet=None, measured=False)
    assert run.run.state is RunState.COMPLETED
    assert run.run.recovered_at is None


def test_a_drill_goes_through_every_step_whatever_fails_and_its_symptom_is_not_asked_for() -> None:
    run = Playing.of(plan(steps=[{**STEPS[0], "when": "up == 0"}, *STEPS[1:]]), drill=True)
    asked = run.look(holds={"up == 0": False}, quiet=True)
    assert asked is not None
    from remediation.contingency.machine import unable

    run.do(lambda turn: unable(turn, turn.current(), "the way back did not work"))
    run.look(quiet=True)
    assert run.states() == ["failed", "done", "active"]
    run.do(mark, "call", "done", "reached in 2 min", "ann", None)
    run.look(after=90, quiet=True)
    assert run.run.state is RunState.COMPLETED
    assert run.run.recovered_at == NOON + timedelta(seconds=90)
    assert "recovered" not in run.told


def test_people_speak_of_the_step_that_is_being_taken_and_say_why() -> None:
    run = Playing.of(plan())
    run.look()
    with pytest.raises(PlanError, match="step degrade is being taken"):
        run.do(mark, "call", "done", "", "ann", None)
    with pytest.raises(PlanError, match="under way"):
        run.do(mark, "degrade", "done", "", "ann", action(ActionState.AWAITING_APPROVAL))
    with pytest.raises(PlanError, match="say why"):
        run.do(mark, "degrade", "failed", " ", "ann", None)
    with pytest.raises(PlanError, match="not blocked"):
        run.do(retry, "degrade", "", "ann")
    with pytest.raises(PlanError, match="say why"):
        run.do(abort, "", "ann")
    run.do(abort, "a false alarm", "ann")
    assert run.states() == ["skipped"] * 3
    assert run.run.state is RunState.ABORTED
    for what, arguments in ((mark, ("degrade", "done", "", "ann", None)), (abort, ("again", "ann"))):
        with pytest.raises(PlanError, match="aborted already"):
            run.do(what, *arguments)


def test_a_plan_reads_back_from_its_run_as_it_was() -> None:
    wanted = plan(recovery={"target": "1h30m", "hold": "1m30s"}, evidence={"queries": [{"title": "up", "query": "up"}]})
    assert Plan.model_validate(definition(wanted)) == wanted
    assert Known.of(wanted).version == Known.of(Plan.model_validate(definition(wanted))).version
    assert Known.of(wanted).version != Known.of(plan()).version


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"steps": [{"name": "a"}, {"name": "a"}]}, "share the name 'a'"),
        ({"steps": [{"name": "end"}]}, "may not be called 'end'"),
        ({"steps": [{"name": "a", "kind": "rule"}]}, "names a rule"),
        ({"steps": [{"name": "a", "rule": "x"}]}, "names a rule"),
        ({"steps": [{"name": "a", "kind": "notice"}]}, "no notice is at 'a'"),
        ({"notices": [{"audience": "c", "at": "nowhere", "title": "t", "text": "t"}]}, "at 'nowhere'"),
        ({"notices": [{"audience": "c", "at": "start", "title": "t", "text": "{who}"}]}, "there is no {who}"),
        ({"notices": [{"audience": "c", "at": "start", "title": "{plan:>9999}", "text": "t"}]}, "takes no format"),
        ({"notices": [{"audience": "c", "at": "start", "title": "t", "text": "{"}]}, "text"),
        ({"steps": []}, "at least 1"),
        ({"steps": [{"name": "a", "wait": True}]}, "only a step of kind rule waits"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_what_is_wrong(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Plan.model_validate({"name": "x", "steps": [{"name": "one"}], **broken})


def alert(**more: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": "a1", "fingerprint": "f", "rule": "CarrierDown", "group": "g", "expr": "up == 0", "annotations": {},
        "labels": {"service": "carrier", "contingency": "provider_down"}, "state": AlertState.FIRING, "value": 0.0,
        "severity": Severity.P1, "active_at": NOON, "fired_at": NOON,
    }  # fmt: skip
    return Alert(**{**fields, **more})


INCIDENT = Incident(
    id="inc-1", state=IncidentState.OPENED, severity=Severity.P1, title="t", group_key="k", labels={}, opened_at=NOON
)


@pytest.mark.parametrize(
    ("trigger", "after"),
    [
        ({"alerts": ["CarrierDown"]}, 0),
        ({"labels": {"contingency": "provider_down"}, "lasting": "5m"}, 300),
        ({"service": "carrier", "severity": "P2"}, 0),
        ({"alerts": ["Other"]}, None),
        ({"labels": {"contingency": "payment_failing"}}, None),
        ({"severity": "P0"}, None),
        ({}, None),
    ],
)
def test_a_trigger_is_met_by_what_it_names_for_as_long_as_it_says(trigger: dict[str, Any], after: int | None) -> None:
    wanted = Trigger.model_validate(trigger)
    later = NOON + timedelta(hours=1)
    met = triggered(wanted, INCIDENT, [alert()], later)
    assert met == (None if after is None else NOON + timedelta(seconds=after))
    if after:
        assert triggered(wanted, INCIDENT, [alert()], NOON + timedelta(seconds=after - 1)) is None
    assert triggered(wanted, INCIDENT, [alert(state=AlertState.PENDING, fired_at=None)], later) is None


def test_the_trigger_is_quiet_when_none_of_its_alerts_fires_and_unknown_when_one_cannot_be_judged() -> None:
    wanted = Trigger(alerts=["CarrierDown"])
    assert quiet(wanted, [alert()]) is False
    assert quiet(wanted, [alert(rule="Other")]) is True
    assert quiet(wanted, []) is True
    assert quiet(wanted, [alert(state=AlertState.UNKNOWN)]) is None
    assert fits(wanted, alert())


WORDS = st.sampled_from(["look", "quiet", "loud", "dark", "done", "failed", "skip", "retry", "ends"])


@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.tuples(WORDS, st.integers(0, 400)), max_size=25), data=st.data())
def test_whatever_happens_steps_go_in_order_end_once_and_no_action_is_asked_for_twice(
    words: list[tuple[str, int]], data: st.DataObject
) -> None:
    run = Playing.of(plan(steps=[*STEPS, {"name": "back", "kind": "rule", "rule": "quotes_live", "limit": "5m"}]))
    asked: Counter[tuple[str, int]] = Counter()
    actions: dict[str, Any] = {}
    ended: dict[str, str] = {}
    terminal = [one for one in ActionState if one.terminal]
    for word, seconds in words:
        seen = {"quiet": True, "loud": False}.get(word)
        if word in ("done", "failed", "skip", "retry"):
            current = run.turn().current()
            name = current.name if current else "degrade"
            try:
                if word == "retry":
                    run.do(retry, name, "again", "ann")
                else:
                    run.do(mark, name, word, "said", "ann", actions.get(current.action_id if current else ""))
            except PlanError:
                pass
        if word == "ends":
            actions = {
                key: one if one.state.terminal else action(data.draw(st.sampled_from(terminal)), int(key[4:]))
                for key, one in actions.items()
            }
        wanted = run.look(after=seconds, quiet=seen, actions=actions)
        if wanted is not None:
            asked[wanted.step, wanted.attempt] += 1
            key = f"act-{len(actions) + 1}"
            actions[key] = action(ActionState.AWAITING_APPROVAL, len(actions) + 1)
            run.asked(wanted.step, key)
        over = [one.state.over for one in run.run.steps]
        assert over == sorted(over, reverse=True)
        for one in run.run.steps:
            if one.name in ended:
                assert ended[one.name] == one.state
            if one.state.over:
                ended[one.name] = one.state
    assert all(count == 1 for count in asked.values())
    assert run.told.count("start") == 1
    assert run.told.count("end") <= 1
