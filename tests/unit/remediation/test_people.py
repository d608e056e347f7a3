"""What people do by hand: rehearse, ask, judge, stop."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.remediator import World, incident
from support.remedies import NOON, PLAN, RULE, intent_of

from remediation import book
from remediation.killswitch import KillSwitch, file_says
from remediation.situation import Facts
from watchkeeper.errors import AccessError, ActionError
from watchkeeper.model import ActionState, Mode, Severity

TARGETS: list[dict[str, Any]] = [
    {"name": "web", "kind": "haproxy", "socket": "/nowhere", "backend": "shop", "test_target": "try"},
    {"name": "try", "kind": "haproxy", "socket": "/nowhere", "backend": "try", "test_parameters": {"drain": "web4"}},
]


def ask(world: World, **more: Any) -> str:
    facts = Facts(query=world.query, incidents=[world.incident] if world.incident else [])
    given = {"rule": RULE.name, "user": "ada", "reason": "I saw it", "facts": facts, **more}
    return asyncio.run(world.remediator.request(world.clock.now(), **given))


def rehearse(world: World) -> None:
    asyncio.run(world.remediator.rehearse(world.clock.now(), RULE.name))


def test_a_rehearsal_goes_there_and_back_and_makes_the_action_reversible(tmp_path: Path) -> None:
    world = World(tmp_path, rehearsed=False, targets=TARGETS)
    rehearse(world)
    assert [intent.operation for intent in world.pool.effects] == ["execute", "rollback"]
    assert world.pool.servers["web4"]["state"] == "ready"
    world.step(3)
    assert world.record().state is ActionState.VERIFYING
    assert world.record().plan.risk == "A1"


@pytest.mark.parametrize("trouble", ["fails", "switch", "no target", "nothing to do"])
def test_a_rehearsal_that_did_not_work_counts_for_nothing(tmp_path: Path, trouble: str) -> None:
    targets = TARGETS if trouble != "no target" else [{**TARGETS[0], "test_target": ""}]
    world = World(tmp_path, rehearsed=False, targets=targets)
    if trouble == "fails":
        world.pool.fail = "before"
    if trouble == "switch":
        world.remediator.kill_switch.set("eve", "stop", world.clock.now())
    if trouble == "nothing to do":
        world.pool.servers["web4"]["state"] = "drain"
    with pytest.raises(ActionError):
        rehearse(world)
    with world.state.read() as unit:
        assert unit.documents.with_prefix(book.REHEARSED_KEY) == {}


def test_a_person_may_ask_but_not_approve_and_floor_and_switch_bind_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.symptom = 0
    world.step(2)
    action = ask(world, waive=["confirmed", "flapping", "cooldown", "budget"])
    world.symptom = 1
    world.step()
    assert world.record().id == action
    assert world.pool.executed() == 1
    with world.state.read() as unit:
        told = [row.detail for row in unit.audit.rows(subject=action)]
    assert "waived by ada" in str(told)


def test_what_a_person_wants_although_nothing_is_bad_is_done_once_they_waive_that(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.symptom = 0
    world.step(12)
    ask(world)
    world.step()
    assert world.record().state is ActionState.CLEARED
    action = ask(world, waive=["confirmed"])
    world.step()
    assert (world.record().id, world.pool.executed()) == (action, 1)


def test_the_floor_binds_people_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pool.down = {"web2", "web3"}
    ask(world, waive=["confirmed"])
    world.step()
    assert world.record().state is ActionState.SUPPRESSED
    assert world.pool.effects == []


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"waive": ["blast_radius"]}, AccessError),
        ({"reason": " "}, AccessError),
        ({"user": ""}, AccessError),
        ({"rule": "nobody"}, ActionError),
    ],
)
def test_a_wrong_request_is_refused(tmp_path: Path, given: dict[str, Any], error: type[Exception]) -> None:
    world = World(tmp_path)
    with pytest.raises(error):
        ask(world, **given)
    assert world.records() == []


def test_a_second_request_waits_for_the_first(tmp_path: Path) -> None:
    world = World(tmp_path)
    ask(world)
    with pytest.raises(ActionError, match="under way"):
        ask(world)


def test_twenty_right_judgements_in_fourteen_days_graduate_a_rule(tmp_path: Path) -> None:
    world = World(tmp_path, replace(RULE, mode=Mode.DRY_RUN))
    world.step(3)
    first = world.record()
    world.remediator.people.judge(first.id, "ada", "right", world.clock.now())
    with pytest.raises(AccessError, match="already"):
        world.remediator.people.judge(first.id, "eve", "right", world.clock.now())
    with world.state.begin() as unit:
        for _ in range(19):
            book.tally(unit, RULE.name, "v1", NOON, proposals=1, right=1)
        later = NOON + timedelta(days=15)
        assert not book.graduated(unit, RULE.name, "v1", NOON + timedelta(days=13), world.settings)
        assert book.graduated(unit, RULE.name, "v1", later, world.settings)
        assert not book.graduated(unit, RULE.name, "v2", later, world.settings)
        book.tally(unit, RULE.name, "v1", NOON, harmful=1)
        assert not book.graduated(unit, RULE.name, "v1", later, world.settings)
        book.fall(unit, RULE.name, NOON, "rolled back")
        assert not book.graduated(unit, RULE.name, "v1", later, world.settings)


def test_only_finished_dry_runs_are_judged_and_only_owners_declare(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(AccessError, match="not a finished"):
        world.remediator.people.judge("act-9", "ada", "right", NOON)
    with pytest.raises(AccessError, match="named owner"):
        world.remediator.people.declare(RULE.name, "ada", "", NOON)


def test_either_half_of_the_kill_switch_sets_it_and_each_copies_itself_to_the_other(tmp_path: Path) -> None:
    world = World(tmp_path)
    switch: KillSwitch = world.remediator.kill_switch
    file = tmp_path / "kill-switch"
    assert switch.reason() == ""
    file.touch()
    assert "exists" in switch.latch(NOON)
    file.unlink()
    assert "exists" in switch.reason()
    assert file.exists()
    with pytest.raises(AccessError, match="written reason"):
        switch.clear("ada", " ", NOON, admin=True)
    switch.clear("ada", "checked", NOON, admin=True)
    assert (switch.reason(), file.exists()) == ("", False)


def test_what_cannot_be_read_is_set(tmp_path: Path) -> None:
    assert "cannot be read" in file_says(tmp_path / "nowhere" / "kill-switch")
    assert "cannot be read" in file_says(tmp_path)
    world = World(tmp_path)
    with world.state.begin() as unit:
        unit.connection.execute(text("DROP TABLE settings"))
    assert "database cannot be read" in world.remediator.kill_switch.reason()


def test_severity_comes_from_the_incident_and_p3_is_only_a_hint(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.incident = incident(Severity.P3)
    world.step(3)
    assert world.record().state is ActionState.SUGGESTED
    assert world.record().plan.incident_id == "inc-1"


@pytest.mark.parametrize("flips", [50, pytest.param(500, marks=pytest.mark.long)])
def test_after_any_flip_of_the_kill_switch_no_effect_follows(tmp_path: Path, flips: int) -> None:
    """Set by file, by people and by the row alone, at a random moment of a stream of effects; cleared by an admin."""
    world, chance = World(tmp_path), random.Random(20261129)
    switch, file = world.remediator.kill_switch, tmp_path / "kill-switch"
    core, token = world.actuator.core, itertools.count(1)

    def effect() -> bool:
        """What the engine does last before an effect, then what the actuator does."""
        if switch.reason():
            return False
        reading = world.pool.read(PLAN.targets[0], {})
        target = replace(PLAN.targets[0], epoch=f"{reading.epoch}.0")
        number = next(token)
        intent = intent_of(replace(PLAN, targets=(target,)), token=number)
        return bool(core.submit(replace(intent, idempotency_key=f"key-{number}"))["state"] == "done")

    ways = Counter[str]()
    for _ in range(flips):
        assert all(effect() for _ in range(chance.randrange(3)))
        way = chance.choice(["file", "people", "row", "file and row"])
        if "file" in way:
            file.write_text("by hand")
        if way == "people":
            switch.set("eve", "stop", world.clock.now())
        if "row" in way:
            with world.state.begin() as unit:
                unit.documents.put("remediation/kill_switch", {"set": True, "reason": "row"}, at=world.clock.now())
        ways[way] += 1
        before = len(world.pool.effects)
        assert not any(effect() for _ in range(2))
        if way != "file":  # a restart, or whoever cleans up files, sets nothing free
            file.unlink(missing_ok=True)
            assert not effect()
            assert file.exists()
        assert len(world.pool.effects) == before
        switch.clear("ada", "checked", world.clock.now(), admin=True)
    assert len(ways) == 4
