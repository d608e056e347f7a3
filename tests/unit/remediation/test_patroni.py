"""Which order Patroni gets, and when it gets none. The real thing is driven in tests/contracts (long)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.patroni_api import Members, members
from support.remedies import PLAN, intent_of

from remediation.actions.patroni import Patroni
from watchkeeper.errors import ActionError
from watchkeeper.model import RiskClass, Target

KIND, TARGET = Patroni(), Target(kind="patroni", name="db")


@pytest.fixture
def db() -> Iterator[Members]:
    with members() as made:
        yield made


def settings(db: Members, **more: Any) -> dict[str, Any]:
    own = {"members": [f"{db.url}/{name}" for name in "abc"], "advance_seconds": 0.01, "switch_seconds": 0.5}
    return {"name": "db", "kind": "patroni", **own, **more}


def problem(db: Members, wanted: str = "b") -> str:
    return KIND.impact(KIND.read(TARGET, settings(db)), {"leader": wanted}, settings(db)).problem


def test_a_leader_that_answers_is_switched_over(db: Members) -> None:
    desired, back = KIND.desired(KIND.read(TARGET, settings(db)), {"away_from": "a"})
    assert (desired, back) == ({"leader": "b"}, {"leader": "a"})  # b has the least lag
    KIND.apply(desired, intent_of(PLAN), settings(db, user="ann", password="x"))
    assert db.orders == [("switchover", {"leader": "a", "candidate": "b"})]
    assert db.authorization == "Basic YW5uOng="


def test_a_silent_leader_is_failed_over_when_replication_stands_still(db: Members) -> None:
    db.dark = True
    KIND.apply({"leader": "b"}, intent_of(PLAN), settings(db))
    assert db.orders == [("failover", {"candidate": "b"})]


def test_a_silent_agent_whose_primary_still_writes_is_left_alone(db: Members) -> None:
    db.dark = db.writes_go_on = True
    with pytest.raises(ActionError, match="replication still advances") as caught:
        KIND.apply({"leader": "b"}, intent_of(PLAN), settings(db))
    assert (db.orders, caught.value.unknown) == ([], False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"paused": True}, "the cluster is paused"),
        ({"lag": {"b": "unknown", "c": 0}}, "b is not fit to lead; fit are c"),
        ({"roles": {"c": "sync_standby"}}, "b is not fit to lead; fit are c"),
    ],
)
def test_what_stands_in_the_way_is_told_beforehand(db: Members, change: dict[str, Any], says: str) -> None:
    for name, value in change.items():
        setattr(db, name, value)
    assert problem(db) == says
    assert problem(db, "a") == ""


@pytest.mark.parametrize(("lag", "risk"), [(0, RiskClass.A2), (2 << 20, RiskClass.A4)])
def test_a_replica_far_behind_loses_data(db: Members, lag: int, risk: RiskClass) -> None:
    db.lag["b"] = lag
    found = KIND.impact(KIND.read(TARGET, settings(db)), {"leader": "b"}, settings(db))
    assert (found.risk, found.direction, found.healthy_after, found.total) == (risk, "switch:b", 3, 3)


def test_a_refusal_is_nothing_done_and_a_leader_that_does_not_move_is_unknown(db: Members) -> None:
    db.answer = (412, "no good candidates")
    with pytest.raises(ActionError, match="refused switchover: 412:no good candidates") as caught:
        KIND.apply({"leader": "b"}, intent_of(PLAN), settings(db))
    assert not caught.value.unknown
    db.answer, db.obeys = (200, "Successfully"), False
    with pytest.raises(ActionError, match="did not reach the wanted state") as caught:
        KIND.apply({"leader": "b"}, intent_of(PLAN), settings(db))
    assert caught.value.unknown


def test_the_next_member_is_asked_when_one_is_gone(db: Members) -> None:
    gone = settings(db, members=["http://127.0.0.1:1", f"{db.url}/c"])
    KIND.apply({"leader": "c"}, intent_of(PLAN), gone)
    assert [word for word, _ in db.orders] == ["switchover"]
