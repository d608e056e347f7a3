"""Every route that changes something, by role: who lacks the permission is refused before anything is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from support.engines import PASSWORD, add_user, engine

from watchkeeper.access.roles import Role
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine

#: Whoever is signed in may: leave, choose an own language, and ask by POST as Grafana does.
ANYBODY = {"POST /api/wk/logout", "PATCH /api/wk/session"}
#: Nobody is known yet.
STRANGERS = {"POST /api/wk/setup", "POST /api/wk/login", "POST /api/wk/webhooks/{name}"}
OPERATOR = {
    "POST /v1/metrics",
    "POST /v1/logs",
    "POST /v1/traces",
    "POST /api/wk/agents/{name}/lines",
    "PUT /metrics/{path:path}",
    "POST /metrics/{path:path}",
    "DELETE /metrics/{path:path}",
    "POST /api/wk/incidents/{incident_id}/acknowledge",
    "POST /api/wk/incidents/{incident_id}/note",
    "POST /api/wk/alarms/{alarm_id}/verdict",
    "POST /api/wk/feedback/{row_id}/undo",
    "POST /api/wk/recorded",
    "POST /api/wk/events",
    "POST /api/wk/silences",
    "DELETE /api/wk/silences/{silence_id}",
    "POST /api/wk/actions/{action_id}/approve",
    "POST /api/wk/actions/{action_id}/reject",
    "POST /api/wk/actions/{action_id}/judge",
    "POST /api/wk/audit/verify",
    "POST /api/wk/links/{link}/pin",
    "POST /api/wk/kill-switch",
    "POST /api/wk/fixes",
    "POST /api/wk/plans/{plan}/start",
    "POST /api/wk/plans/runs/{run_id}/steps/{step}/retry",
    "POST /api/wk/plans/runs/{run_id}/steps/{step}/{verdict}",
    "POST /api/wk/plans/runs/{run_id}/abort",
    "POST /api/wk/tuning/applied",
    "POST /api/wk/notify/test",
    "POST /api/wk/rules/backtest",
    "POST /api/wk/rules/{rule}/request",
    "POST /api/wk/reports/business",
    "POST /api/wk/reports/capacity",
    "POST /api/wk/reports/cost",
    "POST /api/wk/reports/sla",
}
#: What valid requests look like where the role is asked for only after the body was read.
BODIES: dict[str, Any] = {
    "POST /api/wk/kill-switch": {"on": True, "reason": "x"},
    "POST /api/wk/rules/{rule}/request": {"reason": "x"},
}


def api_routes(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Every route, those of included routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            yield from api_routes(getattr(inner, "routes", []))


def changing(app: FastAPI) -> set[str]:
    found = {f"{method} {route.path}" for route in api_routes(app.routes) for method in route.methods or ()}
    return {one for one in found if not one.startswith(("GET ", "POST /api/v1/"))} - ANYBODY - STRANGERS


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine(Path(tmp_path_factory.mktemp("roles"))) as found:
        for role in Role:
            add_user(found, role, role)
        yield found


@pytest.fixture(scope="module")
def app(house: Engine) -> FastAPI:
    return create(house)


def signed(app: FastAPI, role: Role) -> TestClient:
    client = TestClient(app, raise_server_exceptions=False)
    answer = client.post("/api/wk/login", json={"name": role, "password": PASSWORD}).json()
    client.headers |= {"Authorization": f"Session {answer['session']}", "X-CSRF-Token": answer["csrf"]}
    return client


def test_a_viewer_changes_nothing_and_an_operator_only_what_operators_may(app: FastAPI) -> None:
    everything = changing(app)
    assert everything >= OPERATOR
    for role, refused in ((Role.VIEWER, everything), (Role.OPERATOR, everything - OPERATOR)):
        client = signed(app, role)
        for one in sorted(refused):
            method, path = one.split(" ")
            answer = client.request(method, re.sub(r"\{\w+\}", "x", path), json=BODIES.get(one, {}))
            assert answer.status_code == 403, (role, one, answer.text)


def test_without_the_csrf_token_not_even_an_administrator_changes_anything(app: FastAPI) -> None:
    client = signed(app, Role.ADMIN)
    del client.headers["X-CSRF-Token"]
    for one in sorted(changing(app) | ANYBODY):
        method, path = one.split(" ")
        answer = client.request(method, re.sub(r"\{\w+\}", "x", path), json=BODIES.get(one, {}))
        assert (answer.status_code, "X-CSRF-Token" in answer.text) == (403, True), (one, answer.text)


def test_no_route_changes_anything_by_get(app: FastAPI) -> None:
    """GET routes run in no transaction that writes: the audit does not grow."""
    client = signed(app, Role.ADMIN)
    before = client.get("/api/wk/audit").json()["rows"][0]["seq"]
    for route in api_routes(app.routes):
        if "GET" in (route.methods or ()):
            client.get(re.sub(r"\{\w+\}", "x", route.path))
    assert client.get("/api/wk/audit").json()["rows"][0]["seq"] == before


def test_the_demos_own_routes_are_not_served_by_a_plain_engine(app: FastAPI) -> None:
    assert not [route.path for route in api_routes(app.routes) if "/demo" in route.path]


def test_a_removed_account_is_out_at_once_with_its_session_and_tokens(app: FastAPI, house: Engine) -> None:
    add_user(house, "leaver", Role.ADMIN)
    admin, leaver = signed(app, Role.ADMIN), TestClient(app)
    answer = leaver.post("/api/wk/login", json={"name": "leaver", "password": PASSWORD}).json()
    own = {"Authorization": f"Session {answer['session']}", "X-CSRF-Token": answer["csrf"]}
    token = leaver.post("/api/wk/tokens", headers=own, json={"name": "t", "role": "admin"}).json()["token"]
    machine = {"Authorization": f"Bearer {token}"}
    assert leaver.get("/api/wk/users", headers=machine).status_code == 200
    assert admin.patch("/api/wk/users/leaver", json={"role": "viewer"}).status_code == 200
    assert leaver.get("/api/wk/session", headers=own).status_code == 401
    assert leaver.get("/api/wk/users", headers=machine).status_code == 403
    assert admin.patch("/api/wk/users/leaver", json={"disabled": True}).status_code == 200
    assert leaver.get("/api/wk/overview", headers=machine).status_code == 401
