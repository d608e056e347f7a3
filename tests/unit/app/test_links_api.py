"""What the pages Dual links and Scaling ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.engines import NOON, engine
from support.journey import rule_file
from support.remedies import PLAN

from remediation import book
from remediation.links import LinkState, Phase
from remediation.settings import Link
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.api.links import way_back
from watchkeeper.app.engine import Engine
from watchkeeper.errors import StoreError
from watchkeeper.model import ActionRecord, ActionState
from watchkeeper.ports import Reading

RULES = """
remediations:
- {name: maps_failover, when: 'x > 1', observers: {passive: 'y > 1'}, action: webhook, target: gateway, link: maps,
   parameters: {failover: {state: {provider: b}}, return: {state: {provider: a}}}, verify: 'x > 1', mode: auto,
   owner: li}
- {name: more, when: 'x > 1', action: supervisord, target: jobs, verify: 'x > 1',
   scale: {direction: out, load: vector(300), per_worker: 40, min: 2, max: 8,
           cost: {per_worker: 0.5, ceiling: 3, guard: vector(1)}}}
- {name: fewer, when: 'x < 1', action: supervisord, target: jobs, verify: 'x > 1',
   scale: {direction: in, load: 'sum(rate(put_total[1m]))', per_worker: 4, min: 2, max: 8}}
ladders:
- name: planner
  action: webhook
  target: gateway
  level: vector(1)
  budget: 30s
  levels:
  - {name: FULL, timeout: 15s, state: {mode: full}}
  - {name: CACHED, timeout: 10s, state: {mode: cached}, enter: 'vector(0.8) < 0.9', leave: 'vector(0.8) > 0.98'}
  - {name: TEMPLATE, timeout: 5s, state: {mode: template}, enter: 'nothing < 0.5', leave: 'vector(NaN)'}
