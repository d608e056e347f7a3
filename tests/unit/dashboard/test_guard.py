"""The one door: who gets in, what strangers see, and what every answer carries."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from support.fake_engine import PASSWORD, SECRET, FakeEngine, application, free_port, serving

from dashboard.app import Dashboard, create
from dashboard.callbacks import Callbacks
from dashboard.guard import PUBLIC
from dashboard.permissions import ROLES
from dashboard.settings import Settings
from watchkeeper.access import PERMISSIONS
from watchkeeper.clock import ManualClock

HOST = "127.0.0.1:8050"
BASE = f"http://{HOST}"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFRESH: dict[str, Any] = {
    "output": "overview-body.children",
    "outputs": {"id": "overview-body", "property": "children"},
    "inputs": [{"id": "overview-tick", "property": "n_intervals", "value": 1}],
    "changedPropIds": ["overview-tick.n_intervals"],
}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeEngine, str]]:
    engine = FakeEngine()
    with serving(application(engine), free_port()) as url:
        yield engine, url


@pytest.fixture
def engine(served: tuple[FakeEngine, str]) -> FakeEngine:
    found = served[0]
    found.__init__()  # type: ignore[misc]
    for role in ("viewer", "operator", "admin"):
        found.add_user(role, role)
    return found


class Desk:
    """A dashboard, its clock and a browser-like client."""

    def __init__(self, url: str, **changes: Any) -> None:
        self.clock = ManualClock(NOON)
        self.app: Dashboard = create(Settings(engine_url=url, **changes), clock=self.clock)
        transport = httpx2.ASGITransport(self.app)
        self.http = httpx2.AsyncClient(transport=transport, base_url=BASE, headers={"origin": BASE})

    def sign(self, session: str) -> None:
        self.http.cookies.set("wk", session)


@pytest.fixture
async def desk(served: tuple[FakeEngine, str], engine: FakeEngine) -> AsyncIterator[Desk]:
    found = Desk(served[1])
    yield found
    await found.http.aclose()
    await found.app._engine.aclose()


# --- strangers -------------------------------------------------------------------------------------------------------


async def test_no_route_but_the_public_ones_answers_a_stranger(desk: Desk) -> None:
    paths = {str(getattr(route, "path", "")) for route in desk.app.server.routes} - {""}
    assert {"/", "/_dash-layout", "/_dash-update-component", "/logout", "/reports/{name}"} <= paths
    for path in sorted(paths - PUBLIC):
        concrete = path.replace("{package_name}", "dash").replace("{fingerprinted_path:path}", "x.js")
        concrete = concrete.replace("{name}", "r.html").replace("{path:path}", "anything") or "/"
        for method in ("GET", "POST"):
            answer = await desk.http.request(method, concrete, json={})
            assert answer.status_code in (303, 401, 405), (method, concrete, answer.status_code)
            assert answer.status_code != 303 or answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize(
    "path",
    ["//login/../_dash-layout", "/%2e/_dash-layout", "/LOGIN", "/login/", "//login", "/login%2f..%2f_dash-layout",
     "/_dash-layout/", "/;/_dash-layout", "/assets/../_dash-layout", "/assets/client.js", "/-/healthy/x"],
)  # fmt: skip
async def test_another_spelling_of_a_path_is_refused(desk: Desk, path: str) -> None:
    answer = await desk.http.get(path)
    assert answer.status_code in (303, 401)
    assert "AppShell" not in answer.text


@pytest.mark.parametrize("path", ["/login", "/setup", "/language"])
async def test_a_form_of_a_thousand_fields_is_just_a_wrong_form(desk: Desk, path: str) -> None:
    body = "&".join(f"a{number}=1" for number in range(1000))
    answer = await desk.http.post(path, content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code in (303, 400)


async def test_a_stranger_sees_the_health_sign_and_the_form(desk: Desk) -> None:
    assert (await desk.http.get("/-/healthy")).status_code == 200
    login = await desk.http.get("/login", headers={"accept-language": "zh"})
    assert login.status_code == 200
    assert "登录" in login.text
    assert "<script" not in login.text


@pytest.mark.parametrize("session", ["", "nobody", "x" * 500, "caf\u00e9"])
async def test_a_session_the_engine_does_not_know_is_nobody(desk: Desk, session: str) -> None:
    answer = await desk.http.get("/_dash-layout", headers=[(b"cookie", f"wk={session}".encode("latin-1"))])
    assert answer.status_code == 401


async def websocket(app: Dashboard, **headers: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "websocket", "path": "/_dash-ws-callback", "query_string": b"", "raw_path": b"/_dash-ws-callback",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "scheme": "ws",
        "server": ("127.0.0.1", 8050), "client": ("127.0.0.1", 1), "subprotocols": [], "root_path": "",
    }  # fmt: skip
    inbox = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

    async def receive() -> Any:
        return inbox.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("origin", [BASE, "http://evil.example", ""])
async def test_the_websocket_is_refused_without_a_session(desk: Desk, origin: str) -> None:
    sent = await websocket(desk.app, host=HOST, **({"origin": origin} if origin else {}))
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_the_websocket_needs_the_own_origin_even_with_a_session(desk: Desk, engine: FakeEngine) -> None:
    session = engine.sign_in("admin")
    foreign = await websocket(desk.app, host=HOST, origin="http://evil.example", cookie=f"wk={session}")
    assert [message["type"] for message in foreign] == ["websocket.close"]
    own = await websocket(desk.app, host=HOST, origin=BASE, cookie=f"wk={session}")
    assert own[0]["type"] == "websocket.accept"


# --- people ----------------------------------------------------------------------------------------------------------


async def test_a_signed_in_user_gets_pages_and_callbacks(desk: Desk, engine: FakeEngine) -> None:
    desk.sign(engine.sign_in("viewer"))
    assert (await desk.http.get("/")).status_code == 200
    answer = await desk.http.post("/_dash-update-component", json=REFRESH)
    assert answer.status_code == 200
    assert "wk-as-of" in answer.text


async def test_a_disabled_user_is_out_within_a_second(desk: Desk, engine: FakeEngine) -> None:
    desk.sign(engine.sign_in("viewer"))
    assert (await desk.http.get("/_dash-layout")).status_code == 200
    engine.users["viewer"]["disabled"] = True
    desk.clock.advance(1.0)
    assert (await desk.http.get("/_dash-layout")).status_code == 401


async def test_the_engine_is_asked_for_a_session_once_while_nothing_changes(desk: Desk, engine: FakeEngine) -> None:
    desk.sign(engine.sign_in("viewer"))
    for _ in range(5):
        await desk.http.get("/_dash-layout")
    assert (engine.calls.count("GET /api/wk/session"), engine.calls.count("GET /api/wk/session/changes")) == (1, 1)
    for _ in range(5):
        desk.clock.advance(1.0)
        await desk.http.get("/_dash-layout")
    assert (engine.calls.count("GET /api/wk/session"), engine.calls.count("GET /api/wk/session/changes")) == (1, 6)
    desk.clock.advance(60.0)
    await desk.http.get("/_dash-layout")
    assert engine.calls.count("GET /api/wk/session") == 2


async def test_a_stranger_who_asks_first_makes_nobody_a_stranger(desk: Desk, engine: FakeEngine) -> None:
    session = engine.sign_in("viewer")
    desk.sign("stranger")
    assert (await desk.http.get("/_dash-layout")).status_code == 401
    desk.sign(session)
    assert (await desk.http.get("/_dash-layout")).status_code == 200


async def test_readers_of_one_role_and_language_share_an_answer_and_others_do_not(
    desk: Desk, engine: FakeEngine
) -> None:
    def asked() -> int:
        return engine.calls.count("GET /api/wk/overview")

    one, other = engine.sign_in("viewer"), engine.sign_in("viewer")
    answers = []
    for session in (one, other, one):
        desk.sign(session)
        answers.append(await desk.http.post("/_dash-update-component", json=REFRESH))
    assert asked() == 1
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert "x-content-type-options" in answers[1].headers
    odd = {**REFRESH, "inputs": [{**REFRESH["inputs"][0], "value": 7}]}
    assert (await desk.http.post("/_dash-update-component", json=odd)).content == answers[0].content
    assert asked() == 1
    desk.sign(engine.sign_in("admin"))
    await desk.http.post("/_dash-update-component", json=REFRESH)
    assert asked() == 2
    desk.sign(one)
    desk.http.cookies.set("wk-theme", "dark")
    await desk.http.post("/_dash-update-component", json=REFRESH)
    assert asked() == 3
    desk.clock.advance(1.0)
    await desk.http.post("/_dash-update-component", json=REFRESH)
    assert asked() == 4


async def test_a_document_names_its_reader_and_nobody_else(desk: Desk, engine: FakeEngine) -> None:
    odd = "anna</script>"
    engine.add_user(odd, "viewer")
    layouts, sessions = [], [engine.sign_in(name) for name in ("viewer", odd, "viewer")]
    for session in sessions:
        desk.sign(session)
        page = (await desk.http.get("/")).text
        layout = re.search(r'id="_dash-layout">(.*?)</script>', page, re.DOTALL)
        assert layout, page[:300]
        layouts.append(json.dumps(json.loads(layout[1])))
    assert [(json.dumps("viewer") in one, json.dumps(odd) in one) for one in layouts] == [
        (True, False), (False, True), (True, False)
    ]  # fmt: skip
    assert [[f"csrf-{session}" in one for session in sessions] for one in layouts] == [
        [True, False, False], [False, True, False], [False, False, True]
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"output": "overview-body.children", "inputs": 3}', b"[" * 9999])
async def test_a_body_that_is_no_question_disturbs_nobody(desk: Desk, engine: FakeEngine, body: bytes) -> None:
    desk.sign(engine.sign_in("viewer"))
    path, headers = "/_dash-update-component", {"content-type": "application/json"}
    with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError, RecursionError):  # the server's 500
        assert (await desk.http.post(path, content=body, headers=headers)).status_code >= 400
    assert (await desk.http.post("/_dash-update-component", json=REFRESH)).status_code == 200


async def test_head_answers_without_a_body(desk: Desk, engine: FakeEngine) -> None:
    desk.sign(engine.sign_in("viewer"))
    answer = await desk.http.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8050"])
async def test_a_post_from_another_site_changes_nothing(desk: Desk, engine: FakeEngine, origin: str) -> None:
    desk.sign(engine.sign_in("admin"))
    for path in ("/_dash-update-component", "/logout", "/login", "/setup", "/language"):
        answer = await desk.http.post(path, json=REFRESH, headers={"origin": origin})
        assert answer.status_code == 403
    assert not [call for call in engine.calls if not call.startswith("GET")]


async def test_a_post_without_origin_is_refused(served: tuple[FakeEngine, str], desk: Desk, engine: FakeEngine) -> None:
    desk.sign(engine.sign_in("admin"))
    del desk.http.headers["origin"]
    assert (await desk.http.post("/_dash-update-component", json=REFRESH)).status_code == 403


async def test_an_unknown_host_name_is_refused_so_rebinding_fails(desk: Desk) -> None:
    answer = await desk.http.get("/login", headers={"host": "evil.example:8050"})
    assert answer.status_code == 421


async def test_other_methods_and_large_bodies_are_refused(desk: Desk, engine: FakeEngine) -> None:
    desk.sign(engine.sign_in("admin"))
    assert (await desk.http.put("/")).status_code == 405
    assert (await desk.http.post("/_dash-update-component", content=b"x" * ((1 << 20) + 1))).status_code == 413


@pytest.mark.parametrize("path", ["/login", "/_dash-update-component"])
async def test_a_large_body_that_declares_no_length_is_refused_too(desk: Desk, engine: FakeEngine, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * (64 << 10)

    desk.sign(engine.sign_in("admin"))
    answer = await desk.http.post(path, content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


async def test_a_sign_in_ends_the_session_the_browser_came_with(desk: Desk, engine: FakeEngine) -> None:
    planted = engine.sign_in("viewer")
    desk.sign(planted)
    form = await desk.http.get("/login")
    proof = form.text.split('name="proof" value="')[1].split('"')[0]
    body = {"name": "admin", "password": PASSWORD, "proof": proof, "next": "/"}
    answer = await desk.http.post("/login", data=body)
    assert answer.status_code == 303
    fresh = answer.cookies["wk"]
    assert fresh != planted
    for session, status in ((planted, 303), (fresh, 200)):
        desk.http.cookies.clear()
        desk.sign(session)
        assert (await desk.http.get("/")).status_code == status


async def test_every_answer_carries_the_security_headers(desk: Desk, engine: FakeEngine) -> None:
    stranger = await desk.http.get("/login")
    desk.sign(engine.sign_in("admin"))
    for answer in (stranger, await desk.http.get("/"), await desk.http.get("/assets/style.css")):
        csp = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in csp
        assert "default-src 'none'" in csp
        assert "unsafe-eval" not in csp
        script = next((part for part in csp.split("; ") if part.startswith("script-src")), "")
        assert "unsafe-inline" not in script
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "referrer-policy" in answer.headers
    assert (await desk.http.get("/")).headers["cache-control"] == "no-store"


async def test_docs_and_schema_are_off(desk: Desk, engine: FakeEngine) -> None:
    desk.sign(engine.sign_in("admin"))
    for path in ("/docs", "/redoc", "/openapi.json", "/mcp", "/_mcp"):
        assert "swagger" not in (await desk.http.get(path)).text.lower()
    assert desk.app.server.openapi_url is None


# --- the forms -------------------------------------------------------------------------------------------------------


async def proof(desk: Desk, path: str) -> dict[str, str]:
    page = await desk.http.get(path)
    return {"proof": page.text.split('name="proof" value="')[1].split('"')[0]}


async def test_signing_in_sets_a_strict_cookie_and_goes_on(desk: Desk) -> None:
    form = {**await proof(desk, "/login"), "name": "admin", "password": PASSWORD, "next": "/rules"}
    answer = await desk.http.post("/login", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("wk="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "onward", ["//evil.example", "/\\evil.example", "https://evil.example", "/x\r\nset-cookie: a=b"]
)
async def test_signing_in_never_leads_to_another_site(desk: Desk, onward: str) -> None:
    form = {**await proof(desk, "/login"), "name": "admin", "password": PASSWORD, "next": onward}
    assert (await desk.http.post("/login", data=form)).headers["location"] == "/"


async def test_a_wrong_password_says_so_and_a_locked_account_says_how_long(desk: Desk) -> None:
    desk.http.headers["accept-language"] = "en"
    for status in (401, 401, 401, 429):
        form = {**await proof(desk, "/login"), "name": '"><b>', "password": "wrong"}
        answer = await desk.http.post("/login", data=form)
        assert answer.status_code == status
        assert "<b>" not in answer.text
    assert "30 s" in answer.text
    assert answer.headers["retry-after"] == "30"


async def test_a_form_that_is_not_ours_is_not_forwarded(desk: Desk, engine: FakeEngine) -> None:
    form = {"proof": "guessed", "name": "admin", "password": PASSWORD}
    assert (await desk.http.post("/login", data=form)).status_code == 400
    assert "POST /api/wk/login" not in engine.calls


async def test_signing_out_needs_the_token_of_the_session_and_ends_it(desk: Desk, engine: FakeEngine) -> None:
    session = engine.sign_in("admin")
    desk.sign(session)
    assert (await desk.http.post("/logout", data={"csrf": "guessed"})).status_code == 400
    assert session in engine.sessions
    answer = await desk.http.post("/logout", data={"csrf": f"csrf-{session}"})
    assert answer.headers["location"] == "/login"
    assert session not in engine.sessions
    assert (await desk.http.get("/_dash-layout", headers={"cookie": f"wk={session}"})).status_code == 401


async def test_the_first_account_is_made_once(desk: Desk, engine: FakeEngine) -> None:
    engine.users.clear()
    assert (await desk.http.get("/login")).headers["location"] == "/setup"
    good = {"secret": SECRET, "name": "ada", "password": PASSWORD, "again": PASSWORD, "language": "en"}
    differ = await desk.http.post("/setup", data={**await proof(desk, "/setup"), **good, "again": "other"})
    assert differ.status_code == 400
    wrong = await desk.http.post("/setup", data={**await proof(desk, "/setup"), **good, "secret": "x"})
    assert wrong.status_code == 403
    weak = {**good, "password": "short", "again": "short"}
    assert (await desk.http.post("/setup", data={**await proof(desk, "/setup"), **weak})).status_code == 400
    assert (await desk.http.post("/setup", data={"proof": "guessed", **good})).status_code == 400
    made = await desk.http.post("/setup", data={**await proof(desk, "/setup"), **good})
    assert made.headers["location"] == "/login?fresh=1"
    assert engine.users["ada"]["language"] == "en"
    assert (await desk.http.get("/setup")).headers["location"] == "/login"


async def test_strangers_choose_their_language(desk: Desk) -> None:
    form = {**await proof(desk, "/login"), "language": "en", "next": "/login"}
    await desk.http.post("/language", data=form, headers={"accept-language": "zh"})
    assert "Sign in" in (await desk.http.get("/login", headers={"accept-language": "zh"})).text


# --- without the engine ----------------------------------------------------------------------------------------------


async def test_without_the_engine_strangers_are_told_and_nobody_is_let_in() -> None:
    desk = Desk(f"http://127.0.0.1:{free_port()}")
    desk.sign("whatever")
    page = await desk.http.get("/rules")
    assert page.headers["location"].startswith("/login?next=%2Frules")
    assert (await desk.http.get("/_dash-layout")).status_code == 503
    for path in ("/login", "/setup"):
        assert (await desk.http.get(path)).status_code == 503


async def test_without_the_engine_a_known_user_sees_a_banner_and_no_old_value(engine: FakeEngine) -> None:
    with serving(application(engine), free_port()) as url:
        desk = Desk(url)
        desk.sign(engine.sign_in("viewer"))
        assert "wk-value" in (await desk.http.post("/_dash-update-component", json=REFRESH)).text
    desk.clock.advance(5.0)
    answer = (await desk.http.post("/_dash-update-component", json=REFRESH)).text
    assert "wk-engine-down" in answer
    assert "wk-value" not in answer
    assert [m["type"] for m in await websocket(desk.app, host=HOST, origin=BASE)] == ["websocket.close"]


# --- callbacks -------------------------------------------------------------------------------------------------------


def test_every_callback_declares_a_permission(served: tuple[FakeEngine, str]) -> None:
    app = create(Settings(engine_url=served[1]))
    assert len(app.dash.callback_map) > 20
    assert set(app.dash.callback_map) == set(app.callbacks.declared)


def test_an_undeclared_callback_would_be_found(served: tuple[FakeEngine, str]) -> None:
    from dash import Input, Output

    app = create(Settings(engine_url=served[1]))
    app.dash.callback(Output("a", "children"), Input("b", "value"))(lambda value: value)
    assert set(app.dash.callback_map) - set(app.callbacks.declared) == {"a.children"}


def test_roles_mean_here_what_they_mean_to_the_engine() -> None:
    for role, allowed in ROLES.items():
        theirs = {str(one) for known, all_of in PERMISSIONS.items() if known == role for one in all_of}
        assert {str(one) for one in allowed} == theirs & {str(one) for one in ROLES["admin"]}


async def test_a_viewer_pressing_a_forged_button_is_refused_before_the_engine_is_asked(
    desk: Desk, engine: FakeEngine
) -> None:
    desk.sign(engine.sign_in("viewer"))
    key = next(key for key in desk.app.callbacks.declared if "actions-switch-notice" in key and "reason" in key)
    outputs = [
        {"id": part.rsplit(".", 1)[0], "property": part.rsplit(".", 1)[1]} for part in key.strip(".").split("...")
    ]
    press = {
        "output": key, "outputs": outputs, "changedPropIds": ["actions-switch-on.n_clicks"],
        "inputs": [{"id": "actions-switch-on", "property": "n_clicks", "value": 1}],
        "state": [{"id": "actions-switch-reason", "property": "value", "value": "because"}],
    }  # fmt: skip
    answer = await desk.http.post("/_dash-update-component", json=press)
    assert answer.status_code == 200
    assert "kill_switch_set" in answer.text
    assert engine.kill["on"] is False
    assert isinstance(desk.app.callbacks, Callbacks)
