"""The safety kernel beside its gates, at its edges: who must agree, confirmation, breakers, people, the switch."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.remediator import World
from support.remedies import (
    HOUR,
    MINUTE,
    NOON,
    PLAN,
    RULE,
    STEP,
    a_plan,
    failed,
    observation,
    passing,
)

from remediation import confirm
from remediation.actuator import Journal
from remediation.approval import approvers, needed, rejected_by
from remediation.breakers import BreakerState, open_breakers
from remediation.gates.authority import need_of
from remediation.settings import Breakers
from watchkeeper.errors import AccessError
from watchkeeper.model import ActionRecord, ActionState, Approval, Mode, Observation, RiskClass, Severity

SECOND = timedelta(seconds=1)
P0, P1, P2, P3 = Severity.P0, Severity.P1, Severity.P2, Severity.P3


# --- who must agree ---


@pytest.mark.parametrize(
    ("risk", "people"),
    [
        (RiskClass.A0, [0, 0, 0, 0]),
        (RiskClass.A1, [0, 0, 1, "suggest"]),
        (RiskClass.A2, [1, 1, 1, "suggest"]),
        (RiskClass.A3, [1, 1, 1, "suggest"]),
        (RiskClass.A4, [2, 2, 2, "refused"]),
    ],
)
def test_the_table_of_people_is_the_one_that_was_signed_off(risk: RiskClass, people: list[int | str]) -> None:
    for severity, wanted in zip((P0, P1, P2, P3), people, strict=True):
        need = needed(risk, severity, Mode.AUTO, earned=False, small_pool=False)
        assert (need.answer or need.people) == wanted
        if risk is RiskClass.A2 and severity in (P0, P1):
            assert needed(risk, severity, Mode.AUTO, earned=True, small_pool=False).people == 0
    assert needed(RiskClass.A1, P2, Mode.AUTO, earned=True, small_pool=False).people == 0
    assert needed(RiskClass.A2, P2, Mode.AUTO, earned=True, small_pool=False).people == 1
    suggested = needed(risk, P1, Mode.SUGGEST, earned=True, small_pool=False)
    assert (suggested.answer, suggested.people) == ("suggest", 0)
    assert needed(RiskClass.A4, P3, Mode.AUTO, earned=True, small_pool=False).people == 0


def test_modes_small_pools_and_people_only_ever_add_people() -> None:
    a1 = {"earned": True, "small_pool": False}
    assert needed(RiskClass.A1, P0, Mode.APPROVE, **a1).people == 1
    assert needed(RiskClass.A1, P0, Mode.AUTO, earned=True, small_pool=True).people == 1
    assert needed(RiskClass.A4, P0, Mode.AUTO, earned=True, small_pool=True).people == 2
    assert needed(RiskClass.A0, P0, Mode.APPROVE, earned=False, small_pool=True).people == 0
    asked = needed(RiskClass.A1, P3, Mode.AUTO, **a1, person_asked=True)
    assert (asked.people, asked.answer) == (1, "")
    for risk, people in ((RiskClass.A2, 0), (RiskClass.A3, 0), (RiskClass.A4, 2)):
        assert needed(risk, P2, Mode.AUTO, earned=False, small_pool=False, bounded=True).people == people
    for changes in ({"person_asked": True}, {"small_pool": True}):
        given: dict[str, Any] = {"earned": False, "small_pool": False, "bounded": True, **changes}
        assert needed(RiskClass.A3, P2, Mode.AUTO, **given).people == 1
    assert needed(RiskClass.A3, P2, Mode.APPROVE, earned=False, small_pool=False, bounded=True).people == 1


def test_a_declaration_counts_for_classes_a1_and_a2_and_graduation_for_all() -> None:
    for risk, people in ((RiskClass.A1, 0), (RiskClass.A2, 1), (RiskClass.A3, 1)):
        assert need_of(passing(**a_plan(risk=risk), severity=P2, declared=True)).people == people
    assert need_of(passing(**a_plan(risk=RiskClass.A2), declared=True)).people == 0
    assert need_of(passing(**a_plan(risk=RiskClass.A2), graduated=True)).people == 0
    assert need_of(passing(severity=P3, requester="ada")).answer == ""


def word(user: str = "eve", ago: timedelta = MINUTE, **more: Any) -> Approval:
    given = {"action_id": "act-1", "plan_hash": "h", "user": user, "verdict": "approve", "reason": "", "at": NOON - ago}
    return Approval(**{**given, **more})


def test_a_word_counts_from_the_moment_it_was_given_until_just_before_its_lifetime() -> None:
    def have(*given: Approval) -> list[str]:
        return approvers(given, "h", "rule", NOON, 15 * MINUTE)

    assert have(word(ago=timedelta(0)), word("ada", 15 * MINUTE - SECOND)) == ["ada", "eve"]
    assert have(word(ago=15 * MINUTE)) == []
    assert have(word(ago=-SECOND)) == []  # from the future
    assert have(word(), word()) == ["eve"]
    assert have(word("rule"), word(plan_hash="x"), word(verdict="reject")) == []
    assert rejected_by([word(), word("ada", verdict="reject")], "h") == "ada"
    assert rejected_by([word("ada", verdict="reject", plan_hash="x")], "h") == ""


# --- confirmation ---


def seen(*bads: bool | None, observers: tuple[bool | None, ...] | None = None) -> list[Observation]:
    others = bads if observers is None else observers
    return [
        replace(observation(NOON + STEP * n, bad=one), observers={"probe": other})
        for n, (one, other) in enumerate(zip(bads, others, strict=True))
    ]


def test_k_of_the_last_n_by_the_rule_and_one_more() -> None:
    assert confirm.agreeing(seen(False, True, True, True), 3, 4) == ["rule", "probe"]
    assert confirm.agreeing(seen(True, True, True, False, True), 3, 4) == ["rule", "probe"]
    assert confirm.agreeing(seen(True, True, False, False, True), 3, 4) == []
    assert confirm.agreeing(seen(True, True, True, False), 3, 4) == ["probe"]
    assert confirm.agreeing(seen(True, True, True, None), 3, 4) == ["rule", "probe"]
    assert not confirm.confirmed(seen(True, True, True, observers=(True, True, None)), 3, 4)
    assert confirm.confirmed(seen(True, True, True), 3, 4)
    assert confirm.agreeing([], 3, 4) == []
    doubled = [replace(one, observers={"rule": True}) for one in seen(True, True, True)]
    assert confirm.agreeing(doubled, 3, 4) == ["rule"]


def sampled(*looks: tuple[int, bool | None]) -> list[Observation]:
    """Looks of which only the probe sees the same sample again: (its second, what it says)."""
    return [
        replace(one, observers={"probe": bad}, sampled={"probe": NOON + SECOND * at})
        for one, (at, bad) in zip(seen(*[True] * len(looks)), looks, strict=True)
    ]


def test_a_sample_counts_once_however_often_it_is_looked_at() -> None:
    again = (0, True)
    assert confirm.agreeing(sampled(again, again, again), 2, 4) == ["rule"]
    assert confirm.agreeing(sampled(again, (0, None), again), 2, 4) == ["rule"]
    assert confirm.agreeing(sampled((0, True), (1, True)), 2, 4) == ["rule", "probe"]
    slow = sampled((0, True), again, (2, True), (2, True), (4, True), (4, True))
    assert confirm.agreeing(slow, 3, 4) == ["rule", "probe"]  # of its own last four samples
    assert confirm.agreeing(sampled((0, True), (0, False), (1, True)), 2, 4) == ["rule"]  # as of the last look at it
    thrice = sampled(*((at, at != 2) for at in range(4) for _ in range(3)))
    assert confirm.agreeing(thrice, 3, 4) == ["rule"]  # of eight looks: three samples, two of them bad
    assert confirm.agreeing(sampled((0, True), (1, True), (9, None)), 2, 2) == ["rule"]  # unknown takes a place
    assert confirm.agreeing(sampled((0, True), (1, True), (9, None), (1, True)), 2, 2) == ["rule"]  # and keeps it
    stuck = [replace(one, newest_sample_at=NOON) for one in seen(True, True, True)]
    assert confirm.agreeing(stuck, 2, 4) == ["probe"]


def test_a_plan_says_what_was_bad_and_who_else_saw_it() -> None:
    rule = replace(RULE, when="up\n  == 0")
    assert confirm.why(rule, confirm.MET, ["rule", "probe", "proxy"]) == "up == 0 is bad, and so says probe, proxy"
    assert confirm.why(rule, confirm.MET, ["rule"]) == "up == 0 is bad"
    assert confirm.why(rule, "ada: it smells", ["rule", "probe"]) == "ada: it smells"
    long = confirm.why(replace(rule, when="up+" * 99 + "up"), confirm.MET, ["rule"])
    assert long == f"{('up+' * 99)[: confirm.LONGEST - 1]}… is bad"
    fits = "x" * confirm.LONGEST
    assert confirm.why(replace(rule, when=fits), confirm.MET, ["rule"]) == f"{fits} is bad"


def test_ten_good_ones_in_a_row_end_an_episode_and_nine_do_not() -> None:
    assert confirm.cleared(seen(True, *[False] * 10))
    assert not confirm.cleared(seen(*[False] * 9))
    assert not confirm.cleared(seen(*[False] * 9, None))


def test_a_history_knows_when_an_episode_began_and_since_when_all_was_known_and_bad() -> None:
    past = confirm.History()
    window = 10 * MINUTE
    for number, one in enumerate(seen(False, True, True, None, True, False, True)):
        assert past.add(one, NOON + number * MINUTE, window)
        assert not past.add(one, NOON + number * MINUTE, window)
        idle = {1: 1, 2: 1, 4: 4, 6: 6}.get(number)
        assert past.idle_since == (None if idle is None else NOON + idle * MINUTE)
    assert past.onset == NOON + 6 * STEP
    assert past.onsets == [NOON + MINUTE, NOON + 6 * MINUTE]
    assert past.newest is not None
    assert past.newest.at == NOON + 6 * STEP
    past.add(observation(NOON + 20 * STEP, bad=False), NOON + 12 * MINUTE, window)
    past.add(observation(NOON + 21 * STEP), NOON + 16 * MINUTE, window)
    assert past.onsets == [NOON + 6 * MINUTE, NOON + 16 * MINUTE]
    for number in range(100):
        past.add(observation(NOON + (22 + number) * STEP), NOON + HOUR, window)
    assert len(past.seen) == 64
    past.forget()
    assert past.seen == []
    assert {past.onset, past.idle_since, past.newest} == {None}
    assert past.add(observation(NOON), NOON, window)


# --- breakers ---


def found(*ended: Any, at: datetime = NOON) -> dict[str, BreakerState]:
    return open_breakers(ended, at, RULE.name, "web", Breakers())


def test_each_breaker_counts_its_own() -> None:
    mine = [failed(MINUTE, rule=RULE.name) for _ in range(3)]
    assert found(*mine) == {f"rule {RULE.name}": BreakerState.OPEN}
    assert found(*(failed(MINUTE, target="web") for _ in range(3))) == {"target web": BreakerState.OPEN}
    assert found(*(failed(MINUTE, rule=f"r{n}", target=f"t{n}") for n in range(4))) == {}
    assert found(*(failed(MINUTE, rule=f"r{n}", target=f"t{n}") for n in range(5))) == {"all": BreakerState.OPEN}
    rollbacks = [failed(MINUTE, rule=f"r{n}", target=f"t{n}", rollback_failed=True) for n in range(2)]
    assert found(*rollbacks) == {"rollbacks": BreakerState.OPEN}
    assert found(rollbacks[0], failed(MINUTE)) == {}


def test_a_window_and_a_rest_are_over_at_their_very_end() -> None:
    def ends(*minutes: int) -> list[Any]:
        return [failed(-minute * MINUTE, rule=RULE.name) for minute in minutes]

    assert found(*ends(0, 30, 59), at=NOON + HOUR) != {}
    assert found(*ends(0, 30, 60), at=NOON + HOUR) == {}
    opened = ends(0, 1, 2)
    assert set(found(*opened, at=NOON + 62 * MINUTE - SECOND).values()) == {BreakerState.OPEN}
    assert set(found(*opened, at=NOON + 62 * MINUTE).values()) == {BreakerState.HALF_OPEN}
    good = failed(-62 * MINUTE, rule=RULE.name, ok=True)
    assert found(*opened, good, at=NOON + 63 * MINUTE) == {}
    again = ends(70, 71)
    assert found(*opened, good, *again, at=NOON + 72 * MINUTE) == {}  # what was before it closed does not count


def test_a_success_between_failures_is_no_failure() -> None:
    fine = failed(MINUTE, rule=RULE.name, ok=True)
    bad_ones = [failed(MINUTE, rule=RULE.name) for _ in range(2)]
    assert found(*bad_ones, fine, fine) == {}
    assert found(*bad_ones, fine, failed(MINUTE, rule=RULE.name)) != {}


# --- people and the switch ---


def kept(world: World, state: ActionState = ActionState.AWAITING_APPROVAL, **changes: Any) -> ActionRecord:
    """An action of this class that waits."""
    record = ActionRecord(
        id="act-7", state=state, plan=replace(PLAN, **changes), created_at=NOON, updated_at=NOON, requester="rule",
        correlation_id="c",
    )  # fmt: skip
    with world.state.begin() as unit:
        unit.actions.save(record, reason="waits", at=NOON)
    return record


def says(world: World, record: ActionRecord, user: str = "eve", verdict: Any = "approve", **more: Any) -> None:
    given = {"plan_hash": record.plan.digest(), "reason": "", "now": NOON, **more}
    world.remediator.people.approve(record.id, user, verdict, **given)


def words(world: World) -> list[tuple[str, str]]:
    with world.state.read() as unit:
        return [(each.user, each.verdict) for each in unit.actions.approvals("act-7")]


def test_a_word_is_refused_unless_it_is_of_this_plan_by_another_person(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(AccessError, match="does not wait"):
        world.remediator.people.approve("act-7", "eve", "approve", "", "h", NOON)
    over = kept(world, ActionState.EXPIRED)
    with pytest.raises(AccessError, match="does not wait"):
        says(world, over)
    record = kept(world)
    with pytest.raises(AccessError, match="another one"):
        says(world, record, plan_hash="x")
    with pytest.raises(AccessError, match="asked for"):
        says(world, record, user="rule")
    assert words(world) == []
    says(world, record, user="rule", verdict="reject")
    says(world, record)
    assert words(world) == [("rule", "reject"), ("eve", "approve")]
    world.state.close()


@pytest.mark.parametrize("risk", list(RiskClass))
def test_risky_classes_need_an_admin_who_signed_in_again(tmp_path: Path, risk: RiskClass) -> None:
    world = World(tmp_path)
    record = kept(world, risk=risk)
    risky = risk in (RiskClass.A3, RiskClass.A4)
    for admin, again in ((False, False), (True, False), (False, True)):
        if risky:
            with pytest.raises(AccessError, match="signed in again"):
                says(world, record, admin=admin, reauthenticated=again)
        else:
            says(world, record, admin=admin, reauthenticated=again)
    says(world, record, admin=True, reauthenticated=True)
    assert words(world) == [("eve", "approve")]
    world.state.close()


def test_both_halves_of_the_switch_are_written_and_each_says_who_and_why(tmp_path: Path) -> None:
    world = World(tmp_path)
    switch, file = world.remediator.kill_switch, tmp_path / "kill-switch"
    switch.set("eve", "smoke", NOON)
    assert file.read_text() == "eve: smoke"
    with world.state.read() as unit:
        found = unit.documents.get("remediation/kill_switch")
        assert (found["set"], found["by"], found["reason"]) == (True, "eve", "eve: smoke")
    for admin, reason in ((False, "checked"), (True, " ")):
        with pytest.raises(AccessError):
            switch.clear("ada", reason, NOON, admin=admin)
        assert switch.reason() == "eve: smoke"
    switch.clear("ada", "checked", NOON, admin=True)
    with world.state.read() as unit:
        assert unit.documents.get("remediation/kill_switch")["set"] is False
        assert [row.action for row in unit.audit.rows()][-2:] == ["kill_switch.set", "kill_switch.clear"]
    assert switch.reason() == ""
    file.write_text("x" * 900)
    assert len(switch.reason()) == 500
    world.state.close()


def test_a_switch_that_is_set_but_cannot_be_copied_stays_set(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.state.begin() as unit:
        unit.documents.put("remediation/kill_switch", {"set": True, "reason": "row"}, at=NOON)
    world.remediator.kill_switch._path = tmp_path / "file" / "kill-switch"
    (tmp_path / "file").write_text("in the way")
    assert "row" in world.remediator.kill_switch.reason() or "cannot" in world.remediator.kill_switch.reason()
    assert world.remediator.kill_switch.reason()
    world.state.close()


def test_the_journal_is_for_its_owner_alone_and_an_unseen_key_is_settled_with_no_token(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o600
    assert world.actuator.core.outcome("never")["token"] == 0
    compact = Journal(tmp_path / "journal", compact_bytes=1)
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o600
    assert compact.outcome("never") == world.actuator.core.outcome("never")
    held = len(list(Path("/proc/self/fd").iterdir()))
    compact.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == held - 1
    world.state.close()
