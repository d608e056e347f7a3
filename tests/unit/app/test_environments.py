"""A user kept to TEST changes nothing of PROD, and nothing of which nobody knows the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from support.engines import NOON, add_user, engine
from support.remedies import PLAN

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_token
from watchkeeper.app.api import environments
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.model import (
    ActionRecord,
    ActionState,
    Alert,
    AlertState,
    Incident,
    IncidentState,
    Severity,
)

SERVICES = [
    {"name": "shop-test", "environment": "TEST"},
    {"name": "shop", "environment": "PROD"},
    {"name": "odd", "environment": "LAB"},
    {"name": "bare"},
]
REMEDY = {"when": "up == 0", "action": "haproxy", "target": "web", "verify": "up == 0"}
RULES = {"remediations": [{**REMEDY, "name": f"restart-{one}", "service": one} for one in ("shop-test", "shop", "")]}


class House:
    def __init__(self, found: Engine) -> None:
        self.engine, self.api, self.count = found, TestClient(create(found), raise_server_exceptions=False), 0
        self.tokens = {}
        for user, role in (("lin", Role.OPERATOR), ("ada", Role.ADMIN), ("max", Role.ADMIN)):
            add_user(found, user, role)
            self.tokens[user], _ = create_token(
                found.state, name=user, user=user, role=role, lifetime=timedelta(days=1), now=NOON, actor="test"
            )

    def asks(self, user: str, path: str, body: Any = None, method: str = "POST") -> int:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"}
        return self.api.request(method, path, json=body or {}, headers=headers).status_code

    def incident(self, *labels: dict[str, str]) -> str:
        """An incident that is not answered, with an alert of each of these."""
        self.count += 1
        name = f"inc-{self.count}"
        with self.engine.state.begin() as unit:
            for place, some in enumerate(labels):
                alert = Alert(
                    id=f"alert-{self.count}{place}", fingerprint=f"{name}.{place}", rule="g/Down", group="g", expr="up",
                    labels=some, annotations={}, state=AlertState.FIRING, severity=Severity.P1, value=0.0,
                    active_at=NOON, fired_at=NOON, incident_id=name,
                )  # fmt: skip
                unit.alerts.save(alert, reason="test", at=NOON)
            found = Incident(
                id=name, state=IncidentState.OPENED, severity=Severity.P1, title="t", group_key=name, labels={},
                opened_at=NOON,
            )  # fmt: skip
            unit.incidents.save(found, reason="test", at=NOON)
        return name

    def action(self, rule: str, incident: str = "") -> tuple[str, dict[str, str]]:
        self.count += 1
        plan = replace(PLAN, rule=rule, incident_id=incident)
        row = ActionRecord(
            id=f"act-{self.count}", state=ActionState.AWAITING_APPROVAL, plan=plan, created_at=NOON, updated_at=NOON,
            requester=rule, correlation_id="cor",
        )  # fmt: skip
        with self.engine.state.begin() as unit:
            unit.actions.save(row, reason="waits", at=NOON)
        return row.id, {"plan_hash": plan.digest()}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    limits = {"environments": {"Lin": ["DEV", "TEST"], "max": ["TEST"], "ada": [], "lyn": ["TEST"]}}
    folder = tmp_path_factory.mktemp("house")
    (folder / "rules").mkdir()
    (folder / "rules" / "shop.yaml").write_text(yaml.safe_dump(RULES), encoding="utf-8")
    with engine(folder, access=limits, catalogue={"services": SERVICES}) as found:
        yield House(found)


def test_a_limit_of_somebody_who_has_no_account_is_known(house: House) -> None:
    assert environments.strangers(house.engine) == ["lyn"]


@pytest.mark.parametrize(
    ("labels", "status"),
    [
        ([{"service": "shop-test"}], 200),
        ([{"service": "shop-test", "environment": "TEST"}], 200),
        ([{"service": "shop"}], 403),
        ([{"service": "shop-test"}, {"service": "shop"}], 403),
        ([{"service": "shop-test", "environment": "PROD"}], 403),
        ([{"service": "nobody"}], 403),
        ([{"service": "odd"}], 403),
        ([{"service": "bare"}], 403),
        ([{"environment": "TEST"}], 403),
        ([{}], 403),
        ([], 403),
    ],
)
def test_an_incident_is_of_every_service_in_it(house: House, labels: list[dict[str, str]], status: int) -> None:
    incident = house.incident(*labels)
    assert house.asks("lin", f"/api/wk/incidents/{incident}/note", {"text": "x"}) == status
    assert house.asks("lin", f"/api/wk/incidents/{incident}/acknowledge") == status
    assert house.asks("ada", f"/api/wk/incidents/{incident}/note", {"text": "x"}) == 200


@pytest.mark.parametrize(
    ("matchers", "status"),
    [
        ([["service", "=", "shop-test"]], 201),
        ([["environment", "=", "TEST"]], 201),
        ([["environment", "=", "TEST"], ["service", "=~", "shop.*"]], 201),
        ([["service", "=", "shop"]], 403),
        ([["service", "=", "shop"], ["environment", "=", "TEST"]], 403),
        ([["service", "=~", "shop-test"]], 403),
        ([["service", "!=", "shop"]], 403),
        ([["environment", "=", "PROD"]], 403),
        ([["environment", "=", ""]], 403),
        ([["environment", "!=", "PROD"]], 403),
        ([["alertname", "=", "Down"]], 403),
    ],
)
def test_a_silence_says_by_equality_what_it_is_of(house: House, matchers: list[list[str]], status: int) -> None:
    body = {"matchers": matchers, "duration": "1h", "comment": "x"}
    assert house.asks("lin", "/api/wk/silences", body) == status
    answer = house.api.post("/api/wk/silences", json=body, headers={"Authorization": f"Bearer {house.tokens['ada']}"})
    path = f"/api/wk/silences/{answer.json()['id']}"
    assert (house.asks("lin", path, method="DELETE") == 200) is (status == 201)
    assert house.asks("ada", path, method="DELETE") == 200


@pytest.mark.parametrize(
    ("rule", "labels", "status"),
    [
        ("restart-shop-test", None, 200),
        ("restart-shop-test", {"service": "shop-test"}, 200),
        ("restart-shop-test", {"service": "shop"}, 403),
        ("restart-shop", {"service": "shop-test"}, 403),
        ("restart-", {"service": "shop-test"}, 403),
        ("gone", {"service": "shop-test"}, 403),
    ],
)
def test_an_action_is_of_its_rule_and_of_its_incident(
    house: House, rule: str, labels: dict[str, str] | None, status: int
) -> None:
    action, word = house.action(rule, house.incident(labels) if labels else "")
    assert house.asks("lin", f"/api/wk/actions/{action}/approve", word) == status
    assert house.asks("lin", f"/api/wk/actions/{action}/reject", word) == status
    assert house.asks("ada", f"/api/wk/actions/{action}/reject", word) == 200


def test_what_belongs_to_the_whole_engine_counts_as_prod(house: House) -> None:
    for path, body in (
        ("/api/wk/kill-switch", {"on": False, "reason": "x"}),
        ("/api/wk/rules/restart-shop/declare", {"reason": "x"}),
        ("/api/wk/links/none/pin", {"side": "backup", "reason": "x"}),
        ("/api/wk/plans/none/start", {"reason": "x"}),
        ("/api/wk/reload", {}),
    ):
        assert house.asks("max", path, body) == 403, path
        assert house.asks("ada", path, body) != 403, path


def test_reading_and_stopping_everything_are_not_limited(house: House) -> None:
    for path in ("/api/wk/incidents", "/api/wk/silences", "/api/wk/actions"):
        assert house.asks("lin", path, method="GET") == 200
    assert house.asks("lin", "/api/wk/audit/verify") == 200
    assert house.asks("lin", "/api/wk/kill-switch", {"on": True, "reason": "fire"}) == 200


def test_a_refusal_says_why_and_stands_in_the_audit(house: House) -> None:
    path = f"/api/wk/incidents/{house.incident({'service': 'shop'})}/acknowledge"
    answer = house.api.post(path, json={}, headers={"Authorization": f"Bearer {house.tokens['lin']}"})
    assert answer.json()["error"] == "lin may change DEV, TEST only; this is PROD"
    with house.engine.state.read() as unit:
        row = [one for one in unit.audit.rows() if one.action == "refuse_environment"][-1]
    assert (row.actor, row.subject) == ("lin", f"POST {path}")
    assert row.detail == {"environments": ["PROD"], "allowed": ["DEV", "TEST"]}
