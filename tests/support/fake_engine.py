"""An engine made of fixed data: every route the dashboard asks, with sessions, roles and refusals that behave."""

from __future__ import annotations

import itertools
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from support import (
    fake_actions,
    fake_business,
    fake_catalogue,
    fake_changes,
    fake_cost,
    fake_detection,
    fake_plans,
    fake_risks,
    fake_safety,
    fake_sla,
)
from support.hostile import poisoned

#: Markup that must stay text wherever a label or a name is shown.
PAYLOAD = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
SECRET = "one-time-secret"
PASSWORD = "correct horse battery"
HASH = "ab" * 32
RANK = {"viewer": 0, "operator": 1, "admin": 2}


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def signal(key: str, unit: str, level: float, now: datetime, **changes: Any) -> dict[str, Any]:
    end = round(now.timestamp() * 1000)
    times = [end - (60 - i) * 60_000 for i in range(61)]
    points = [[ms, level * (1 + 0.12 * math.sin(i / 6))] for i, ms in enumerate(times)]
    ahead = [[end + i * 300_000, level * 0.9, level * (1 + 0.01 * i), level * 1.2] for i in range(12)]
    return {
        "key": key, "unit": unit, "value": points[-1][1], "score": 0.12, "expected": level, "lower": level * 0.8,
        "upper": level * 1.2, "at": iso(now), "age_seconds": 1.5, "stale": False, "missing": "", "points": points,
        "band": [[ms, level * 0.8, level * 1.2] for ms in times], "forecast": ahead, "forecast_unknown": "",
        "learning": False, **changes,
    }  # fmt: skip


SESSIONS = itertools.count()


