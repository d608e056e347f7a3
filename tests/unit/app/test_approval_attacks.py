"""Two hundred ways to get an action approved that it was not: none of them counts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from support.engines import PASSWORD, clock_of, engine
from support.remedies import PLAN

from remediation.approval import approvers
from remediation.settings import Settings
from watchkeeper.access.roles import Role
from watchkeeper.access.sessions import log_in
from watchkeeper.access.tokens import create_token
from watchkeeper.access.users import create_user, new_user
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.model import ActionRecord, ActionState, Plan, RiskClass

#: The same passwords at a thousandth of the cost.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
LIFETIME = Settings().approval_lifetime
ATTACKS = 200


@dataclass(frozen=True, slots=True)
class Session:
    headers: dict[str, str]


class House:
    """An engine's API, four people, and an action of class A4 that waits for two of them."""

    def __init__(self, found: Engine) -> None:
        self.engine, self.api = found, TestClient(create(found), raise_server_exceptions=False)
        self.people = {"ada": Role.ADMIN, "lin": Role.ADMIN, "opa": Role.OPERATOR, "vic": Role.VIEWER}
        for name, role in self.people.items():
            user = new_user(name, role, PASSWORD, language="en", time_zone="UTC", now=found.clock.now(), hasher=QUICK)
            create_user(found.state, user, actor="test", now=found.clock.now())
        self.actions = 0

    def sign_in(self, name: str) -> Session:
        now = self.engine.clock.now()
        found = log_in(self.engine.state, name, PASSWORD, source="test", now=now, hasher=QUICK)
        return Session({"authorization": f"Session {found.session}", "x-csrf-token": found.csrf})

    def waits(self, requester: str = PLAN.rule, **changes: Any) -> ActionRecord:
        self.actions += 1
        now = self.engine.clock.now()
        plan = replace(PLAN, risk=RiskClass.A4, incident_id=f"inc-{self.actions}", **changes)
        record = ActionRecord(
            id=f"act-{self.actions}", state=ActionState.AWAITING_APPROVAL, plan=plan, created_at=now, updated_at=now,
            requester=requester, correlation_id="cor", progress={"needs": 2},
        )  # fmt: skip
        return self.keep(record)

    def keep(self, record: ActionRecord) -> ActionRecord:
        with self.engine.state.begin() as unit:
            unit.actions.save(record, reason="waits", at=self.engine.clock.now())
        return record

    def says(self, record: ActionRecord, session: Session, plan: Plan | None = None) -> int:
        body = {"plan_hash": (plan or record.plan).digest(), "reason": "go"}
        return self.api.post(f"/api/wk/actions/{record.id}/approve", json=body, headers=session.headers).status_code

    def approved(self, record: ActionRecord) -> bool:
        """As gate 13 counts, for the plan as it is now."""
        with self.engine.state.read() as unit:
            given, now = unit.actions.approvals(record.id), self.engine.clock.now()
            kept = unit.actions.get(record.id)
        assert kept is not None
        counted = approvers(given, kept.plan.digest(), record.requester, now, LIFETIME)
        return len(counted) >= 2 and kept.state is ActionState.AWAITING_APPROVAL


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with engine(tmp_path_factory.mktemp("house")) as found:
        yield House(found)


def own(house: House, _chance: random.Random) -> ActionRecord:
    """Whoever asked for it is one of the two."""
    record = house.waits(requester="ada")
    for name in ("ada", "lin"):
        house.says(record, house.sign_in(name))
    return record


def twice(house: House, _chance: random.Random) -> ActionRecord:
    """The same person from two sessions."""
    record = house.waits()
    for _ in range(2):
        house.says(record, house.sign_in("ada"))
    return record


def replay(house: House, chance: random.Random) -> ActionRecord:
    """What was said of another action, sent once more for this one."""
    other, record = house.waits(), house.waits()
    for name in ("ada", "lin"):
        house.says(other, house.sign_in(name))
        house.says(
            record, house.sign_in(name), other.plan if chance.random() < 0.8 else replace(other.plan, reason="x")
        )
    return record


