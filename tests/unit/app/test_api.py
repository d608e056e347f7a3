"""The engine's API over a composed engine: every route guarded, every shape as docs/api.md says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from support.engines import PASSWORD, add_user, clock_of, engine

from watchkeeper.access.roles import Role
from watchkeeper.access.setup import new_setup_secret
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.clock import to_ms
from watchkeeper.model import (
    ActionRecord,
    ActionState,
    Alert,
    AlertState,
    Incident,
    IncidentState,
    Layout,
    Mode,
    Plan,
    RiskClass,
    Severity,
    Target,
    Tick,
    labels,
)

OPEN = {"/-/healthy", "/-/ready", "/api/wk/setup", "/api/wk/login"}
RULES = """
groups:
  - name: g
    rules:
      - {alert: Hot, expr: temperature > 50, labels: {severity: critical}}
      - {record: warm, expr: temperature * 2}
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(RULES)
    with engine(tmp_path) as found:
        found.judging.start(found.clock.now())
        yield found


@pytest.fixture
def api(house: Engine) -> Iterator[TestClient]:
    with TestClient(create(house)) as client:
        yield client


def bearer(house: Engine, role: Role = Role.ADMIN) -> dict[str, str]:
    token, _ = create_system_token(house.state, f"test-{role}", role, now=house.clock.now())
    return {"Authorization": f"Bearer {token}"}


def signed_in(api: TestClient, name: str) -> dict[str, str]:
    found = api.post("/api/wk/login", json={"name": name, "password": PASSWORD}).json()
    return {"Authorization": f"Session {found['session']}", "X-CSRF-Token": found["csrf"]}


def feed(house: Engine, *values: float, name: str = "temperature") -> None:
    """Samples every 15 s that end now."""
    layout = Layout((labels(name, job="a", service="shop"),))
    now = to_ms(house.clock.now())
    for index, value in enumerate(values):
        at = now - 15_000 * (len(values) - 1 - index)
        house.samples.append(Tick(target="t", time_ms=at, layout=layout, values=np.array([value])))


