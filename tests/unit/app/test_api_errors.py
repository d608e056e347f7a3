"""Refusals of the API: one shape everywhere, sizes counted as they come, back-tests bounded."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient
from support.engines import engine

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.api.limits import MAX_BODY
from watchkeeper.app.engine import Engine

pytestmark = pytest.mark.uncounted

ODD_NAMES = ("%00", "..%2F..%2Fetc%2Fpasswd", "x" * 300, "'\"<script>")
broken = APIRouter()
KINDS = {401: "unauthenticated", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 422: "invalid"}


@broken.get("/api/wk/broken")
def _broken() -> None:
    raise RuntimeError("a secret of the stack")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


@pytest.fixture
def api(house: Engine) -> Iterator[TestClient]:
    with TestClient(create(house, [broken]), raise_server_exceptions=False) as client:
        yield client


def bearer(house: Engine, role: Role = Role.ADMIN) -> dict[str, str]:
    token, _ = create_system_token(house.state, f"test-{role}", role, now=house.clock.now())
    return {"Authorization": f"Bearer {token}"}


#: Refusals of these are google.rpc.Status, as OTLP's exporters expect.
OTLP = ("/v1/metrics", "/api/v1/otlp/v1/metrics", "/v1/logs", "/v1/traces")
#: And of these a line of text, as Prometheus and Pushgateway answer their senders.
WRITE = ("/api/v1/write", "/metrics/")


def assert_shape(path: str, answer: Any) -> None:
    if path.startswith(WRITE) and answer.headers["content-type"].startswith("text/plain"):
        assert answer.text.strip()
        return
    body = answer.json()
    if path in OTLP and answer.status_code not in (401, 403):
        assert set(body) == {"code", "message"}, (path, body)
        assert body["message"], path
        return
    if path.startswith("/api/v1/"):
        assert set(body) == {"status", "errorType", "error"}, (path, body)
        assert body["status"] == "error"
    else:
        assert set(body) == {"error", "kind"}, (path, body)
    assert isinstance(body["error"], str)
    assert body["error"], path


def routes(api: TestClient, headers: dict[str, str]) -> list[tuple[str, str]]:
    schema = api.get("/api/openapi.json", headers=headers).json()
    return [(method.upper(), path) for path, methods in schema["paths"].items() for method in methods]


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.OPERATOR, Role.ADMIN])
def test_odd_requests_on_every_route_are_refused_in_one_shape_and_never_crash(
    house: Engine, api: TestClient, role: Role | None
) -> None:
    found = routes(api, bearer(house))
    assert len(found) > 50
    headers = bearer(house, role) if role else {}
    bodies: list[Any] = [b"{", b"null", b"[]", b'{"name": 1, "text": [], "days": "x"}', b'"\\ud800"', b"\xff\xfe"]
    for method, path in found:
        if path in ("/api/wk/reload", "/api/wk/logout", "/api/wk/broken"):
            continue
        for odd, body in zip(itertools.cycle(ODD_NAMES), bodies if method != "GET" else [b""] * 4, strict=False):
            address = re.sub(r"\{[^}]+\}", odd, path)
            sent = {**headers, "Content-Type": "application/json"}
            answer = api.request(method, address, content=body, headers=sent)
            assert answer.status_code < 500 or path == "/-/ready", (method, address, body, answer.text)
            if answer.status_code >= 400 and not path.startswith("/-/"):
                assert_shape(address, answer)


def test_unknown_addresses_methods_shapes_and_strangers_get_the_same_shape(house: Engine, api: TestClient) -> None:
    admin = bearer(house)
    asked = [
        (404, api.get("/api/wk/nothing", headers=admin)),
        (404, api.get("/api/v1/nothing", headers=admin)),
        (405, api.put("/api/wk/users", headers=admin)),
        (422, api.post("/api/wk/users", headers=admin, json={"name": 1, "password": "hunter2 hunter2"})),
        (401, api.get("/api/wk/users")),
        (401, api.get("/api/v1/query?query=up")),
        (413, api.post("/api/wk/users", headers=admin, content=iter([b" " * (1 << 20)] * 33))),
    ]
    for status, answer in asked:
        assert answer.status_code == status
        assert_shape(answer.request.url.path, answer)
        if not answer.request.url.path.startswith("/api/v1/"):
            assert answer.json()["kind"] == KINDS[status] or status == 401
        assert "hunter2" not in answer.text


def test_a_crash_is_answered_in_the_same_shape_and_tells_nothing_of_the_stack(house: Engine, api: TestClient) -> None:
    answer = api.get("/api/wk/broken", headers=bearer(house))
    assert answer.status_code == 500
    assert answer.json()["kind"] == "internal"
    assert "secret of the stack" not in answer.text


@pytest.mark.parametrize("path", ["/api/wk/rules/backtest", "/api/v1/query"])
def test_a_chunked_body_over_the_limit_is_cut_off_where_the_limit_is(house: Engine, path: str) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        while sent < MAX_BODY + (8 << 20):
            sent += 1 << 20
            yield b"a=b&" * (1 << 18)

    with TestClient(create(house)) as api:
        headers = {**bearer(house), "Content-Type": "application/x-www-form-urlencoded"}
        answer = api.post(path, headers=headers, content=chunks())
    assert answer.status_code == 413
    assert_shape(path, answer)


def test_a_user_or_role_that_is_not_there_is_no_matter_of_signing_in(house: Engine, api: TestClient) -> None:
    admin = bearer(house)
    new = {"name": "mei", "role": "king", "password": "correct horse battery"}
    assert api.post("/api/wk/users", headers=admin, json=new).status_code == 422
    assert api.patch("/api/wk/users/nobody", headers=admin, json={"role": "viewer"}).status_code == 404
    assert api.patch("/api/wk/users/nobody", headers=admin, json={"role": "king"}).status_code == 422
    assert api.patch("/api/wk/users/nobody", headers=admin, json={"disabled": True}).status_code == 404
    assert api.post("/api/wk/tokens", headers=admin, json={"name": "t", "role": "king"}).status_code == 422
    assert api.delete("/api/wk/tokens/none", headers=admin).status_code == 404
