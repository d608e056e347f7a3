"""What the page Safety asks: refusals by gate, budgets, breakers, who leads, and how much needs nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.engines import NOON, engine
from support.remediator import World
from support.remedies import IMPACT, PLAN

from remediation.gates import GATES
from remediation.judgement import automation, compared, foresight, record_fix
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.errors import AccessError
from watchkeeper.model import ActionRecord, ActionState, Approval
from watchkeeper.ports import Reading


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


@pytest.fixture
def api(house: Engine) -> TestClient:
    token, _ = create_system_token(house.state, "test", Role.ADMIN, now=house.clock.now())
    return TestClient(create(house), headers={"authorization": f"Bearer {token}"})


def ended(house: Engine, number: int, state: ActionState, reason: str, **more: Any) -> ActionRecord:
    record = ActionRecord(
        id=f"act-{number}", state=state, plan=replace(PLAN, incident_id=f"inc-{number}"), created_at=NOON,
        updated_at=NOON, requester=PLAN.rule, correlation_id="cor", **more,
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.actions.save(record, reason=reason, at=NOON)
    return record


def test_every_refusal_is_counted_at_its_gate(house: Engine, api: TestClient) -> None:
    ended(house, 1, ActionState.SUPPRESSED, "cooldown: the target rests for another 9 s")
    ended(house, 2, ActionState.SUPPRESSED, "cooldown: the target rests for another 5 s")
    ended(house, 3, ActionState.ABORTED, "lock: another engine holds the lease")
    ended(house, 4, ActionState.REJECTED, "rejected by eve")
    ended(house, 5, ActionState.ABORTED, "stopped before the intent was sent")
    found = api.get("/api/wk/safety").json()
    assert [row["gate"] for row in found["gates"]] == [name for name, _ in GATES]
    counted = {row["gate"]: row["refused"] for row in found["gates"] if row["refused"]}
    assert counted == {"cooldown": 2, "lock": 1, "approval": 1}
    last = next(row for row in found["gates"] if row["gate"] == "cooldown")
    assert last["last_reason"] == "the target rests for another 5 s"


def test_budgets_leader_switch_and_audit_are_as_they_are(house: Engine, api: TestClient) -> None:
    record = ended(house, 1, ActionState.ARMED, "armed")
    with house.state.begin() as unit:
        unit.actions.commit_intent(record, "execute", "web", house.clock.now())
    found = api.get("/api/wk/safety").json()
    assert [(row["name"], row["used"], row["limit"]) for row in found["budgets"]] == [
        ("actions", 1, 5), ("failovers", 0, 1), ("per_day", 1, 20)
    ]  # fmt: skip
    assert found["breakers"] == []
    assert found["leader"] == {"alone": True, "leads": True, "token": 0}
    assert found["kill_switch"]["on"] is False
    assert found["audit"]["rows"] >= 1


def test_the_share_of_effects_without_a_person_counts_what_people_did(house: Engine, api: TestClient) -> None:
    assert api.get("/api/wk/safety").json()["automation"]["rate"] is None
    for number in (1, 2, 3):
        ended(house, number, ActionState.SUCCEEDED, "done", token=number)
    with house.state.begin() as unit:
        word = Approval(action_id="act-3", plan_hash="h", user="eve", verdict="approve", reason="", at=NOON)
        unit.actions.approve(word)
    assert api.post("/api/wk/fixes", json={"service": "shop", "what": "restarted it"}).status_code == 201
    assert api.post("/api/wk/fixes", json={"what": ""}).status_code == 422
    found = api.get("/api/wk/safety").json()["automation"]
    assert found == {"automatic": 2, "approved": 1, "asked": 0, "by_hand": 1, "rate": 0.5}
    with house.state.begin() as unit:
        assert automation(unit, NOON + timedelta(days=31)).rate is None
        with pytest.raises(AccessError):
            record_fix(unit, "eve", "shop", " ", NOON)


def test_a_plan_is_compared_with_what_is_there_at_the_first_verdict(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.step(3)
    world.symptom = 0.0
    world.step(2)
    found = world.record().progress
    assert found["as_predicted"] is True
    assert found["predicted"] == {"healthy": 3.0, "touched": ["web1"], "symptom": "gone"}
    with world.state.read() as unit:
        assert foresight(unit, world.clock.now())[PLAN.rule].as_predicted == 1
    world.state.close()


def test_an_action_that_is_done_and_moves_nothing_was_not_as_predicted_and_its_rule_falls(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.remediator.people.declare(PLAN.rule, "ada", "a drain", world.clock.now())
    world.step(8)
    assert world.record().state is ActionState.ROLLED_BACK
    assert world.record().progress["as_predicted"] is False
    assert any(change.page for change in world.told)
    with world.state.read() as unit:
        declared = unit.actions.declaration(PLAN.rule)
        assert declared is not None
        assert declared.fallen_at is not None
        assert foresight(unit, world.clock.now())[PLAN.rule].otherwise == 1
    world.state.close()


def test_fewer_healthy_ones_than_were_promised_are_not_as_predicted() -> None:
    plan = replace(PLAN, evidence={"impact": asdict(IMPACT)})
    for healthy, reached, same in ((3.0, True, True), (4.0, True, True), (2.0, True, False), (3.0, False, False)):
        reading = Reading(state={}, epoch="e", capacity={"healthy": healthy})
        assert compared(plan, reading, reached=reached)["as_predicted"] is same
