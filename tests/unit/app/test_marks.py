"""Deeds stand on the charts of their time, and what was changed just before an incident is told with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.engines import NOON, engine

from incidents.telling import Change
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.blame import changes_known
from watchkeeper.clock import to_ms
from watchkeeper.model import Incident, IncidentState, Severity

DESK = {"kind": "console", "name": "desk", "language": "en"}
CHANNEL = {"notify": {"channels": [DESK], "routes": [{"channels": ["desk"]}]}}
INCIDENT = Incident(
    id="inc-1", state=IncidentState.OPENED, severity=Severity.P1, title="slow", group_key="k",
    labels={"service": "shop"}, opened_at=NOON, alert_ids=(), correlation_id="corr-1",
)  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, **CHANNEL) as made:
        yield made


@pytest.fixture
def api(house: Engine) -> Iterator[TestClient]:
    token, _ = create_system_token(house.state, "test", Role.WRITER, now=NOON)
    with TestClient(create(house), headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def tell(api: TestClient, kind: str, minutes_ago: int, **more: Any) -> None:
    start = (NOON - timedelta(minutes=minutes_ago)).isoformat()
    body = {"kind": kind, "title": f"{kind} of it", "start": start, **more}
    assert api.post("/api/wk/events", json=body).status_code == 201


def marks(api: TestClient, **query: Any) -> list[tuple[str, str]]:
    asked = {
        "expr": "vector(1)",
        "start_ms": to_ms(NOON) - 3_600_000,
        "end_ms": to_ms(NOON),
        "step_ms": 60_000,
        **query,
    }
    found = api.get("/api/wk/chart", params=asked).json()["marks"]
    return [(row["kind"], row["status"]) for row in found]


def test_a_chart_names_what_was_done_meanwhile_each_deed_once(api: TestClient) -> None:
    tell(api, "deploy", 20, service="shop", version="1.4", status="running")
    tell(api, "deploy", 20, service="shop", version="1.4", end=(NOON - timedelta(minutes=18)).isoformat())
    tell(api, "backup", 10, service="orders-db")
    tell(api, "freeze", 5)
    tell(api, "deploy", 90, service="shop", version="1.3")
    tell(api, "alert", 3, service="shop")
    tell(api, "change", 2, service="shop", status="planned")
    assert marks(api) == [("deploy", "ok"), ("backup", "ok"), ("freeze", "ok")]
    assert marks(api, service="shop") == [("deploy", "ok"), ("freeze", "ok")]
    named = 'label_replace(vector(1), "service", "orders-db", "", "")'
    assert marks(api, expr=named) == [("backup", "ok"), ("freeze", "ok")]


def test_an_incident_that_begins_after_a_change_carries_it_in_list_and_message(house: Engine, api: TestClient) -> None:
    tell(api, "deploy", 20, service="shop", version="1.4", actor="lin", link="https://ci.example.com/7")
    tell(api, "deploy", 10, service="shop", version="1.5", status="planned")
    with house.state.begin() as unit:
        unit.incidents.save(INCIDENT, reason="opened", at=NOON)
        change = Change(kind="firing", reason="new", incident=INCIDENT, alerts=(), key="inc-1/1/firing")
        assert house.telling.about_incidents(NOON, unit, [change]) == 1
        (sent,) = unit.outbox.of_subject("inc-1")
    (row,) = api.get("/api/wk/incidents").json()["incidents"]
    assert [(one["version"], one["whose"]) for one in row["changes"]] == [("1.4", "own")]
    assert changes_known(house, INCIDENT) == row["changes"]
    assert any("20 min before: deploy “deploy of it” (shop · 1.4 · lin)" in line for line in sent.message.lines)
    assert "https://ci.example.com/7" in sent.message.links.values()