"""
LINK: dict[str, Any] = {
    "name": "maps", "service": "shop", "target": "gateway", "primary": "a", "backup": "b", "primary_cost": 1.0,
    "backup_cost": 2.5, "primary_probe": "probe_success{c='a'}", "backup_probe": "probe_success{c='b'}",
}  # fmt: skip
REMEDIATION = {
    "targets": [
        {"name": "gateway", "kind": "webhook", "url": "https://gateway.example/state", "secret": "s" * 32},
        {"name": "jobs", "kind": "supervisord", "server": "/nowhere/s.sock", "group": "jobs", "floor": 2, "ceiling": 8},
    ],
    "links": [LINK],
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    rule_file(tmp_path, RULES)
    with engine(tmp_path, remediation=REMEDIATION) as found:
        yield found


@pytest.fixture
def api(house: Engine) -> TestClient:
    token, _ = create_system_token(house.state, "test", Role.ADMIN, now=house.clock.now())
    return TestClient(create(house), headers={"authorization": f"Bearer {token}"})


def acted(house: Engine, number: int, rule: str, **evidence: Any) -> ActionRecord:
    plan = replace(PLAN, rule=rule, incident_id=f"inc-{number}", evidence=evidence)
    record = ActionRecord(
        id=f"act-{number}", state=ActionState.SUCCEEDED, plan=plan, created_at=NOON, updated_at=NOON, requester=rule,
        correlation_id="cor", token=number,
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.actions.save(record, reason="done", at=NOON)
    return record


def switched(house: Engine, number: int, to: str, seconds: int) -> None:
    record = acted(house, number, "maps_failover", link="maps", impact={"direction": f"switch:{to}"})
    settings, at = house.remediation.remediator.settings, house.clock.now() + timedelta(seconds=seconds)
    with house.state.begin() as unit:
        book.link_served(unit, record.plan, settings, at, severity="P1")


def test_a_link_tells_its_switches_flaps_costs_pin_and_what_the_way_back_waits_for(
    house: Engine, api: TestClient
) -> None:
    switched(house, 1, "b", -3600)
    switched(house, 2, "a", -60)
    switched(house, 3, "b", -30)  # within the flap window of the one before
    pinned = api.post("/api/wk/links/maps/pin", json={"side": "backup", "reason": "contract"})
    assert pinned.status_code == 200
    (link,) = api.get("/api/wk/links").json()["links"]
    assert (link["serving"], link["switches"], link["flaps"]) == ("backup", 3, 1)
    assert link["costs"] == {"primary": 1.0, "backup": 2.5}
    assert (link["pinned"]["side"], link["pinned"]["reason"]) == ("backup", "contract")
    assert [(one["to"], one["state"]) for one in link["history"]] == [
        ("b", "succeeded"), ("a", "succeeded"), ("b", "succeeded")
    ]  # fmt: skip
    assert link["rules"] == [{"name": "maps_failover", "mode": "auto", "declared": False}]
    assert link["flapping"]["limit"] == 5
    assert link["way_back"]["good_needed"] == 10
    assert house.remediation.link_counts("maps") == (3, 1)


def test_the_way_back_counts_dwell_good_probes_and_half_open() -> None:
    link = Link(**LINK)
    state = LinkState(
        phase=Phase.HALF_OPEN, since=NOON - timedelta(minutes=4), half_open_since=NOON - timedelta(minutes=1),
        primary=(False, True, True), backup=(True,),
    )  # fmt: skip
    found = way_back(link, state, NOON)
    assert found["dwell_left_seconds"] == 360
    assert found["half_open_left_seconds"] == 240
    assert found["good_in_a_row"] == 2
    assert way_back(link, LinkState(), NOON)["dwell_left_seconds"] == 0


def test_a_ladder_tells_its_level_its_time_and_which_conditions_hold(house: Engine, api: TestClient) -> None:
    acted(house, 1, "planner:CACHED")
    (ladder,) = api.get("/api/wk/links").json()["ladders"]
    assert (ladder["level"], ladder["time_seconds"], ladder["budget_seconds"]) == (1, 30.0, 30.0)
    assert [(one["name"], one["entered"], one["left"]) for one in ladder["levels"]] == [
        ("FULL", None, None), ("CACHED", True, False), ("TEMPLATE", False, None)
    ]  # fmt: skip
    assert [(one["to"], one["action"]) for one in ladder["history"]] == [("CACHED", "act-1")]


def test_counts_of_a_link_stay_as_last_known_while_the_database_does_not_answer(
    house: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched(house, 1, "b", -60)
    assert house.remediation.link_counts("maps") == (1, 0)

    def silent() -> Any:
        raise StoreError("the database does not answer")

    monkeypatch.setattr(house.remediation.state, "read", silent)
    assert house.remediation.link_counts("maps") == (1, 0)


def test_a_pool_tells_what_each_rule_sees_wants_and_waits_for(house: Engine, api: TestClient) -> None:
    remediator = house.remediation.remediator
    reading = Reading(state={}, epoch="e", capacity={"total": 3.0, "healthy": 3.0})
    remediator._read["jobs"] = (NOON, reading, "")
    acted(house, 1, "more", scale={"load": 300.0, "running": 2, "needed": 8, "count": 3})
    (pool,) = api.get("/api/wk/scaling").json()["pools"]
    assert (pool["target"], pool["kind"], pool["running"], pool["floor"], pool["ceiling"]) == (
        "jobs", "supervisord", 3.0, 2, 8
    )  # fmt: skip
    more, fewer = pool["rules"]
    assert (more["load"], more["needed"], more["wanted"], more["most"]) == (300.0, 8, 6, 6)  # the ceiling of cost
    assert (more["cost"], more["ceiling"]) == (1.5, 3.0)
    assert "budget guard" in more["guard"]
    assert (fewer["load"], fewer["wanted"]) == (None, None)
    assert "must be one number" in fewer["unknown"][0]
    assert fewer["stabilisation_seconds"] == 300.0
    (decision,) = pool["decisions"]
    assert (decision["rule"], decision["scale"]["count"], decision["state"]) == ("more", 3, "succeeded")


def test_a_pool_that_cannot_be_read_or_that_somebody_else_scales_says_so(house: Engine, api: TestClient) -> None:
    house.remediation.remediator._read["jobs"] = (NOON, None, "an autoscaler governs it")
    with house.state.begin() as unit:
        unit.documents.put(
            book.TARGET_KEY + "jobs", book.Seen(epoch="e", foreign_at=NOON - timedelta(minutes=10)).to_json(), at=NOON
        )
    (pool,) = api.get("/api/wk/scaling").json()["pools"]
    assert (pool["running"], pool["problem"]) == (None, "an autoscaler governs it")
    assert pool["hands_off_seconds"] == pytest.approx(1200.0)
    assert "it is not known how many run" in pool["rules"][0]["unknown"]
    assert pool["rules"][0]["wanted"] is None


def test_the_way_back_of_a_pool_shows_the_longer_rest_that_it_will_be_refused_for(
    house: Engine, api: TestClient
) -> None:
    done, now = acted(house, 1, "more", impact={"direction": "out"}), house.clock.now()
    with house.state.begin() as unit:
        unit.actions.commit_intent(done, "execute", "jobs", now)
    (pool,) = api.get("/api/wk/scaling").json()["pools"]
    more, fewer = pool["rules"]
    assert (more["cooldown_seconds"], fewer["cooldown_seconds"]) == (600.0, 1200.0)
    assert fewer["cooldown_left_seconds"] == pytest.approx(1200.0, abs=60.0)