def incident(house: Engine) -> None:
    now = house.clock.now()
    alert = Alert(
        id="alert-1", fingerprint="f", rule="Hot", group="g", expr="temperature > 50", labels={"service": "shop"},
        annotations={"summary": "hot"}, state=AlertState.FIRING, severity=Severity.P1, value=60.0, active_at=now,
        fired_at=now, incident_id="inc-1", correlation_id="corr-1",
    )  # fmt: skip
    row = Incident(
        id="inc-1", state=IncidentState.OPENED, severity=Severity.P1, title="hot", group_key="k",
        labels={"service": "shop"}, opened_at=now, alert_ids=("alert-1",), correlation_id="corr-1",
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.alerts.save(alert, reason="condition_held", at=now)
        unit.incidents.save(row, reason="opened", at=now)


def waiting_action(house: Engine, risk: RiskClass = RiskClass.A1) -> ActionRecord:
    now = house.clock.now()
    plan = Plan(
        action="haproxy", rule="drain", rule_version="1", incident_id="inc-1",
        targets=(Target(kind="haproxy", name="web"),), desired={"web1": {"state": "drain"}},
        before={"web1": {"state": "ready"}}, rollback={"web1": {"state": "ready"}}, parameters={"web1": "drain"},
        verify="up == 0", risk=risk, mode=Mode.APPROVE, reason="web1 is bad",
    )  # fmt: skip
    record = ActionRecord(
        id="act-1", state=ActionState.AWAITING_APPROVAL, plan=plan, created_at=now, updated_at=now, requester="drain",
        correlation_id="corr-1", progress={"verdicts": [{"gate": "fresh", "passed": True, "reason": "ok"}]},
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.actions.save(record, reason="needs_approval", at=now)
    return record


def api_routes(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Every route, those of included routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            yield from api_routes(getattr(inner, "routes", []))


def test_every_route_but_the_open_ones_refuses_a_stranger(house: Engine, api: TestClient) -> None:
    routes = list(api_routes(create(house).routes))
    assert len(routes) > 40
    for route in routes:
        path = re.sub(r"\{\w+\}", "x", route.path)
        for method in route.methods or ():
            answer = api.request(method, path, json={})
            if route.path in OPEN:
                assert answer.status_code != 401, route.path
            else:
                assert answer.status_code == 401, (method, route.path, answer.text)


@pytest.mark.parametrize("path", ["/api/wk//overview", "/API/wk/overview", "/api/wk/overview/", "/api/wk/%2e/overview"])
def test_odd_spellings_open_nothing(api: TestClient, path: str) -> None:
    assert api.get(path, follow_redirects=False).status_code in (401, 404, 307)


def test_health_needs_nobody(api: TestClient) -> None:
    assert api.get("/-/healthy").status_code == 200
    assert api.get("/-/ready").status_code == 503


def test_the_first_account_needs_the_secret_and_it_works_once(house: Engine, api: TestClient) -> None:
    assert api.get("/api/wk/setup").json() == {"needed": True}
    secret = new_setup_secret(house.state, house.clock.now())
    body = {"secret": "wrong", "name": "lin", "password": PASSWORD}
    assert api.post("/api/wk/setup", json=body).status_code == 403
    assert api.post("/api/wk/setup", json={**body, "secret": secret, "password": "short"}).status_code == 400
    assert api.post("/api/wk/setup", json={**body, "secret": secret}).status_code == 201
    assert api.post("/api/wk/setup", json={**body, "secret": secret, "name": "eve"}).status_code == 403
    assert api.get("/api/wk/setup").json() == {"needed": False}


def test_sign_in_session_preferences_and_sign_out(house: Engine, api: TestClient) -> None:
    add_user(house, "lin", Role.OPERATOR)
    assert api.post("/api/wk/login", json={"name": "lin", "password": "wrong wrong wrong"}).status_code == 401
    headers = signed_in(api, "lin")
    assert api.get("/api/wk/session", headers=headers).json()["user"]["role"] == "operator"
    changed = api.patch("/api/wk/session", headers=headers, json={"language": "zh-CN"})
    assert changed.json()["user"]["language"] == "zh-CN"
    assert api.patch("/api/wk/session", headers={**headers, "X-CSRF-Token": "x"}, json={}).status_code == 403
    assert api.post("/api/wk/logout", headers=headers).json() == {"ended": True}
    assert api.get("/api/wk/session", headers=headers).status_code == 401


def test_guessing_is_slowed_down(house: Engine, api: TestClient) -> None:
    add_user(house, "lin", Role.VIEWER)
    codes = [
        api.post("/api/wk/login", json={"name": "lin", "password": f"guess number {n}"}).status_code for n in range(8)
    ]
    assert 429 in codes
    refused = api.post("/api/wk/login", json={"name": "lin", "password": PASSWORD})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


def test_users_and_tokens_are_the_administrators_business(house: Engine, api: TestClient) -> None:
    add_user(house, "root-user", Role.ADMIN)
    admin, viewer = signed_in(api, "root-user"), bearer(house, Role.VIEWER)
    new = {"name": "wang", "role": "operator", "password": PASSWORD}
    assert api.post("/api/wk/users", headers=viewer, json=new).status_code == 403
    assert api.post("/api/wk/users", headers=admin, json=new).status_code == 201
    assert [row["name"] for row in api.get("/api/wk/users", headers=admin).json()["users"]] == ["root-user", "wang"]
    edited = api.patch("/api/wk/users/wang", headers=admin, json={"role": "viewer", "disabled": True})
    assert edited.json()["user"]["role"] == "viewer"
    assert api.patch("/api/wk/users/root-user", headers=admin, json={"role": "viewer"}).status_code >= 400
    token = api.post("/api/wk/tokens", headers=admin, json={"name": "grafana", "days": 30}).json()["token"]
    machine = {"Authorization": f"Bearer {token}"}
    assert api.get("/api/wk/overview", headers=machine).status_code == 200
    (row,) = [row for row in api.get("/api/wk/tokens", headers=admin).json()["tokens"] if row["name"] == "grafana"]
    assert api.delete(f"/api/wk/tokens/{row['id_hash']}", headers=admin).status_code == 204
    assert api.get("/api/wk/overview", headers=machine).status_code == 401


def test_prometheus_clients_get_prometheus_answers(house: Engine, api: TestClient) -> None:
    feed(house, 10.0, 20.0, 30.0)
    headers, now = bearer(house, Role.VIEWER), house.clock.now().timestamp()
    instant = api.get("/api/v1/query", headers=headers, params={"query": "temperature"}).json()
    assert instant["status"] == "success"
    assert instant["data"]["result"][0]["value"][1] == "30"
    ranged = api.post(
        "/api/v1/query_range",
        headers=headers,
        data={"query": "temperature", "start": now - 30, "end": now, "step": "15s"},
    ).json()
    assert [value for _, value in ranged["data"]["result"][0]["values"]] == ["10", "20", "30"]
    wrong = api.get("/api/v1/query", headers=headers, params={"query": "sum("})
    assert (wrong.status_code, wrong.json()["errorType"]) == (400, "bad_data")
    assert api.get("/api/v1/query", headers=headers).json()["errorType"] == "bad_data"
    assert api.get("/api/v1/labels", headers=headers).json()["data"] == ["__name__", "job", "service"]
    assert api.get("/api/v1/label/job/values", headers=headers).json()["data"] == ["a"]
    assert api.get("/api/v1/label/a-b/values", headers=headers).status_code == 400
    series = api.get("/api/v1/series", headers=headers, params={"match[]": "temperature"}).json()["data"]
    assert series == [{"__name__": "temperature", "job": "a", "service": "shop"}]
    assert api.get("/api/v1/series", headers=headers).status_code == 400
    assert api.get("/api/v1/status/buildinfo", headers=headers).json()["data"]["version"].startswith("3.")
    assert api.get("/api/v1/status/runtimeinfo", headers=headers).json()["data"]["timeSeriesCount"] == 1
    assert {row["name"] for row in api.get("/api/v1/rules", headers=headers).json()["data"]["groups"][0]["rules"]} == {
        "Hot",
        "warm",
    }
    assert api.get("/api/v1/targets", headers=headers).json()["data"]["activeTargets"][0]["scrapePool"] == "watchkeeper"
    assert api.get("/api/v1/metadata", headers=headers).json()["data"] == {}


@pytest.mark.parametrize(
    "params",
    [
        {"query": "up", "start": "0", "end": "1"},
        {"query": "up", "start": "x", "end": "1", "step": "1"},
        {"query": "up", "start": "2", "end": "1", "step": "1"},
        {"query": "up", "start": "0", "end": "1", "step": "0"},
        {"query": "up", "start": "0", "end": "1", "step": "soon"},
        {"query": "up", "end": "1", "step": "1"},
        {"query": "up", "start": "0", "end": "1000000", "step": "1"},
    ],
)
def test_wrong_ranges_are_bad_data(house: Engine, api: TestClient, params: dict[str, str]) -> None:
    answer = api.get("/api/v1/query_range", headers=bearer(house), params=params)
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "bad_data"


def test_alerts_are_listed_as_prometheus_lists_them(house: Engine, api: TestClient) -> None:
    incident(house)
    (row,) = api.get("/api/v1/alerts", headers=bearer(house)).json()["data"]["alerts"]
    assert (row["state"], row["value"]) == ("firing", "6e+01")


def test_the_overview_says_what_is_missing_and_what_is_there(house: Engine, api: TestClient) -> None:
    feed(house, 0.2, 0.3, 0.4, name="cpu_usage")
    body = api.get("/api/wk/overview", headers=bearer(house)).json()
    signals = {row["key"]: row for row in body["signals"]}
    assert signals["cpu_usage"]["value"] == 0.4
    assert signals["cpu_usage"]["age_seconds"] == 0.0
    assert not signals["cpu_usage"]["stale"]
    assert signals["cpu_usage"]["points"][-1][1] == 0.4
    assert signals["cache_hit_rate"]["missing"] == "redis_exporter"
    assert signals["cache_hit_rate"]["value"] is None
    assert len(signals) == 8
    clock_of(house).advance(timedelta(minutes=3))
    again = api.get("/api/wk/overview", headers=bearer(house)).json()
    assert {row["key"]: row["stale"] for row in again["signals"]}["cpu_usage"] is True


def test_a_chart_has_its_expected_band(house: Engine, api: TestClient) -> None:
    feed(house, *[float(10 + n % 3) for n in range(200)])
    now = to_ms(house.clock.now())
    query: dict[str, Any] = {"expr": "temperature", "start_ms": now - 2_900_000, "end_ms": now, "step_ms": 15_000}
    (row,) = api.get("/api/wk/chart", headers=bearer(house), params=query).json()["series"]
    assert len(row["points"]) == len(row["expected"]) == len(row["score"])
    assert row["expected"][-1] is not None
    wrong = api.get("/api/wk/chart", headers=bearer(house), params={**query, "expr": "sum("}).json()
    assert wrong["series"] == []
    assert wrong["error"]


def test_a_question_tells_its_cost_before_it_is_asked(house: Engine, api: TestClient) -> None:
    feed(house, *[float(n) for n in range(200)])
    now = to_ms(house.clock.now())
    query: dict[str, Any] = {"expr": "sum(temperature)", "start_ms": now - 600_000, "end_ms": now, "step_ms": 60_000}
    told = api.get("/api/wk/query-cost", headers=bearer(house), params=query)
    assert (told.status_code, told.json()["steps"], told.json()["over"]) == (200, 11, False)
    assert [one["series"] for one in told.json()["selectors"]] == [1]
    assert api.get("/api/wk/query-cost", params=query).status_code == 401
    for wrong, status in (({"expr": "sum("}, 400), ({"start_ms": now + 1}, 422)):
        assert api.get("/api/wk/query-cost", headers=bearer(house), params={**query, **wrong}).status_code == status


def test_incidents_are_read_acknowledged_noted_and_explained(house: Engine, api: TestClient) -> None:
    incident(house)
    waiting_action(house)
    add_user(house, "lin", Role.OPERATOR)
    operator, viewer = signed_in(api, "lin"), bearer(house, Role.VIEWER)
    assert [row["id"] for row in api.get("/api/wk/incidents", headers=viewer).json()["incidents"]] == ["inc-1"]
    path = "/api/wk/incidents/inc-1"
    assert api.post(f"{path}/acknowledge", headers=viewer, json={}).status_code == 403
    assert api.post(f"{path}/acknowledge", headers=operator, json={"note": "mine"}).status_code == 200
    assert api.post(f"{path}/acknowledge", headers=operator, json={}).status_code == 409
    assert api.post(f"{path}/note", headers=operator, json={"text": "looking at the queue"}).status_code == 200
    story = api.get(path, headers=viewer).json()
    assert story["incident"]["acknowledged_by"] == "lin"
    assert [row["id"] for row in story["alerts"]] == ["alert-1"]
    assert [row["id"] for row in story["actions"]] == ["act-1"]
    assert "looking at the queue" in json.dumps(story["timeline"])
    assert api.get("/api/wk/incidents/inc-9", headers=viewer).status_code == 404
    assert api.post("/api/wk/incidents/inc-9/acknowledge", headers=operator, json={}).status_code == 404
    assert api.post("/api/wk/incidents/inc-9/note", headers=operator, json={"text": "x"}).status_code == 404
    for subject in ("alert-1", "inc-1", "act-1"):
        found = api.get(f"/api/wk/explain/{subject}", headers=viewer).json()
        assert found["correlation_id"] == "corr-1"
        assert len(found["chain"]) >= 4
        assert len(found["text"]) == len(found["chain"])
    chinese = api.get("/api/wk/explain/inc-1", headers=viewer, params={"language": "zh-CN"}).json()["text"]
    assert any("lin 已确认：mine" in line for line in chinese)
    assert api.get("/api/wk/explain/inc-1", headers=viewer, params={"language": "tlh"}).status_code == 422
    assert api.get("/api/wk/explain/alert-99", headers=viewer).status_code == 404


def test_silences_come_and_go(house: Engine, api: TestClient) -> None:
    headers = bearer(house, Role.OPERATOR)
    body = {"matchers": [["service", "=", "shop"]], "duration": "2h", "comment": "maintenance"}
    made = api.post("/api/wk/silences", headers=headers, json=body)
    assert made.status_code == 201
    assert api.post("/api/wk/silences", headers=headers, json={**body, "duration": "2"}).status_code == 400
    assert len(api.get("/api/wk/silences", headers=headers).json()["silences"]) == 1
    api.delete(f"/api/wk/silences/{made.json()['id']}", headers=headers)
    assert api.get("/api/wk/silences", headers=headers).json()["silences"] == []


def test_an_approval_is_bound_to_the_plan_that_was_read(house: Engine, api: TestClient) -> None:
    record = waiting_action(house)
    add_user(house, "lin", Role.OPERATOR)
    headers, digest = signed_in(api, "lin"), record.plan.digest()
    (row,) = api.get("/api/wk/actions", headers=headers).json()["actions"]
    assert (row["needs"], row["plan_hash"], row["verdicts"][0]["gate"]) == (1, digest, "fresh")
    assert api.get("/api/wk/actions/act-1", headers=headers).json()["timeline"]
    assert api.get("/api/wk/actions/act-9", headers=headers).status_code == 404
    path = "/api/wk/actions/act-1/approve"
    assert api.post(path, headers=headers, json={"plan_hash": "0" * 64}).status_code == 409
    assert api.post(path, headers=bearer(house, Role.VIEWER), json={"plan_hash": digest}).status_code == 403
    assert api.post(path, headers=headers, json={"plan_hash": digest, "reason": "ok"}).status_code == 200
    assert api.post(path.replace("act-1", "act-9"), headers=headers, json={"plan_hash": digest}).status_code == 404
    assert api.get("/api/wk/actions", headers=headers).json()["actions"][0]["approvals"][0]["user"] == "lin"


def test_a_risky_action_needs_an_administrator_who_just_signed_in(house: Engine, api: TestClient) -> None:
    record = waiting_action(house, RiskClass.A3)
    add_user(house, "lin", Role.OPERATOR)
    add_user(house, "boss", Role.ADMIN)
    body = {"plan_hash": record.plan.digest(), "reason": "yes"}
    path = "/api/wk/actions/act-1/approve"
    assert api.post(path, headers=signed_in(api, "lin"), json=body).status_code == 403
    boss = signed_in(api, "boss")
    clock_of(house).advance(timedelta(minutes=20))
    assert api.post(path, headers=boss, json=body).status_code == 403
    assert api.post(path, headers=signed_in(api, "boss"), json=body).status_code == 200
    assert api.post("/api/wk/actions/act-1/reject", headers=boss, json=body).status_code == 200


def test_anybody_on_duty_stops_everything_and_only_an_administrator_starts_it_again(
    house: Engine, api: TestClient
) -> None:
    operator, admin = bearer(house, Role.OPERATOR), bearer(house, Role.ADMIN)
    on, off = {"on": True, "reason": "strange"}, {"on": False, "reason": "understood"}
    assert api.post("/api/wk/kill-switch", headers=bearer(house, Role.VIEWER), json=on).status_code == 403
    assert api.post("/api/wk/kill-switch", headers=operator, json=on).json()["on"] is True
    assert house.data.kill_switch.exists()
    assert api.post("/api/wk/kill-switch", headers=operator, json=off).status_code == 403
    assert api.post("/api/wk/kill-switch", headers=admin, json=off).json()["on"] is False
    audit = api.get("/api/wk/audit", headers=operator).json()
    assert audit["intact"]
    assert {"kill_switch.set", "kill_switch.clear"} <= {row["action"] for row in audit["rows"]}


def test_pages_about_the_engine_itself(house: Engine, api: TestClient) -> None:
    headers = bearer(house)
    feed(house, 1.0, 2.0)
    rules: list[dict[str, Any]] = api.get("/api/wk/rules", headers=headers).json()["groups"]
    assert [rule["type"] for rule in rules[0]["rules"]] == ["alerting", "recording"]
    assert "runbook_url" in json.dumps(rules[0]["rules"][0]["findings"])
    collectors = api.get("/api/wk/collectors", headers=headers).json()
    assert [row["name"] for row in collectors["collectors"]] == ["watchkeeper"]
    assert collectors["store"]["series"] == 1
    status = api.get("/api/wk/status", headers=headers).json()
    assert status["data_dir"] == str(house.data.root)
    assert api.get("/api/wk/capacity", headers=headers).json() == {"rows": []}
    assert b"watchkeeper_build_info" in api.get("/metrics", headers=headers).content
    assert (
        "/api/wk/overview" in api.get("/api/openmetrics.json".replace("openmetrics", "openapi"), headers=headers).text
    )


def test_a_report_is_made_kept_and_downloaded(house: Engine, api: TestClient) -> None:
    headers = bearer(house, Role.OPERATOR)
    made = api.post("/api/wk/reports/capacity", headers=headers, json={"language": "zh-CN"}).json()["id"]
    (row,) = api.get("/api/wk/reports", headers=headers).json()["reports"]
    assert (row["id"], row["language"]) == (made, "zh-CN")
    assert "容量" in api.get(f"/api/wk/reports/{made}.html", headers=headers).text
    assert api.get(f"/api/wk/reports/{made}.csv", headers=headers).status_code == 200
    assert api.get(f"/api/wk/reports/{made}.exe", headers=headers).status_code == 404


def test_a_rule_is_backtested_over_what_is_stored(house: Engine, api: TestClient) -> None:
    feed(house, 10.0, 90.0, 95.0, 10.0, 10.0)
    body = {"text": RULES, "days": 0.001}
    (row,) = api.post("/api/wk/rules/backtest", headers=bearer(house), json=body).json()["rules"]
    assert row["rule"] == "Hot"
    assert len(row["episodes"]) == 1
    assert row["kind"] == "alerting"
    remedy = (
        "remediations: [{name: cool, when: temperature > 50, observers: {two: temperature > 60}, confirm: 1 of 1,"
        " action: webhook, target: fan, verify: temperature > 50}]"
    )
    body_too = {"text": remedy, "days": 0.001}
    (row,) = api.post("/api/wk/rules/backtest", headers=bearer(house), json=body_too).json()["rules"]
    assert (row["rule"], row["kind"], len(row["proposals"]), len(row["episodes"])) == ("cool", "remediation", 1, 1)
    missing = api.post("/api/wk/rules/backtest", headers=bearer(house), json={**body, "rule": "Cold"})
    assert missing.status_code == 400
    broken = api.post("/api/wk/rules/backtest", headers=bearer(house), json={"text": "groups: [", "days": 1})
    assert broken.status_code == 400


def test_a_broken_rule_file_leaves_the_last_good_one_in_force(house: Engine, api: TestClient, tmp_path: Path) -> None:
    headers = bearer(house)
    (tmp_path / "rules" / "r.yaml").write_text(RULES.replace("temperature > 50", "temperature >"))
    answer = api.post("/api/wk/reload", headers=headers).json()
    assert not answer["reloaded"]
    assert "r.yaml:5" in answer["error"]
    assert api.get("/api/wk/rules", headers=headers).json()["groups"][0]["rules"][0]["expr"] == "temperature > 50"
    (tmp_path / "rules" / "r.yaml").write_text(RULES.replace("> 50", "> 60"))
    assert api.post("/api/wk/reload", headers=headers).json()["reloaded"]
    assert api.get("/api/wk/rules", headers=headers).json()["groups"][0]["rules"][0]["expr"] == "temperature > 60"


def test_a_test_message_to_nobody_names_the_channels(house: Engine, api: TestClient) -> None:
    answer = api.post("/api/wk/notify/test", headers=bearer(house), json={"channel": "nobody"})
    assert answer.status_code == 400
    assert "there is no channel 'nobody'" in answer.json()["error"]


def test_a_huge_body_is_refused_unread(api: TestClient) -> None:
    answer = api.post("/api/wk/login", content=b"x", headers={"content-length": str(1 << 30)})
    assert answer.status_code == 413
