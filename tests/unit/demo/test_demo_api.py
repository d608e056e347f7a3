"""The demo's API: operators break and heal, every word is audited, and a fault leads to its incident."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.engines import engine
from typer.testing import CliRunner

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.api.demo import router_of
from watchkeeper.app.cli import app
from watchkeeper.app.client import Client
from watchkeeper.app.demo.faults import FAULTS, Faults
from watchkeeper.app.demo.place import Place
from watchkeeper.app.engine import Engine
from watchkeeper.errors import ConfigError
from watchkeeper.model import Alert, AlertState, Severity


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path / "demo")
    found.claim().close()
    found.begin()
    offered = [name for name in FAULTS if name != "checkout-primary"]
    found.tell({"faults": offered, "missing": ["haproxy is not installed"], "seeded_orders": 7})
    return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


@pytest.fixture
def api(house: Engine, place: Place) -> Iterator[TestClient]:
    with TestClient(create(house, [router_of(place)])) as client:
        yield client


def bearer(house: Engine, role: Role = Role.OPERATOR) -> dict[str, str]:
    token, _ = create_system_token(house.state, f"test-{role}", role, now=house.clock.now())
    return {"Authorization": f"Bearer {token}"}


def test_an_ordinary_engine_has_no_such_routes(house: Engine) -> None:
    with TestClient(create(house)) as client:
        assert client.get("/api/wk/demo", headers=bearer(house)).status_code == 404
        assert client.post("/api/wk/demo/break", headers=bearer(house), json={"name": "slow-api"}).status_code == 404


def test_nobody_looks_without_a_token_and_a_viewer_does_not_break(api: TestClient, house: Engine, place: Place) -> None:
    assert api.get("/api/wk/demo").status_code == 401
    viewer = bearer(house, Role.VIEWER)
    assert api.get("/api/wk/demo", headers=viewer).status_code == 200
    for verb in ("break", "heal"):
        assert api.post(f"/api/wk/demo/{verb}", headers=viewer, json={"name": "slow-api"}).status_code == 403
    assert not Faults(place.faults).on("slow-api")


def test_breaking_and_healing_are_done_and_audited(api: TestClient, house: Engine, place: Place) -> None:
    who = bearer(house)
    assert api.post("/api/wk/demo/break", headers=who, json={"name": "slow-api"}).status_code == 200
    assert Faults(place.faults).on("slow-api")
    (row,) = [row for row in api.get("/api/wk/demo", headers=who).json()["faults"] if row["name"] == "slow-api"]
    assert row["on"]
    assert row["since"] < row["ends_at"]
    assert api.post("/api/wk/demo/heal", headers=who, json={"name": "slow-api"}).json()["was_on"]
    assert not api.post("/api/wk/demo/heal", headers=who, json={"name": "slow-api"}).json()["was_on"]
    with house.state.read() as unit:
        audited = [(row.action, row.subject) for row in unit.audit.newest(10)]
    assert audited.count(("demo.broken", "slow-api")) == 1
    assert audited.count(("demo.healed", "slow-api")) == 2


@pytest.mark.parametrize(("name", "why"), [("nobody", "there is no fault"), ("checkout-primary", "needs haproxy")])
def test_what_cannot_be_broken_here_is_refused_with_the_reason(
    api: TestClient, house: Engine, name: str, why: str
) -> None:
    answer = api.post("/api/wk/demo/break", headers=bearer(house), json={"name": name})
    assert answer.status_code == 400
    assert why in answer.json()["error"]


def test_a_fault_leads_to_the_newest_incident_of_its_alerts(api: TestClient, house: Engine) -> None:
    now = house.clock.now()
    with house.state.begin() as unit:
        for number, fault in ((1, "slow-api"), (2, "log-storm")):
            unit.alerts.save(
                Alert(
                    id=f"alert-{number}", fingerprint=str(number), rule="R", group="g", expr="x", annotations={},
                    labels={"demo_fault": fault}, state=AlertState.FIRING, severity=Severity.P1, value=1.0,
                    active_at=now, fired_at=now, incident_id=f"inc-{number}",
                ),
                reason="condition_held", at=now,
            )  # fmt: skip
    rows = {row["name"]: row for row in api.get("/api/wk/demo", headers=bearer(house)).json()["faults"]}
    assert rows["slow-api"]["incident_id"] == "inc-1"
    assert rows["log-storm"]["incident_id"] == "inc-2"
    assert rows["log-storm"]["alert_state"] == "firing"
    assert rows["disk-fill"]["incident_id"] == ""
    assert "checkout-primary" not in rows


def test_the_robots_messages_are_shown_newest_first(api: TestClient, house: Engine, place: Place) -> None:
    with place.messages.open("w") as out:
        for number in (1, 2):
            out.write(json.dumps({"at": float(number), "kind": "wecom", "title": "", "text": str(number)}) + "\n")
    found = api.get("/api/wk/demo", headers=bearer(house)).json()
    assert [(one["text"], one["at"]) for one in found["messages"]] == [
        ("2", "1970-01-01T00:00:02Z"),
        ("1", "1970-01-01T00:00:01Z"),
    ]
    assert found["missing"] == ["haproxy is not installed"]
    assert found["seeded_orders"] == 7


# --- the command line ---


def test_faults_are_listed_with_what_to_expect() -> None:
    said = CliRunner().invoke(app, ["demo", "faults"]).output
    for fault in FAULTS.values():
        assert fault.name in said
        assert fault.expect in said


def test_breaking_without_a_running_demo_says_how_to_start_one(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["demo", "--data", str(tmp_path), "break", "slow-api"])
    assert isinstance(found.exception, ConfigError)
    assert "start one with `watchkeeper demo`" in str(found.exception)


def test_a_fault_that_does_not_exist_is_named(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["demo", "--data", str(tmp_path), "break", "everything"])
    assert "there is no fault 'everything'" in str(found.exception)


def test_break_and_heal_ask_the_engine(
    api: TestClient, house: Engine, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = bearer(house)

    class Over:
        """The engine of this test instead of one behind a port."""

        def post(self, path: str, body: dict[str, str]) -> dict[str, object]:
            found: dict[str, object] = api.post(path, headers=who, json=body).json()
            return found

    monkeypatch.setattr(Client, "of", lambda _data: Over())
    said = CliRunner().invoke(app, ["demo", "--data", str(place.root), "break", "log-storm"]).output
    assert "It ends by itself after 600 s." in said
    assert Faults(place.faults).on("log-storm")
    assert "healed" in CliRunner().invoke(app, ["demo", "--data", str(place.root), "heal", "log-storm"]).output
    assert "was not on" in CliRunner().invoke(app, ["demo", "--data", str(place.root), "heal", "log-storm"]).output
