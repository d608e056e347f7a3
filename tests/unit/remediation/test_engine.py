"""The life of an action, state by state, on a manual clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.remediator import Pool, World, incident
from support.remedies import NOON, RULE

from remediation.settings import Settings
from remediation.steps import HANDLERS
from remediation.verify import needed
from watchkeeper.clock import ManualClock
from watchkeeper.errors import AccessError, QueryError, StoreError
from watchkeeper.model import ActionRecord, ActionState, Mode, Severity, Target
from watchkeeper.ports import Reading
from watchkeeper.store.state.database import State
from watchkeeper.store.state.repositories.people import User

DONE = ["observed", "confirming", "proposed", "armed", "intent_committed", "executing", "verifying"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def drained(world: World) -> bool:
    return bool(world.pool.servers["web1"]["state"] == "drain")


def test_confirmed_by_two_observers_it_drains_verifies_holds_and_succeeds(world: World) -> None:
    assert world.step(2) == []
    assert not drained(world)
    assert [change.kind for change in world.step()] == ["proposed", "executed"]
    assert drained(world)
    world.symptom = 0
    assert [change.kind for change in world.step()] == ["verified_holding"]
    world.step(19)
    assert world.record().state is ActionState.VERIFYING
    assert [change.kind for change in world.step()] == ["succeeded"]
    assert world.path() == [*DONE, "succeeded"]
    assert world.pool.executed() == 1
    assert world.record().correlation_id == "cor-1"


def test_an_incident_that_opens_after_the_first_sign_is_the_actions_own(world: World) -> None:
    world.incident = None
    world.step(2)
    world.incident = incident(Severity.P1)
    assert [change.kind for change in world.step()] == ["proposed", "executed"]
    record = world.record()
    assert (record.plan.incident_id, record.correlation_id, record.progress["severity"]) == ("inc-1", "cor-1", "P1")


def test_a_symptom_that_stays_is_rolled_back_after_the_first_verdict(world: World) -> None:
    world.step(3)
    assert drained(world)
    assert world.step(1) == []
    assert [(change.kind, change.page) for change in world.step()] == [("rolled_back", True)]
    assert not drained(world)
    assert world.path() == [*DONE, "rolling_back", "rolled_back"]


def test_what_users_keep_for_a_while_is_judged_by_so_much_later(world: World) -> None:
    class Kept(Pool):
        def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
            reading = super().read(target, settings)
            return replace(reading, capacity={**reading.capacity, "settles_seconds": 45.0})

    world.pool = Kept()
    world.step(3)
    assert world.pool.executed() == 1
    world.step(4)  # a minute: the verdict on anything else would have fallen
    assert world.record().state is ActionState.VERIFYING
    world.step(1)
    assert world.record().state is ActionState.ROLLED_BACK


def test_a_symptom_that_comes_back_while_holding_is_rolled_back(world: World) -> None:
    world.step(3)
    world.symptom = 0
    world.step(5)
    world.symptom = 1
    world.step()
    assert world.path()[-2:] == ["rolling_back", "rolled_back"]


def test_a_guard_that_gets_worse_ends_it_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, guards=("latency",)))
    world.answers["latency"] = 1.0
    world.step(3)
    world.symptom = 0
    world.step()
    world.answers["latency"] = 1.05
    world.step()
    assert world.record().state is ActionState.VERIFYING
    world.answers["latency"] = 1.2
    world.step()
    assert world.record().state is ActionState.ROLLED_BACK
    assert "latency rose from 1 to 1.2" in str(world.path()) + str(reasons(world))


@pytest.mark.parametrize("unknown", ["value", "sample"])
def test_a_guard_that_has_fallen_silent_is_no_success(tmp_path: Path, unknown: str) -> None:
    world = World(tmp_path, replace(RULE, guards=("latency",)))
    world.answers["latency"] = 1.0
    world.step(3)
    world.symptom = 0
    if unknown == "value":
        world.answers["latency"] = None
    else:
        before = world.clock.now() - timedelta(seconds=1)
        world.facts["newest"] = lambda matchers, at: before if matchers[0].value == "latency" else at
    world.step(30)
    assert world.record().state is ActionState.VERIFYING
    world.step(200)
    assert world.record().state is ActionState.ESCALATED
    assert world.told[-1].reason == "it cannot be known whether the guard latency got worse"


def test_what_became_of_an_action_is_told_although_the_step_broke_off_after_it(world: World) -> None:
    world.step(2)

    steps = world.remediator._look_and_act

    async def breaks(run: Any, observations: Any) -> None:
        await steps(run, observations)
        raise StoreError("state database: it went away")

    world.remediator._look_and_act = breaks  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        world.step()
    world.remediator._look_and_act = steps  # type: ignore[method-assign]
    assert [change.kind for change in world.step(1)] == ["proposed", "executed"]


def test_a_crash_over_one_action_keeps_no_other_from_its_end(tmp_path: Path) -> None:
    other = replace(RULE, name="drain-web2", service="till", target="tills", parameters={"drain": "web2"})
    targets = [{"name": name, "kind": "haproxy", "socket": "/nowhere", "backend": name} for name in ("web", "tills")]
    world = World(tmp_path, RULE, other, targets=targets)
    advance = world.remediator._advance

    async def crashes(run: Any, record: ActionRecord) -> None:
        if record.plan.rule == RULE.name:
            raise ZeroDivisionError
        await advance(run, record)

    world.remediator._advance = crashes  # type: ignore[method-assign]
    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            world.step()
    assert [record.state for record in world.records() if record.plan.rule == RULE.name] == [ActionState.OBSERVED]
    assert "proposed" in world.path(next(one.id for one in world.records() if one.plan.rule == other.name))


def reasons(world: World) -> list[str]:
    with world.state.read() as unit:
        return [each.reason for each in unit.transitions.of(world.record().id)]


def test_an_unknown_symptom_is_never_success(world: World) -> None:
    world.step(3)
    world.symptom = None
    world.step(200)
    assert world.record().state is ActionState.ESCALATED
    assert world.told[-1].page
    assert drained(world)


def test_a_symptom_whose_own_samples_have_stopped_is_never_gone(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, verify='probe_success{copy="front"} == 0'))
    world.answers[world.rules[0].verify] = 1.0
    world.step(3)
    last = world.clock.now()
    world.facts["newest"] = lambda _matchers, _at: last  # the probe of the front died with the last of its samples
    world.answers[world.rules[0].verify] = None
    world.symptom = 0
    world.step(1)
    assert world.record().state is ActionState.VERIFYING
    assert "hold_until" not in world.record().progress
    world.facts["newest"] = lambda _matchers, at: at
    assert [change.kind for change in world.step()] == ["verified_holding"]
    world.facts["newest"] = lambda _matchers, _at: None
    world.step(200)
    assert world.record().state is ActionState.ESCALATED


@pytest.mark.parametrize(
    ("verify", "asked"),
    [
        ('a{x="1"} == 0', ["a"]),
        ("rate(a[1m]) / rate(b[1m] offset 5m) > 0.5", ["a", "b"]),
        ("max(a) > 1 or max(a) < 0", ["a"]),
        ("(sum(rate(a[1m])) or vector(0)) / sum(rate(b[1m])) > 0.1", ["b"]),  # said to be zero when it is silent
        ('ALERTS{alertname="Down"} == 1', []),  # there only while something is wrong
        ("ALERTS == 1 or a > 1", ["a"]),
    ],
)
def test_what_must_bring_samples_before_a_symptom_counts_as_gone(verify: str, asked: list[str]) -> None:
    names = [next(each.value for each in part if each.name == "__name__") for part in needed(verify)]
    assert names == asked


def test_a_query_that_fails_is_unknown_too(world: World) -> None:
    world.step(3)

    def broken(expr: str, at: Any) -> Any:
        raise QueryError("too slow", kind="timeout")

    world.facts["query"] = broken
    world.step(3)
    assert world.record().state is ActionState.VERIFYING


def test_ten_good_ones_clear_what_was_never_confirmed(world: World) -> None:
    world.step(2)
    world.symptom = 0
    world.step(9)
    assert world.record().state is ActionState.CONFIRMING
    world.step()
    assert world.record().state is ActionState.CLEARED


@pytest.mark.parametrize("observers", [{}, {"probe": None}, {"probe": False}])
def test_one_observer_alone_never_leads_to_an_effect(world: World, observers: dict[str, bool | None]) -> None:
    world.step(100, observers=observers)
    assert world.pool.effects == []
    assert world.records()[0].progress["gate"] == "confirmed"


def test_the_same_observation_twice_is_counted_once(world: World) -> None:
    world.clock.advance(15)
    same = world.see()
    world.step(8, every=1, observations=same)
    assert world.pool.effects == []


def test_the_kill_switch_stops_everything_until_an_admin_clears_it(world: World) -> None:
    world.step(2)
    world.remediator.kill_switch.set("eve", "something is odd", world.clock.now())
    assert [(change.kind, change.page) for change in world.step()] == [("suppressed", False)]
    world.step(20)
    assert world.pool.effects == []
    with pytest.raises(AccessError):
        world.remediator.kill_switch.clear("eve", "fine", world.clock.now(), admin=False)
    world.remediator.kill_switch.clear("ada", "looked into it", world.clock.now(), admin=True)
    world.step(5)
    assert drained(world)


def test_the_kill_switch_lets_running_work_go_back(world: World) -> None:
    world.step(3)
    assert drained(world)
    world.remediator.kill_switch.set("eve", "stop", world.clock.now())
    world.step(2)
    assert world.record().state is ActionState.ROLLED_BACK
    assert not drained(world)


def test_what_needs_a_person_waits_and_then_expires_without_effect(tmp_path: Path) -> None:
    world = World(tmp_path, rehearsed=False)  # never rehearsed: class A4
    assert world.step(3)[-1].kind == "needs_approval"
    assert world.record().state is ActionState.AWAITING_APPROVAL
    world.step(59)
    assert world.record().state is ActionState.AWAITING_APPROVAL
    assert [(change.kind, change.page) for change in world.step(1)] == [("escalated", True)]
    assert world.record().state is ActionState.EXPIRED
    assert world.pool.effects == []


def test_two_admins_approve_data_at_risk_and_it_runs(tmp_path: Path) -> None:
    world = World(tmp_path, rehearsed=False)
    world.step(3)
    record, people, now = world.record(), world.remediator.people, world.clock.now()

    def approve(user: str, digest: str = "", **more: bool) -> None:
        word = {"admin": True, "reauthenticated": True, **more}
        people.approve(record.id, user, "approve", "go", digest or record.plan.digest(), now, **word)

    with pytest.raises(AccessError, match="another one"):
        approve("ada", "other")
    with pytest.raises(AccessError, match="nobody approves"):
        approve(RULE.name)
    with pytest.raises(AccessError, match="signed in again"):
        approve("ada", reauthenticated=False)
    approve("ada")
    approve("ada")
    approve("mal")
    with world.state.begin() as unit:
        told: dict[str, Any] = {"password_hash": "x", "language": "en", "time_zone": "UTC", "created_at": NOON}
        unit.people.save_user(User(name="mal", role="admin", disabled=True, **told))
    world.step()
    assert world.record().state is ActionState.AWAITING_APPROVAL  # whoever was switched off agrees to nothing
    approve("eve")
    world.step()
    assert drained(world)
    with pytest.raises(AccessError, match="does not wait"):
        approve("bob")


def test_a_rejected_plan_is_never_carried_out(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, mode=Mode.APPROVE))
    world.step(3)
    record = world.record()
    world.remediator.people.approve(record.id, "bob", "reject", "no", record.plan.digest(), world.clock.now())
    world.step()
    assert world.record().state is ActionState.REJECTED
    assert world.pool.effects == []


def test_an_approved_plan_is_dropped_when_the_target_changed_meanwhile(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, mode=Mode.APPROVE))
    world.step(3)
    record = world.record()
    world.pool.servers["web3"]["state"] = "maint"
    world.remediator.people.approve(record.id, "bob", "approve", "yes", record.plan.digest(), world.clock.now())
    world.step()
    assert world.path()[-2:] == ["armed", "aborted"]
    assert world.pool.effects == []


@pytest.mark.parametrize(
    ("mode", "state"), [(Mode.DRY_RUN, ActionState.DRY_RUN), (Mode.SUGGEST, ActionState.SUGGESTED)]
)
def test_dry_run_and_suggest_show_the_same_plan_and_do_nothing(tmp_path: Path, mode: Mode, state: ActionState) -> None:
    for name in ("dry", "real"):
        (tmp_path / name).mkdir()
    world, real = World(tmp_path / "dry", replace(RULE, mode=mode)), World(tmp_path / "real")
    world.step(3)
    real.step(3)
    assert world.record().state is {Mode.DRY_RUN: ActionState.DRY_RUN, Mode.SUGGEST: ActionState.SUGGESTED}[mode]
    assert world.pool.effects == []
    assert world.record().plan.canonical() == real.record().plan.canonical()


def test_an_action_needs_a_person_at_p2_until_its_owner_declares_it(world: World) -> None:
    world.incident = incident(Severity.P2)
    world.step(3)
    assert world.record().state is ActionState.AWAITING_APPROVAL
    world.remediator.people.declare(RULE.name, "ada", "we know this one", world.clock.now())
    world.step(65)  # the first proposal expires, the next one needs nobody
    assert world.pool.executed() == 1


def test_a_declaration_falls_by_a_rollback_and_expires_by_itself(world: World) -> None:
    world.incident = incident(Severity.P2)
    world.remediator.people.declare(RULE.name, "ada", "we know this one", world.clock.now())
    world.step(5)
    assert world.record().state is ActionState.ROLLED_BACK
    world.step(60)
    assert world.record().state is ActionState.AWAITING_APPROVAL
    with world.state.read() as unit:
        declaration = unit.actions.declaration(RULE.name)
    assert declaration is not None
    assert declaration.fallen_at is not None
    assert declaration.expires_at - declaration.declared_at == Settings().declaration_lifetime


def test_a_target_that_is_configured_otherwise_is_nobody_elses_change(world: World) -> None:
    world.step(2)
    world.settings = replace(world.settings, targets=[{**world.settings.targets[0], "backend": "tills"}])
    world.pool.servers["web9"] = {"state": "ready", "weight": 1}
    world.start()
    world.step(5)
    assert world.pool.executed() == 1
    with world.state.read() as unit:
        assert "target.foreign_change" not in [row.action for row in unit.audit.rows()]


def test_cooldown_survives_a_restart(world: World) -> None:
    world.step(5)
    assert world.record().state is ActionState.ROLLED_BACK
    world.start()
    world.step(30)
    assert world.pool.executed() == 1
    world.step(20)
    assert world.pool.executed() == 2


class Shared(State):
    """As on a PostgreSQL that several machines share: it has a clock of its own."""

    clock = ManualClock(NOON)

    def now(self) -> datetime:
        return self.clock.now()


@pytest.mark.parametrize("apart", [timedelta(minutes=20), timedelta(minutes=-20)])
def test_a_cooldown_is_the_databases_whatever_the_clock_of_the_next_engine_says(
    tmp_path: Path, apart: timedelta
) -> None:
    world = World(tmp_path, open_state=Shared)
    world.step(5)
    assert world.record().state is ActionState.ROLLED_BACK
    Shared.clock, world.clock = world.clock, ManualClock(world.clock.now() + apart)
    world.start()
    world.step(30)
    assert world.pool.executed() == 1
    world.step(20)
    assert world.pool.executed() == 2


def test_three_failures_open_the_breaker_and_a_person_is_paged(world: World) -> None:
    world.step(4 * 60)
    assert world.pool.executed() == 3
    assert world.told[-1].kind == "suppressed"
    assert world.told[-1].page
    assert "breaker" in world.told[-1].reason


def test_a_foreign_change_means_hands_off_for_half_an_hour(world: World) -> None:
    world.symptom = 0
    world.step(2)
    world.pool.servers["web4"]["weight"] = 50
    world.symptom = 1
    world.step(60)
    assert world.pool.effects == []
    assert "somebody else" in world.reason()
    world.step(70)
    assert world.pool.executed() >= 1


def test_a_foreign_change_after_ours_is_not_undone(world: World) -> None:
    world.step(3)
    world.pool.servers["web1"] = {"state": "maint", "weight": 100}
    world.step(2)
    assert world.record().state is ActionState.ESCALATED
    assert world.pool.servers["web1"]["state"] == "maint"


def test_a_pause_and_a_jump_of_the_clock_mean_observing_only(world: World) -> None:
    world.step(2)
    world.clock.jump(timedelta(hours=5))
    world.step(2)
    assert world.pool.effects == []
    world.step(4)
    assert world.pool.executed() == 1
    with world.state.read() as unit:
        intent = unit.actions.intents_since(NOON)[0]
    assert intent.committed_at < NOON + timedelta(hours=1)


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1), timedelta(hours=-1), timedelta(minutes=9)])
def test_no_jump_of_the_clock_shortens_a_cooldown(world: World, jump: timedelta) -> None:
    world.step(5)
    world.clock.jump(jump)
    world.step(30)
    assert world.pool.executed() == 1
    world.start()
    world.step(2)
    assert world.pool.executed() == 1
    world.step(50)
    assert world.pool.executed() == 2


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_lost_message_is_reconciled_and_never_repeated(world: World, lost: str) -> None:
    world.actuator.lose = lost
    world.step(3)
    assert "unknown" in world.path()
    assert world.path()[-1] == ("aborted" if lost == "request" else "verifying")
    assert world.pool.executed() == (0 if lost == "request" else 1)


def test_a_lost_answer_of_the_target_is_settled_by_reading_it(world: World) -> None:
    world.pool.fail = "half"
    world.step(3)
    assert world.path()[-3:] == ["unknown", "reconciling", "verifying"]
    assert world.pool.executed() == 1


def test_an_action_the_target_refuses_goes_back_and_ends(world: World) -> None:
    world.pool.fail = "before"
    world.step(3)
    assert world.path()[-3:] == ["failed", "rolling_back", "escalated"]
    assert world.record().progress["rollback_failed"]


def test_an_unreachable_actuator_ends_in_a_page_not_in_a_guess(world: World) -> None:
    world.actuator.lose = "answer"
    world.step(3)
    world.actuator.down = True
    assert world.record().state is ActionState.VERIFYING
    world.step(2)
    assert world.record().state is ActionState.ROLLING_BACK
    world.step(100)
    assert world.records()[0].state is ActionState.ESCALATED


@pytest.mark.parametrize("dies", ["intent_committed", "executing", "verifying", "rolling_back"])
def test_a_restart_at_any_point_resumes_with_one_effect(
    world: World, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    class Crash(BaseException):
        pass

    async def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setitem(HANDLERS, ActionState(dies), crash)
        for _ in range(6):
            try:
                world.step()
            except Crash:
                break
        else:
            pytest.fail("it did not crash")
    world.start()
    world.step(6)
    first = world.records()[0]
    assert first.state.terminal
    assert world.pool.executed() == (0 if dies in ("intent_committed", "executing") else 1)
    with world.state.read() as unit:
        assert unit.audit.verify() is None
        assert len(unit.actions.intents_of(first.id)) <= 2


def test_an_empty_selector_means_nothing(tmp_path: Path) -> None:
    empty: list[dict[str, Any]] = [{"target": ""}, {"parameters": {}}, {"target": "x"}, {"parameters": {"drain": []}}]
    for number, change in enumerate(empty):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder, replace(RULE, **change))
        world.step(5)
        assert world.record().state is ActionState.SUPPRESSED
        assert world.pool.effects == []


def test_a_target_that_cannot_be_read_is_not_touched(world: World) -> None:
    world.pool.dark = True
    world.step(5)
    assert "does not answer" in world.reason()
    assert world.pool.effects == []


def test_the_audit_alone_explains_an_action(world: World) -> None:
    world.step(5)
    record = world.record()
    with world.state.read() as unit:
        rows = unit.audit.rows(subject=record.id)
        moves = [row for row in rows if row.action.split(".")[1] in set(ActionState)]
        assert [row.detail["to"] for row in moves] == [each.new_state for each in unit.transitions.of(record.id)]
        assert unit.audit.verify() is None
    told = {row.action: row.detail for row in rows}
    plan: Any = told["action.proposed"]["plan"]
    assert plan["desired"] == {"web1": {"state": "drain"}}
    evidence: Any = told["action.armed"]["evidence"]
    assert [verdict["gate"] for verdict in evidence["verdicts"]][:3] == ["switch", "fresh", "confirmed"]
    assert told["action.rolling_back"]["reason"] == "the symptom stayed"


def test_every_proposal_is_accounted_for(world: World) -> None:
    world.step(160)
    with world.state.read() as unit:
        counts = {state: count for (kind, state), count in unit.transitions.counts().items() if kind == "action"}
        waiting = sum(record.state is not ActionState.CONFIRMING for record in unit.actions.active())
    ends = ("succeeded", "rolled_back", "escalated", "suppressed", "aborted", "expired", "rejected")
    assert counts["proposed"] == sum(counts.get(state, 0) for state in ends) + waiting
    refused = sum(count for name, count in world.remediator.counts.items() if name.startswith("refused:"))
    assert refused == counts["suppressed"]


def test_a_step_without_anything_to_do_takes_no_turn_of_the_writers(world: World) -> None:
    world.symptom = 0.0
    world.step()
    begun: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        begun.append(statement)

    event.listen(world.state.engine, "before_cursor_execute", note)
    world.step(9, every=1.0)
    assert begun, "the steps looked"
    assert [each for each in begun if each not in ("BEGIN",) and not each.startswith("SELECT")] == []
    world.step(2, every=1.0)
    assert "BEGIN IMMEDIATE" in begun, "now the clock is kept again"


def test_a_set_switch_is_written_down_once(world: World) -> None:
    (world.folder / world.settings.kill_switch_file).write_text("by hand")
    world.symptom = 0.0
    world.step(5, every=1.0)
    with world.state.read() as unit:
        rows = [row for row in unit.audit.rows() if row.action == "kill_switch.set"]
    assert len(rows) == 1


def test_a_yes_that_came_while_a_step_was_looking_counts_at_the_next(tmp_path: Path) -> None:
    world = World(tmp_path, rehearsed=False)
    world.step(3)
    record, now = world.record(), world.clock.now()
    for user in ("ada", "eve"):
        word = {"admin": True, "reauthenticated": True}
        world.remediator.people.approve(
            record.id, user, "approve", "go", record.plan.digest(), now + timedelta(seconds=20), **word
        )
    world.step()
    assert world.record().state is ActionState.AWAITING_APPROVAL
    world.step()
    assert drained(world)