def changed(house: House, chance: random.Random) -> ActionRecord:
    """Another plan, once two people have agreed to the first."""
    record = house.waits()
    for name in ("ada", "lin"):
        house.says(record, house.sign_in(name))
    ways: list[dict[str, Any]] = [
        {"desired": {"web2": {"state": "drain"}}},
        {"rollback": {}},
        {"targets": ()},
        {"parameters": {"drain": "web9"}},
    ]
    worse = chance.choice(ways)
    return house.keep(replace(record, plan=replace(record.plan, **worse)))


def expired(house: House, chance: random.Random) -> ActionRecord:
    """The first word is too old when the second comes."""
    record = house.waits()
    house.says(record, house.sign_in("ada"))
    clock_of(house.engine).advance(LIFETIME.total_seconds() + chance.randrange(600))
    house.says(record, house.sign_in("lin"))
    return record


def lesser(house: House, chance: random.Random) -> ActionRecord:
    """One admin, and people whose role is not enough."""
    record = house.waits()
    house.says(record, house.sign_in("ada"))
    for name in chance.sample(["opa", "vic"], 2):
        assert house.says(record, house.sign_in(name)) == 403
    return record


def stale(house: House, chance: random.Random) -> ActionRecord:
    """Sessions in which no password was typed for five minutes."""
    record = house.waits()
    sessions = [house.sign_in(name) for name in ("ada", "lin")]
    clock_of(house.engine).advance(301 + chance.randrange(500))
    for session in sessions:
        assert house.says(record, session) in (401, 403)
    return record


def token(house: House, chance: random.Random) -> ActionRecord:
    """API tokens of two admins: nobody typed a password."""
    record = house.waits()
    for name in ("ada", "lin"):
        secret, _ = create_token(
            house.engine.state, name=f"t{chance.random()}", user=name, role="admin",
            lifetime=timedelta(days=1), now=house.engine.clock.now(), actor=name,
        )  # fmt: skip
        assert house.says(record, Session({"authorization": f"Bearer {secret}"})) == 403
    return record


def forged(house: House, chance: random.Random) -> ActionRecord:
    """No CSRF token, somebody else's, no session at all."""
    record = house.waits()
    mine, other = house.sign_in("ada"), house.sign_in("lin")
    crossed = {**mine.headers, "x-csrf-token": other.headers["x-csrf-token"]}
    bare = {"authorization": other.headers["authorization"]}
    for headers in chance.sample([crossed, bare, {}, {"authorization": "Session guess"}], 4):
        assert house.says(record, Session(headers)) in (401, 403)
    return record


def gone(house: House, chance: random.Random) -> ActionRecord:
    """One of the two signed out, or the action does not wait any more."""
    record = house.waits()
    house.says(record, house.sign_in("ada"))
    left = house.sign_in("lin")
    house.api.post("/api/wk/logout", headers=left.headers)
    assert house.says(record, left) == 401
    over = house.keep(
        replace(record, state=chance.choice([ActionState.EXPIRED, ActionState.REJECTED, ActionState.ABORTED]))
    )
    assert house.says(over, house.sign_in("lin")) == 409
    return over


KINDS: tuple[Callable[[House, random.Random], ActionRecord], ...] = (
    own, twice, replay, changed, expired, lesser, stale, token, forged, gone,
)  # fmt: skip


def test_of_two_hundred_attacks_none_gets_an_action_approved(house: House) -> None:
    chance, tried, succeeded = random.Random(20261129), Counter[str](), []
    for number in range(ATTACKS):
        attack = KINDS[number % len(KINDS)]
        clock_of(house.engine).advance(chance.randrange(30))
        if house.approved(attack(house, chance)):
            succeeded.append((number, attack.__name__))
        tried[attack.__name__] += 1
    assert succeeded == []
    assert sum(tried.values()) == ATTACKS
    assert min(tried.values()) >= ATTACKS // len(KINDS)


def test_two_admins_who_typed_their_passwords_do(house: House) -> None:
    record = house.waits()
    assert [house.says(record, house.sign_in(name)) for name in ("ada", "lin")] == [200, 200]
    assert house.approved(record)