class FakeEngine:
    """State behind the routes; a test may change it while pages are open."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self.users: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, str] = {}
        self.failures = 0
        self.calls: list[str] = []
        self.stale: set[str] = set()
        self.kill: dict[str, Any] = {"on": False, "by": "", "at": None, "reason": ""}
        self.pin: dict[str, str] | None = None
        self.asked: dict[str, Any] | None = None
        self.remedies = ["drain-web1"]
        self.tuned: list[dict[str, Any]] = []
        self.incident_state, self.action_state = "opened", "awaiting_approval"
        self.said: dict[str, Any] | None = None  #: of the alert of an incident
        self.notes: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.hostile = False  #: every name and text was chosen by an attacker
        self.broken_status = 0  #: answer every authenticated call with this status

    def add_user(self, name: str, role: str, language: str = "zh-CN") -> None:
        zone = "Asia/Shanghai"
        self.users[name] = {
            "name": name, "role": role, "language": language, "time_zone": zone, "password": PASSWORD, "disabled": False
        }  # fmt: skip

    def sign_in(self, name: str) -> str:
        session = (
            f"session-of-{name}-{next(SESSIONS)}"  # of every engine its own: a dashboard may remember the last one's
        )
        self.sessions[session] = name
        return session

    # --- what pages show ---------------------------------------------------------------------------------------------

    def overview(self, now: datetime) -> dict[str, Any]:
        signals = [
            signal("cpu_usage", "ratio", 0.42, now),
            signal("memory_usage", "ratio", 0.63, now, score=0.86),
            signal("disk_io", "bytes_per_second", 4.1e7, now, score=0.61),
            signal("network_io", "bytes_per_second", 1.3e6, now, forecast=[],
                   forecast_unknown="not enough history yet"),
            signal("database_connections", "count", 0, now, value=None, score=None, lower=None, upper=None, at=None,
                   age_seconds=None, missing="mysql_or_postgres", points=[], band=[], forecast=[]),
            signal("cache_hit_rate", "ratio", 0.97, now, score=None, lower=None, upper=None, band=[]),
            signal("api_response_times", "seconds", 0.18, now),
            signal("error_rates", "ratio", 0.004, now),
        ]  # fmt: skip
        for one in signals:
            if one["key"] in self.stale:
                one |= {"stale": True, "age_seconds": 95.0, "at": iso(now - timedelta(seconds=95))}
        warning = {
            "series": "disk/db-1", "pool": "db-1 /var", "exhausts_at": iso(now + timedelta(days=3)), "severity": "P2",
            "text": "Extend by 40 GiB before Thursday.",
        }  # fmt: skip
        return {
            "now": iso(now), "signals": signals, "warnings": [warning],
            "incidents": [row for row in self.incidents(now) if row["state"] != "resolved"],
            "actions_waiting": int(self.action_state == "awaiting_approval"), "kill_switch": self.kill,
            "collectors": {"total": 4, "healthy": 3, "failing": 1}, "unknown_rules": 1,
        }  # fmt: skip

    def incidents(self, now: datetime) -> list[dict[str, Any]]:
        base = {"labels": {"service": "checkout", "evil": PAYLOAD}, "alerts": 2, "actions": 1, "details": {},
                "changes": [{**fake_changes.event(now), "whose": "own"}]}  # fmt: skip
        times = {
            "opened_at": iso(now - timedelta(minutes=12)), "mitigated_at": None, "resolved_at": None,
            "acknowledged_at": iso(now) if self.incident_state == "acknowledged" else None,
            "acknowledged_by": "ada" if self.incident_state == "acknowledged" else "",
            "respond_by": iso(now + timedelta(minutes=3)), "start_by": iso(now + timedelta(minutes=18)),
        }  # fmt: skip
        first = {"id": "inc-1", "state": self.incident_state, "severity": "P1", "title": "checkout is slow"}
        second = {"id": "inc-2", "state": "opened", "severity": "P0", "title": PAYLOAD}
        third = {"id": "inc-3", "state": "resolved", "severity": "P3", "title": "disk on db-1 was full"}
        return [{**base, **times, **one} for one in (first, second, third)]

    def incident(self, incident_id: str, now: datetime) -> dict[str, Any] | None:
        row = next((one for one in self.incidents(now) if one["id"] == incident_id), None)
        if row is None:
            return None
        alert = {
            "id": "alert-1", "rule": "SlowCheckout", "state": "firing", "severity": "P1", "value": 2.345,
            "labels": {"service": "checkout", "path": PAYLOAD}, "annotations": {"summary": f"slow {PAYLOAD}"},
            "active_at": iso(now), "fired_at": iso(now), "resolved_at": None, "expr": "api_response_times > 2",
            "measured": "api_response_times", "word": self.said,
        }  # fmt: skip
        change = {
            "at": row["opened_at"], "kind": "incident", "subject_id": incident_id, "old_state": "",
            "new_state": "opened", "reason": "alert-1 fired", "evidence": {}, "actor": "",
        }  # fmt: skip
        delivery = {
            "channel": "oncall", "state": "sent", "kind": "firing", "title": "x", "at": iso(now), "detail": "errcode 0",
            "possible_repeat": True,
        }  # fmt: skip
        return {
            "incident": row, "alerts": [alert], "timeline": [change, *self.notes], "actions": self.actions(now)[:1],
            "deliveries": [delivery],
            "changes": [{**fake_changes.event(now), "whose": "own"}],
        }  # fmt: skip

    def actions(self, now: datetime) -> list[dict[str, Any]]:
        verdicts = [
            {"gate": "confirmed", "passed": True, "reason": "waived by ada"},
            {"gate": "approval", "passed": False, "reason": "0 of 1 people approved"},
        ]
        base = {
            "mode": "approve", "risk": "A2", "rule": "DrainSlow", "action": "haproxy_drain", "incident_id": "inc-1",
            "created_at": iso(self.started - timedelta(minutes=4)),
            "updated_at": iso(now), "plan_hash": HASH, "needs": 1,
            "approvals": [], "plan": {
                "desired": {"web-2": {"state": "drain"}}, "note": PAYLOAD, "before": {"web-2": {"state": "ready"}},
                "rollback": {"web-2": {"state": "ready"}}, "evidence": {"prediction": fake_actions.PREDICTION},
            },
            "verdicts": verdicts,
            "progress": {"objections": [{"gate": "approval", "reason": "0 of 1 people approved"}]},
            "correlation_id": "c-1",
        }  # fmt: skip
        refused = [{"gate": "lock", "passed": False, "reason": "another engine holds the lease"}]
        return [
            {**base, "id": "act-1", "state": self.action_state, "targets": ["web-2"], "reason": "web-2 is slow"},
            {
                **base,
                "id": "act-2",
                "state": "succeeded",
                "targets": ["web-1"],
                "reason": PAYLOAD,
                "progress": fake_actions.HAPPENED,
            },
            {**base, "id": "act-3", "state": "suppressed", "targets": ["web-3"], "reason": "slow", "verdicts": refused},
        ]

    def capacity(self, now: datetime) -> dict[str, Any]:
        end = round(now.timestamp() * 1000)
        day = 86_400_000
        history = [[end - (60 - i) * day, 2e11 + 2e9 * i] for i in range(60)]
        ahead = [
            [end + i * day, *(3.2e11 + 2e9 * i + spread * 4e8 * i for spread in (-2, -1, 0, 1, 2))] for i in range(90)
        ]
        row = {
            "pool": "db-1 /var", "resource": "disk", "unit": "bytes", "now": 3.2e11, "limit": 4e11,
            "headroom_ratio": 0.2, "in_7d": 3.34e11, "in_30d": 3.8e11, "in_90d": 5e11,
            "earliest": iso(now + timedelta(days=33)), "expected": iso(now + timedelta(days=40)),
            "latest": iso(now + timedelta(days=52)), "backtest_mase": 0.71, "coverage80": 0.82,
            "better_than_last_value": True, "proposal": "Extend by 100 GiB.", "data_age_seconds": 42.0, "unknown": "",
            "history": history, "forecast": ahead,
            "components": {"trend": history,
                           "seasonal": [[ms, 1e9 * math.sin(i)] for i, (ms, _) in enumerate(history)]},
        }  # fmt: skip
        unknown = {
            **row, "pool": f"web {PAYLOAD}", "resource": "memory", "in_7d": None, "in_30d": None, "in_90d": None,
            "earliest": None, "expected": None, "latest": None, "backtest_mase": None, "coverage80": None,
            "better_than_last_value": None, "proposal": "=1+1", "unknown": "not enough history", "forecast": [],
            "components": {}, "headroom_ratio": None,
        }  # fmt: skip
        return {"rows": [row, unknown]}

    def chart(self, expr: str, start: int, end: int, step: int) -> dict[str, Any]:
        if "(" in expr and ")" not in expr:
            return {"series": [], "warnings": [], "error": "1:5: parse error: unclosed left parenthesis", "marks": []}
        if expr == "nothing":
            return {"series": [], "warnings": [], "error": "", "marks": []}
        times = list(range(start, end + 1, step))
        points: list[list[float | None]] = [[ms, 0.5 + 0.2 * math.sin(i / 20)] for i, ms in enumerate(times)]
        points[len(points) // 2][1] = None
        values = [value for _, value in points]
        count = len(points)
        scored = {
            "labels": {"host": "a"}, "name": '{host="a"}', "points": points, "expected": [0.5] * count,
            "lower": [0.3] * count, "upper": [0.7] * count,
            "score": [0.9 if (value or 0) > 0.695 else 0.1 for value in values],
        }  # fmt: skip
        plain = {"labels": {"host": PAYLOAD}, "name": f'{{host="{PAYLOAD}"}}', "points": [[ms, 0.2] for ms in times]}
        return {
            "series": [scored, plain],
            "warnings": ["a warning of the engine"],
            "error": "",
            "marks": [fake_changes.event(datetime.fromtimestamp(end / 1000, UTC))],
        }


def application(engine: FakeEngine) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail, "kind": "refused"}, error.status_code, headers=error.headers)

    @app.middleware("http")
    async def counted(request: Request, go_on: Any) -> Response:
        engine.calls.append(f"{request.method} {request.url.path}")
        answer: Response = await go_on(request)
        return answer

    _access(app, engine)
    _reading(app, engine)
    _changing(app, engine)
    return app


def _caller(engine: FakeEngine, request: Request) -> dict[str, Any]:
    scheme, _, session = request.headers.get("authorization", "").partition(" ")
    user = engine.users.get(engine.sessions.get(session, "")) if scheme == "Session" else None
    if user is None or user["disabled"]:
        raise HTTPException(401, "sign in first")
    if request.method != "GET" and request.headers.get("x-csrf-token") != f"csrf-{session}":
        raise HTTPException(403, "the CSRF token is missing or wrong")
    if engine.broken_status and not request.url.path.startswith("/api/wk/session"):
        raise HTTPException(engine.broken_status, "broken on purpose")
    return user


def _public(user: dict[str, Any]) -> dict[str, Any]:
    return {key: user[key] for key in ("name", "role", "language", "time_zone")}


def _access(app: FastAPI, engine: FakeEngine) -> None:  # noqa: C901 - one small function a route
    @app.get("/api/wk/setup")
    def needed() -> dict[str, bool]:
        return {"needed": not engine.users}

    @app.post("/api/wk/setup", status_code=201)
    async def setup(request: Request) -> dict[str, str]:
        body = await request.json()
        if body["secret"] != SECRET or engine.users:
            raise HTTPException(403, "the one-time secret is wrong")
        if len(body["password"]) < 12:
            raise HTTPException(400, "the password needs 12 characters")
        engine.add_user(body["name"], "admin", body["language"])
        engine.users[body["name"]]["password"] = body["password"]
        return {"name": body["name"]}

    @app.post("/api/wk/login")
    async def login(request: Request) -> dict[str, Any]:
        body = await request.json()
        if engine.failures >= 3:
            raise HTTPException(429, "too many attempts", headers={"retry-after": "30"})
        user = engine.users.get(body["name"])
        if user is None or user["password"] != body["password"] or user["disabled"]:
            engine.failures += 1
            raise HTTPException(401, "user name or password is wrong")
        session = engine.sign_in(user["name"])
        return {"session": session, "csrf": f"csrf-{session}", "user": _public(user)}

    @app.post("/api/wk/logout")
    def logout(request: Request) -> dict[str, bool]:
        _caller(engine, request)
        engine.sessions.pop(request.headers["authorization"].partition(" ")[2], None)
        return {"ended": True}

    @app.get("/api/wk/session")
    def session(request: Request, authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
        user = _caller(engine, request)
        return {"user": _public(user), "csrf": f"csrf-{authorization.partition(' ')[2]}", "expires_at": None}

    @app.get("/api/wk/session/changes")
    def changes(request: Request) -> dict[str, str]:
        _caller(engine, request)
        return {"changes": json.dumps([engine.users, sorted(engine.sessions)])}

    @app.patch("/api/wk/session")
    async def preferences(request: Request) -> dict[str, Any]:
        user = _caller(engine, request)
        user.update({key: value for key, value in (await request.json()).items() if value})
        return {"user": _public(user)}

    @app.get("/api/wk/users")
    def users(request: Request) -> dict[str, Any]:
        _need(_caller(engine, request), "admin")
        return {"users": [{**_public(row), "disabled": row["disabled"]} for row in engine.users.values()]}

    @app.post("/api/wk/users", status_code=201)
    async def add(request: Request) -> dict[str, Any]:
        _need(_caller(engine, request), "admin")
        body = await request.json()
        if len(body["password"]) < 12:
            raise HTTPException(400, "the password needs 12 characters")
        engine.add_user(body["name"], body["role"], body["language"])
        return {"user": _public(engine.users[body["name"]])}

    @app.patch("/api/wk/users/{name}")
    async def change(request: Request, name: str) -> dict[str, Any]:
        _need(_caller(engine, request), "admin")
        engine.users[name].update(await request.json())
        return {"user": _public(engine.users[name])}


def _need(user: dict[str, Any], role: str) -> None:
    if RANK[user["role"]] < RANK[role]:
        raise HTTPException(403, f"role {user['role']} may not do this")


def _reading(app: FastAPI, engine: FakeEngine) -> None:  # noqa: C901 - one small function a route
    def known(request: Request) -> None:
        _caller(engine, request)

    def get(path: str, answer: Any) -> None:
        @wraps(answer)
        def given(**asked: Any) -> Any:
            found = answer(**asked)
            return poisoned(found) if engine.hostile else found

        app.add_api_route(path, given, methods=["GET"], dependencies=[Depends(known)], response_model=None)

    def now() -> datetime:
        return datetime.now(UTC)

    def incident(incident_id: str) -> dict[str, Any]:
        found = engine.incident(incident_id, now())
        if found is None:
            raise HTTPException(404, f"there is no incident {incident_id[:40]}")
        return found

    def incidents(state: str = "open") -> dict[str, Any]:
        rows = engine.incidents(now())
        return {"incidents": [row for row in rows if state == "all" or row["state"] != "resolved"]}

    def chart(expr: str, start_ms: int, end_ms: int, step_ms: int, *, bands: bool = True) -> dict[str, Any]:
        return engine.chart(expr, start_ms, end_ms, step_ms)

    def logs(query: str, start_ms: int, end_ms: int, buckets: int = 0) -> dict[str, Any]:
        answer: dict[str, Any] = {"lines": [], "next": "", "partial": False, "scanned_bytes": 0, "error": ""}
        answer |= {"start_ms": start_ms, "end_ms": end_ms, "matched": 0}
        names = ("none", "debug", "info", "warning", "error", "critical")
        answer["counts"] = {name: [0] * buckets for name in names}
        if query == "/(/":
            return answer | {"error": "/(/ is no RE2 pattern: missing ): ("}
        if query == "nothing":
            return answer
        answer["counts"]["error"][-1] = answer["matched"] = 2
        labels = {"service": "checkout", "file": PAYLOAD}
        for text, hits in ((f"ERROR {PAYLOAD}", [[0, 5]]), ("ERROR again", [[0, 5]])):
            line = {"time_ms": end_ms - 1000, "severity": "error", "labels": labels, "text": text, "hits": hits}
            answer["lines"].append(line)
        return answer | {"next": f"{end_ms - 1000}.7", "partial": query == "slow"}

    def actions() -> dict[str, Any]:
        declared = [
            {"rule": "DrainSlow", "owner": "ada", "expires_at": iso(now()), "fallen_at": None},
            {"rule": "Restart", "owner": "bob", "expires_at": iso(now()), "fallen_at": iso(now())},
        ]
        found = {"actions": engine.actions(now()), "kill_switch": engine.kill, "declarations": declared}
        return {**found, "rules": [*engine.remedies, PAYLOAD] if engine.hostile else engine.remedies}

    def audit(actor: str = "", before: int | None = None) -> dict[str, Any]:
        return fake_actions.audit(iso(now()), PAYLOAD, HASH, actor=actor, before=before)

    def export() -> Response:
        return Response(
            '{"seq": 7}\n', media_type="application/x-ndjson", headers={"content-disposition": "attachment"}
        )

    def report(name: str) -> Response:
        csp = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
        return Response(f"<h1>{name}</h1>", media_type="text/html", headers=csp)

    get("/api/wk/overview", lambda: engine.overview(now()))
    get("/api/wk/incidents", incidents)
    get("/api/wk/incidents/{incident_id}", incident)
    get("/api/wk/incidents/{incident_id}/causes", lambda: {"causes": [], "groups": []})
    get("/api/wk/chart", chart)
    get("/api/wk/logs", logs)
    get("/api/wk/actions", actions)
    get("/api/wk/security/entities", lambda: fake_risks.risks(iso(now()), PAYLOAD))
    get("/api/wk/plans", lambda: fake_plans.plans(iso(now()), PAYLOAD))
    get("/api/wk/safety", lambda: fake_safety.safety(engine.kill, iso(now()), PAYLOAD))
    get("/api/wk/audit", audit)
    get("/api/wk/audit/export", export)
    get("/api/wk/links", lambda: fake_actions.links(quality_link(), iso(now()), PAYLOAD, engine.pin))
    get("/api/wk/scaling", lambda: fake_actions.scaling(engine.kill, iso(now()), PAYLOAD))
    get("/api/wk/tuning", lambda: fake_actions.tuning(iso(now()), PAYLOAD, engine.tuned))
    get("/api/wk/quality", lambda: {"now": iso(now()), "links": [quality_link()]})
    get("/api/wk/rules", lambda: {"groups": _rules(now())})
    get("/api/wk/collectors", lambda: _collectors(now()))
    get("/api/wk/agents", lambda: {"agents": [_agent("sh-1", "up", 3.0), _agent("bj-1", "silent", 640.0, failing=2)]})
    get("/api/wk/capacity", lambda: engine.capacity(now()))
    get("/api/wk/business", lambda: fake_business.business(now()))
    get("/api/wk/changes", lambda: fake_changes.changes(now()))
    get("/api/wk/alarms", lambda: fake_detection.alarms(now(), PAYLOAD))
    get("/api/wk/alarms/{name}", lambda name: {"alarms": fake_detection.alarms(now(), name)["alarms"][:1]})
    get("/api/wk/detectors", lambda: fake_detection.detectors(now()))
    get("/api/wk/scored", lambda: fake_detection.scored(now()))
    get("/api/wk/risk", lambda: fake_detection.risk(now()))
    get("/api/wk/cost", lambda: fake_cost.cost(now()))
    get("/api/wk/predictions", lambda: fake_business.predictions(now()))
    get("/api/wk/services", lambda: fake_catalogue.services(now()))
    get("/api/wk/services/{name}", lambda name: fake_catalogue.service(now(), name))
    get("/api/wk/slo", lambda: fake_sla.slo(now()))
    get("/api/wk/slo/composite", lambda: fake_sla.composite("98.018866", "99.99", contradicts=True))
    get("/api/wk/reports", lambda: {"reports": engine.reports})
    get("/api/wk/reports/{name}", report)
    get("/api/wk/status", lambda: _status(now()))


def _changing(app: FastAPI, engine: FakeEngine) -> None:  # noqa: C901 - one small function a route
    async def allowed(request: Request, role: str) -> tuple[dict[str, Any], dict[str, Any]]:
        user = _caller(engine, request)
        _need(user, role)
        return user, await request.json()

    @app.post("/api/wk/incidents/{incident_id}/acknowledge")
    async def acknowledge(request: Request, incident_id: str) -> dict[str, str]:
        user, body = await allowed(request, "operator")
        if engine.incident_state != "opened":
            raise HTTPException(409, f"incident {incident_id} is {engine.incident_state} already")
        engine.incident_state = "acknowledged"
        engine.notes.append(_change("opened", "acknowledged", f"acknowledged: {body['note']}", user["name"]))
        return {"state": "acknowledged"}

    @app.post("/api/wk/incidents/{incident_id}/note")
    async def note(request: Request, incident_id: str) -> dict[str, bool]:
        user, body = await allowed(request, "operator")
        if not body["text"]:
            raise HTTPException(422, "text: must not be empty")
        engine.notes.append(_change("opened", "opened", body["text"], user["name"]))
        return {"noted": True}

    @app.post("/api/wk/alarms/{alarm_id}/verdict", status_code=201)
    async def say(request: Request, alarm_id: str) -> dict[str, Any]:
        _, body = await allowed(request, "operator")
        engine.calls.append(f"{alarm_id} {body['verdict']}")
        return {"words": []}

    @app.post("/api/wk/recorded", status_code=201)
    async def record(request: Request) -> dict[str, Any]:
        _, body = await allowed(request, "operator")
        engine.calls.append(f"recorded {body['service']} {body['began_at']} {body.get('ended_at')}")
        return {"id": "recorded-2", "found": {}}

    @app.post("/api/wk/feedback/{row_id}/undo")
    async def undo(request: Request, row_id: str) -> dict[str, str]:
        await allowed(request, "operator")
        engine.calls.append(f"undo {row_id}")
        return {"undone": row_id}

    @app.post("/api/wk/actions/{action_id}/{verdict}")
    async def decide(request: Request, action_id: str, verdict: str) -> dict[str, str]:
        _, body = await allowed(request, "operator")
        if body["plan_hash"] != HASH:
            raise HTTPException(409, "the plan has changed")
        engine.action_state = {"approve": "executing", "reject": "rejected"}[verdict]
        return {"action": action_id, "verdict": verdict}

    @app.post("/api/wk/rules/{rule}/request")
    async def ask(request: Request, rule: str) -> dict[str, str]:
        user, body = await allowed(request, "operator")
        engine.asked = {"rule": rule, "user": user["name"], **body}
        return {"action": "act-9"}

    @app.post("/api/wk/links/{link}/pin")
    async def pin(request: Request, link: str) -> dict[str, str]:
        user, body = await allowed(request, "operator")
        engine.pin = {"side": body["side"], "user": user["name"], "reason": body["reason"]} if body["side"] else None
        return {"link": link, "side": body["side"]}

    @app.post("/api/wk/tuning/applied", status_code=201)
    async def tuned(request: Request) -> dict[str, str]:
        _, body = await allowed(request, "operator")
        engine.tuned.append(body)
        return {"id": "tuning-1"}

    @app.post("/api/wk/audit/verify")
    async def verify(request: Request) -> dict[str, Any]:
        await allowed(request, "operator")
        return {"verified_rows": 7, "intact": True}

    @app.post("/api/wk/kill-switch")
    async def switch(request: Request) -> dict[str, Any]:
        user, body = await allowed(request, "operator")
        if not body["on"]:
            _need(user, "admin")
        engine.kill = {"on": body["on"], "by": user["name"], "at": iso(datetime.now(UTC)), "reason": body["reason"]}
        return engine.kill

    @app.post("/api/wk/reports/capacity", status_code=201)
    async def make(request: Request) -> dict[str, str]:
        _, body = await allowed(request, "operator")
        made = iso(datetime.now(UTC))
        engine.reports.append({"id": "rep-1", "kind": "capacity", "created_at": made, "language": body["language"]})
        return {"id": "rep-1"}


def _change(old: str, new: str, reason: str, actor: str) -> dict[str, Any]:
    return {
        "at": iso(datetime.now(UTC)), "kind": "incident", "subject_id": "inc-1", "old_state": old, "new_state": new,
        "reason": reason, "evidence": {}, "actor": actor,
    }  # fmt: skip


def quality_link() -> dict[str, Any]:
    """A dual link whose primary is slow and whose backup was asked too little to be rated."""
    names = ("success", "latency", "freshness", "error_mix")
    parts = zip(names, (0.45, 0.25, 0.15, 0.15), (0.0, 12.5, 0.0, 0.0), strict=True)
    slow = [{"name": name, "score": 100.0 - 4 * lost, "weight": weight, "lost": lost} for name, weight, lost in parts]
    seen = {"success_ratio": 1.0, "latency_p95_seconds": 2.75, "last_good_age_seconds": 4.0, "probes": 60.0}
    primary = {
        "provider": "maps-a", "side": "primary", "score": 87.5, "unknown": "", "worst": "latency",
        "components": slow, "observed": {**seen, "errors": {"timeout": 1.0}},
    }  # fmt: skip
    backup = {
        "provider": "maps-b", "side": "backup", "score": None, "unknown": "not measured: success", "worst": "",
        "components": [{"name": name, "score": None, "weight": 0.0, "lost": None} for name in names],
        "observed": dict.fromkeys((*seen, "errors")),
    }  # fmt: skip
    return {"link": "maps", "service": "shop", "serving": "backup", "age_seconds": 3.0, "providers": [primary, backup]}


def _rules(now: datetime) -> list[dict[str, Any]]:
    base = {
        "for_seconds": 120.0, "keep_firing_for_seconds": 0.0, "labels": {}, "annotations": {}, "error": "", "line": 3,
        "file": "rules.yaml", "health": "ok", "mode": "", "owner": "", "findings": [], "severity": "P1",
    }  # fmt: skip
    finding = {"level": "warning", "code": "W101", "message": PAYLOAD, "proposal": "add a for: clause"}
    rules = [
        {**base, "name": "SlowCheckout", "type": "alerting", "expr": "api_response_times > 2", "state": "firing"},
        {**base, "name": "r:sum", "type": "recording", "expr": "sum(r)", "state": "", "severity": "",
         "findings": [finding]},
        {**base, "name": "DrainSlow", "type": "remediation", "expr": "x > 1", "state": "unknown", "health": "unknown",
         "error": "no samples", "mode": "approve", "owner": "ada"},
    ]  # fmt: skip
    group = {"name": "checkout", "file": "rules.yaml", "interval_seconds": 15.0, "last_at": iso(now), "rules": rules}
    return [{**group, "last_seconds": 0.004}]


def _agent(name: str, state: str, lag: float, *, failing: int = 0) -> dict[str, Any]:
    row = {"agent": name, "location": f"{name[:2]} {PAYLOAD}", "state": state, "lag_seconds": lag, "version": "0.1.0"}
    counts = {"waiting_records": 12, "waiting_lines": 340, "dropped_lines": 0, "sources": 4, "refused": 0}
    counts |= {"dropped_samples": 0, "refused_samples": 7, "clock_ahead_seconds": -2400}
    return {**row, **counts, "failing": failing}


def _collectors(now: datetime) -> dict[str, Any]:
    base = {"interval_seconds": 15.0, "last_at": iso(now), "lag_seconds": 3.2, "seconds": 0.01, "series": 812}
    more = {
        "samples": 4060,
        "error": "",
        "received": 4060,
        "stored": 4055,
        "rejected": {"too_old": 5},
        "target": "host",
    }
    up = {**base, **more, "name": "host", "kind": "host", "state": "up", "condition": "up", "notes": []}
    why = f"refused {PAYLOAD}"
    down = {
        **up,
        "name": "api",
        "kind": "http_probe",
        "state": "failing",
        "condition": "failing",
        "error": why,
        "notes": [why],
    }
    ledger = {"received": 8120, "stored": 8108, "deduplicated": 2, "rejected": {"too_old": 10}, "in_flight": 0}
    stats = {"series": 1624, "bytes": 5_400_000, "newest_ms": round(now.timestamp() * 1000)}
    return {"collectors": [up, down], "ledger": ledger, "store": stats}


def _status(now: datetime) -> dict[str, Any]:
    channel = {
        "name": "oncall",
        "kind": "dingtalk",
        "state": "ok",
        "last_ok_at": iso(now),
        "last_error": "",
        "queued": 0,
    }
    return {
        "version": "0.1.0", "started_at": iso(now - timedelta(hours=3)), "data_dir": "/var/lib/wk",
        "environment": "production", "loop_lag_seconds": 0.002, "channels": [channel], "separation": "process",
        "ledgers": {"samples": {"received": 8120, "rejected": {"too_old": 10}},
                    "alerts": {"raised": 3, "notified": 2, "silenced": 1},
                    "actions": {"succeeded": 1}, "deliveries": {"oncall/sent": 4}},
        "time_zone": "Asia/Shanghai", "language": "zh-CN",
    }  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(app: Any, port: int) -> Iterator[str]:
    """Serve an ASGI app on loopback from a thread until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
