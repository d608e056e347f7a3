"""Events over the API and by webhook: who may tell them, what each sender says, and that nothing counts twice."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.engines import NOON, clock_of, engine

from rules.promotion import Step
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.client import Client
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.events_series import rows
from watchkeeper.app.rules_promote import tell_engine
from watchkeeper.model import Incident, IncidentState, Severity, format_series
from watchkeeper.wire.hooks import BUILTIN
from watchkeeper.wire.hooks.read import told as delivery
from watchkeeper.wire.hooks.signature import sign

SECRET = "0123456789abcdef-secret"
REPOSITORY = {"full_name": "acme/orders", "name": "orders"}
HOOKS = [
    {"name": preset, "preset": preset, "secret": SECRET, "services": {"acme/orders": "shop"},
     "environments": {"production": "PROD"}, "environment": "TEST"}
    for preset in BUILTIN
]  # fmt: skip

#: preset -> (headers, body, what comes of it)
TOLD: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "watchkeeper": (
        {},
        {"kind": "backup", "title": "dump", "service": "orders-db", "payload": {"password": "hunter2", "size": 3}},
        {"kind": "backup", "service": "orders-db", "status": "ok", "environment": "TEST"},
    ),
    "github": (
        {"X-GitHub-Event": "deployment_status"},
        {
            "action": "created",
            "deployment_status": {"state": "failure", "environment": "production", "updated_at": "2026-03-02T03:59:00Z",
                                  "log_url": "https://ci/1"},
            "deployment": {"id": 7, "sha": "abc123", "ref": "main", "created_at": "2026-03-02T03:50:00Z",
                           "creator": {"login": "lin"}},
            "repository": REPOSITORY,
        },
        {"kind": "deploy", "service": "shop", "status": "failed", "environment": "PROD", "version": "abc123",
         "actor": "lin", "start": "2026-03-02T03:50:00Z", "end": "2026-03-02T03:59:00Z", "link": "https://ci/1"},
    ),
    "gitlab": (
        {},
        {
            "object_kind": "deployment", "status": "success", "status_changed_at": "2026-03-02 11:50:00 +0800",
            "deployment_id": 15, "deployable_url": "http://gitlab/jobs/4", "environment": "production",
            "project": {"path_with_namespace": "acme/orders"}, "short_sha": "279484c0", "user": {"username": "root"},
            "ref": "main",
        },
        {"kind": "deploy", "service": "shop", "status": "ok", "version": "279484c0", "actor": "root",
         "end": "2026-03-02T03:50:00Z"},
    ),
    "gitea": (
        {"X-Gitea-Event": "push"},
        {
            "ref": "refs/heads/main", "after": "bffeb742", "compare_url": "http://git/c", "repository": REPOSITORY,
            "commits": [{"id": "bffeb742", "message": "Webhooks\n\nmore", "timestamp": "2026-03-02T11:30:00+08:00"}],
            "pusher": {"login": "wei"},
        },
        {"kind": "change", "service": "shop", "title": "Webhooks", "version": "bffeb742", "actor": "wei",
         "start": "2026-03-02T03:30:00Z"},
    ),
    "gitee": (
        {},
        {
            "hook_name": "push_hooks", "password": "pwd", "after": "1cdcd819", "ref": "refs/heads/main",
            "repository": REPOSITORY, "pusher": {"username": "zhang"},
            "commits": [{"id": "1cdcd819", "message": "更新", "timestamp": "2026-03-02T11:30:00+08:00"}],
        },
        {"kind": "change", "service": "shop", "title": "更新", "version": "1cdcd819", "actor": "zhang"},
    ),
    "jenkins": (
        {},
        {
            "name": "orders-deploy", "build": {
                "full_url": "http://jenkins/job/18/", "number": 18, "phase": "FINALIZED", "status": "SUCCESS",
                "timestamp": 1772423400000, "duration": 90000, "scm": {"commit": "c6d86dc", "culprits": ["li"]},
                "parameters": {"SERVICE": "orders", "ENVIRONMENT": "production"},
            },
        },
        {"kind": "deploy", "service": "orders", "status": "ok", "environment": "PROD", "version": "c6d86dc",
         "start": "2026-03-02T03:50:00Z", "end": "2026-03-02T03:51:30Z"},
    ),
    "argocd": (
        {},
        {"app": "orders", "namespace": "prod", "phase": "Failed", "revision": "r1",
         "started_at": "2026-03-02T03:50:00Z",
         "finished_at": "2026-03-02T03:52:00Z"},
        {"kind": "deploy", "service": "orders", "status": "failed", "environment": "PROD", "version": "r1"},
    ),
    "alertmanager": (
        {},
        {"version": "4", "status": "firing", "alerts": [
            {"status": "firing", "labels": {"alertname": "Down", "service": "orders", "severity": "critical"},
             "annotations": {"summary": "orders is down"}, "startsAt": "2026-03-02T03:50:00.5Z",
             "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f00d"}]},
        {"kind": "alert", "service": "orders", "status": "running", "title": "orders is down", "end": None},
    ),
}  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    windows = [{"start": "22:00", "end": "06:00", "environments": ["PROD"]}]
    targets = [{"services": ["orders-db"], "rpo": "1h", "rto": "4h", "drill_every": "30d"}]
    with engine(tmp_path, events={"webhooks": HOOKS, "windows": windows, "targets": targets}) as found:
        yield found


@pytest.fixture
def api(house: Engine) -> Iterator[TestClient]:
    with TestClient(create(house)) as client:
        yield client


def proof(preset: str, body: bytes, at: float = NOON.timestamp(), secret: str = SECRET) -> dict[str, str]:
    """The headers by which this sender proves itself."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if preset == "github":
        return {"X-Hub-Signature-256": f"sha256={digest}"}
    if preset == "gitea":
        return {"X-Gitea-Signature": digest}
    if preset == "gitlab":
        return {"X-Gitlab-Token": secret}
    if preset == "gitee":
        ms = str(round(at * 1000))
        of_time = hmac.new(secret.encode(), f"{ms}\n{secret}".encode(), hashlib.sha256).digest()
        return {"X-Gitee-Timestamp": ms, "X-Gitee-Token": base64.b64encode(of_time).decode()}
    if preset in ("argocd", "alertmanager"):
        return {"Authorization": f"Bearer {secret}"}
    if preset == "jenkins":
        return {"Authorization": "Basic " + base64.b64encode(f"hook:{secret}".encode()).decode()}
    return {"X-Watchkeeper-Timestamp": str(round(at)), "X-Watchkeeper-Signature": sign(secret, round(at), body)}


def deliver(api: TestClient, preset: str, **changed: Any) -> Any:
    headers, told, _ = TOLD[preset]
    body = json.dumps(told).encode()
    return api.post(f"/api/wk/webhooks/{preset}", content=body, headers={**headers, **proof(preset, body, **changed)})


def listed(house: Engine, api: TestClient, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/api/wk/events{query}", headers=bearer(house)).json()["events"]
    return found


def bearer(house: Engine, role: Role = Role.WRITER) -> dict[str, str]:
    token, _ = create_system_token(house.state, f"test-{role}", role, now=house.clock.now())
    return {"Authorization": f"Bearer {token}"}


def test_every_sender_is_understood_and_telling_it_again_adds_nothing(house: Engine, api: TestClient) -> None:
    reader = bearer(house)
    for number, (preset, (_, _, wanted)) in enumerate(TOLD.items(), 1):
        assert deliver(api, preset).json() == {"added": [f"event-{number}"], "repeated": 0}, preset
        assert deliver(api, preset).json() == {"added": [], "repeated": 1}, preset
        answer = api.get(f"/api/wk/events/event-{number}", headers=reader)
        row = answer.json()
        assert {name: row[name] for name in wanted} == wanted
        assert row["source"] == preset
        assert "hunter2" not in answer.text
        assert "pwd" not in answer.text
    assert set(TOLD) == set(BUILTIN)


@pytest.mark.parametrize(
    ("event", "branch", "kept"),
    [
        ("push", "main", 1), ("push", "v1.2.3", 1), ("workflow_dispatch", "hotfix", 1), ("schedule", "main", 1),
        ("push", "feature/x", 0), ("pull_request", "main", 0), ("merge_group", "main", 0),
    ],
)  # fmt: skip
def test_runs_of_somebodys_branch_are_no_stage_of_a_release(event: str, branch: str, kept: int) -> None:
    run = {
        "event": event,
        "head_branch": branch,
        "conclusion": "failure",
        "name": "ci",
        "updated_at": "2026-03-02T03:50:00Z",
    }
    repository = {"full_name": "acme/orders", "default_branch": "main"}
    github = json.dumps({"action": "completed", "workflow_run": run, "repository": repository}).encode()
    assert len(BUILTIN["github"].read(delivery({"x-github-event": "workflow_run"}, github, NOON))) == kept
    of = {"ref": branch, "tag": branch.startswith("v"), "status": "failed", "finished_at": "2026-03-02 03:50:00 UTC"}
    project = {"path_with_namespace": "acme/orders", "default_branch": "main"}
    gitlab = json.dumps({"object_kind": "pipeline", "object_attributes": of, "project": project}).encode()
    assert len(BUILTIN["gitlab"].read(delivery({}, gitlab, NOON))) == (branch in ("main", "v1.2.3"))


def test_a_wrong_secret_and_none_at_all_do_nothing(house: Engine, api: TestClient) -> None:
    for preset, (headers, told, _) in TOLD.items():
        assert deliver(api, preset, secret="another secret of 16").status_code == 401
        assert api.post(f"/api/wk/webhooks/{preset}", json=told, headers=headers).status_code == 401
        assert api.post("/api/wk/webhooks/nobody", json=told, headers=headers).status_code == 401
    assert listed(house, api) == []


def test_a_time_stamp_over_five_minutes_off_is_refused(api: TestClient) -> None:
    for preset in ("watchkeeper", "gitee"):
        for minutes in (-6, 6):
            assert deliver(api, preset, at=NOON.timestamp() + minutes * 60).status_code == 401
            assert deliver(api, preset, at=NOON.timestamp() + minutes * 45).status_code == 200


def test_ten_thousand_tampered_or_replayed_deliveries_add_nothing(house: Engine, api: TestClient) -> None:
    """S14. Against the function that the route calls."""
    from watchkeeper.app.pipeline.events import delivered
    from watchkeeper.errors import AccessError

    draw = random.Random(14)
    body = json.dumps(TOLD["watchkeeper"][1]).encode()
    good = {name.lower(): value for name, value in proof("watchkeeper", body).items()}
    assert len(delivered(house, "watchkeeper", good, body, NOON)[0]) == 1
    accepted = 0
    for number in range(10_000):
        changed, headers = bytearray(body), dict(good)
        if number % 5 == 0:  # a replay as it was
            now = NOON + timedelta(seconds=draw.randrange(290))
            accepted += len(delivered(house, "watchkeeper", headers, body, now)[0])
            continue
        if number % 5 == 1:
            headers["x-watchkeeper-timestamp"] = str(
                round(NOON.timestamp()) + draw.choice([-1, 1]) * draw.randint(1, 299)
            )
        elif number % 5 == 2:
            place = draw.randrange(len("v1="), len(headers["x-watchkeeper-signature"]))
            old = headers["x-watchkeeper-signature"]
            headers["x-watchkeeper-signature"] = old[:place] + ("0" if old[place] != "0" else "1") + old[place + 1 :]
        else:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        with pytest.raises(AccessError):
            delivered(house, "watchkeeper", headers, bytes(changed), NOON)
    assert accepted == 0
    assert len(listed(house, api)) == 1


def test_the_same_words_of_two_nights_are_two_backups(house: Engine, api: TestClient) -> None:
    deliver(api, "watchkeeper")
    clock_of(house).advance(timedelta(days=1))
    deliver(api, "watchkeeper", at=house.clock.now().timestamp())
    assert len(listed(house, api)) == 2


def test_what_is_signed_and_not_understood_is_told_so_and_counted(house: Engine, api: TestClient) -> None:
    for body in (b"[]", b"{", b'{"kind": "party", "title": "x"}', b'{"kind": "backup"}'):
        answer = api.post("/api/wk/webhooks/watchkeeper", content=body, headers=proof("watchkeeper", body))
        assert answer.status_code == 422, body
    body = b"{}"
    answer = api.post("/api/wk/webhooks/github", content=body,
                      headers={"X-GitHub-Event": "ping", **proof("github", body)})  # fmt: skip
    assert answer.json() == {"added": [], "repeated": 0}
    exposed = house.exposition().decode()
    assert 'watchkeeper_webhook_deliveries_total{outcome="malformed",webhook="watchkeeper"} 4.0' in exposed
    assert 'watchkeeper_webhook_deliveries_total{outcome="ignored",webhook="github"} 1.0' in exposed


def test_a_large_body_is_refused_before_anybody_is_known(api: TestClient) -> None:
    answer = api.post("/api/wk/webhooks/github", content=iter([b" " * (1 << 19)] * 3))
    assert answer.status_code == 413


def test_a_writer_tells_events_and_lists_them_by_kind_service_and_time(house: Engine, api: TestClient) -> None:
    told = [
        {"kind": "deploy", "title": "one", "service": "shop", "start": "2026-03-01T00:00:00Z", "id": "a"},
        {"kind": "backup", "title": "two", "service": "db", "start": "2026-03-02T00:00:00Z", "id": "b"},
    ]
    answer = api.post("/api/wk/events", json={"events": told}, headers=bearer(house))
    assert (answer.status_code, answer.json()) == (201, {"added": ["event-1", "event-2"], "repeated": 0})
    assert api.post("/api/wk/events", json=told[0], headers=bearer(house)).json() == {"added": [], "repeated": 1}
    assert [row["title"] for row in listed(house, api)] == ["two", "one"]
    assert [row["title"] for row in listed(house, api, "?kind=deploy&kind=patch")] == ["one"]
    assert [row["title"] for row in listed(house, api, "?service=db")] == ["two"]
    assert [row["title"] for row in listed(house, api, "?until=2026-03-01T12:00:00Z")] == ["one"]
    assert api.post("/api/wk/events", json=told[0], headers=bearer(house, Role.VIEWER)).status_code == 403
    assert api.get("/api/wk/events/event-9", headers=bearer(house)).status_code == 404


def test_rules_that_were_promoted_stand_among_the_changes(house: Engine, api: TestClient) -> None:
    class Here(Client):
        def raw(self, method: str, path: str, body: bytes | None = None, *, timeout: float = 0) -> bytes:
            headers = {**bearer(house), "Content-Type": "application/json"}
            return api.request(method, path, content=body, headers=headers).content

    event = tell_engine(Here("", ""), Path("rules/orders-prod.yaml"), "orders", Step("STAGING", "PROD"))
    (row,) = listed(house, api, "?kind=change")
    assert (row["id"], row["title"]) == (event, "rules orders promoted from STAGING to PROD")
    assert (row["environment"], row["labels"]["file"]) == ("PROD", "orders-prod.yaml")


WRONG: list[dict[str, Any]] = [
    {"kind": "party"}, {"title": ""}, {"start": "2026-03-01T00:00:00"}, {"link": "javascript:alert(1)"},
    {"start": "2026-03-02T00:00:00Z", "end": "2026-03-01T00:00:00Z"}, {"labels": {"a b": "c"}}, {"more": 1},
]  # fmt: skip


def test_an_event_that_is_wrong_is_refused(house: Engine, api: TestClient) -> None:
    writer = bearer(house)
    for wrong in WRONG:
        answer = api.post("/api/wk/events", json={"kind": "deploy", "title": "x", **wrong}, headers=writer)
        assert answer.status_code == 422, wrong
    assert listed(house, api) == []


def published(house: Engine) -> dict[str, float]:
    """Series of the last step and their values."""
    asyncio.run(house.eventing.step(house.clock.now()))
    known = house.eventing.read(house.clock.now())
    found = rows(known, house.config, house.loaded.services, house.clock.now())
    return {format_series(series): value for series, value in found}


def test_ages_windows_stages_and_alerts_of_others_are_series(house: Engine, api: TestClient) -> None:
    writer = bearer(house)
    told: list[tuple[str, dict[str, Any]]] = [
        ("backup", {"service": "orders-db", "start": "2026-03-02T01:00:00Z"}),
        ("backup", {"service": "orders-db", "start": "2026-03-02T03:00:00Z", "status": "failed"}),
        ("restore_drill", {"service": "orders-db", "start": "2026-03-01T04:00:00Z", "end": "2026-03-01T05:00:00Z"}),
        ("deploy", {"service": "shop", "environment": "PROD", "version": "1", "start": "2026-03-02T03:30:00Z",
                    "end": "2026-03-02T03:40:00Z", "labels": {"tests_passed": "63", "tests_total": "70"}}),
        ("deploy", {"service": "shop", "environment": "TEST", "version": "2", "start": "2026-03-02T03:55:00Z",
                    "status": "running"}),
    ]  # fmt: skip
    for number, (kind, more) in enumerate(told):
        body = {"kind": kind, "title": kind, "id": str(number), **more}
        assert api.post("/api/wk/events", json=body, headers=writer).status_code == 201
    deliver(api, "alertmanager")
    found = published(house)
    assert found['watchkeeper_backup_age_seconds{service="orders-db"}'] == 3 * 3600
    assert found['watchkeeper_backup_target_seconds{service="orders-db"}'] == 3600
    assert found['watchkeeper_drill_age_seconds{service="orders-db"}'] == 24 * 3600
    assert found['watchkeeper_drill_duration_seconds{service="orders-db"}'] == 3600
    window = [name for name in found if name.startswith("watchkeeper_change_out_of_window")]
    assert len(window) == 1
    assert 'reason="window"' in window[0]
    running = 'watchkeeper_deployment_running_seconds{environment="TEST",service="shop",stage="deploy"}'
    assert found[running] == 300
    assert found['watchkeeper_tests_passed_ratio{service="shop",version="1"}'] == 0.9
    firing = 'environment="TEST",foreign="Down",level="P1",origin="alertmanager",service="orders"'
    assert found[f"watchkeeper_foreign_alerts{{{firing}}}"] == 1
    assert found['watchkeeper_dora_deployments_per_day{service="shop",window="7d"}'] == pytest.approx(1 / 7)


def test_an_alert_of_others_ends_when_they_say_so(house: Engine, api: TestClient) -> None:
    deliver(api, "alertmanager")
    body = json.loads(json.dumps(TOLD["alertmanager"][1]))
    body["alerts"][0] |= {"status": "resolved", "endsAt": "2026-03-02T03:58:00Z"}
    sent = json.dumps(body).encode()
    api.post("/api/wk/webhooks/alertmanager", content=sent, headers=proof("alertmanager", sent))
    assert not [name for name in published(house) if name.startswith("watchkeeper_foreign_alerts")]


def alert_of_github(api: TestClient, action: str, minute: int) -> None:
    alert = {
        "html_url": "https://github.com/acme/orders/security/dependabot/7", "created_at": "2026-03-01T00:00:00Z",
        "updated_at": f"2026-03-02T03:{minute}:00Z", "security_advisory": {"severity": "high", "summary": "XSS"},
    }  # fmt: skip
    sent = json.dumps({"action": action, "alert": alert, "repository": REPOSITORY}).encode()
    headers = {"X-GitHub-Event": "dependabot_alert", **proof("github", sent)}
    assert api.post("/api/wk/webhooks/github", content=sent, headers=headers).status_code == 200


def test_a_finding_is_open_until_it_is_said_to_be_closed(house: Engine, api: TestClient) -> None:
    name = 'watchkeeper_security_findings{environment="TEST",service="shop",severity="high"}'
    for action, minute, count in (("created", 10, 1), ("fixed", 20, 0), ("reopened", 30, 1), ("dismissed", 40, 0)):
        alert_of_github(api, action, minute)
        assert published(house)[name] == count, action


def deployed(house: Engine, api: TestClient, **more: Any) -> None:
    body = {"kind": "deploy", "title": "orders 1", "service": "shop", "environment": "PROD", "version": "1", **more}
    assert api.post("/api/wk/events", json=body, headers=bearer(house)).status_code == 201


def test_an_incident_and_its_explanation_name_the_change_before_it(house: Engine, api: TestClient) -> None:
    deployed(house, api, start="2026-03-02T03:30:00Z", end="2026-03-02T03:58:00Z")
    deployed(house, api, start="2026-03-02T01:30:00Z", title="long over")
    opened(house)
    reader = bearer(house)
    found = api.get("/api/wk/incidents/inc-1", headers=reader).json()["changes"]
    assert [(one["id"], one["whose"]) for one in found] == [("event-1", "own")]
    told = api.get("/api/wk/explain/inc-1", headers=reader).json()
    assert told["changes"] == found
    assert any("Deploy event-1" in line for line in told["text"])


def test_a_deploy_followed_by_an_incident_is_to_be_rolled_back_and_gates_are_as_told(
    house: Engine, api: TestClient
) -> None:
    deployed(house, api, start="2026-03-02T03:30:00Z", end="2026-03-02T03:58:00Z")
    deployed(house, api, kind="change", labels={"gate": "grey", "stage": "grey"}, status="failed")
    assert releases(house, api)["soak"] == "watching"
    opened(house)
    row = releases(house, api)
    assert row["soak"] == "roll_back"
    assert (row["gates"]["grey"], row["gates"]["review"]) == ("failed", "unknown")
    name = 'watchkeeper_rollback_recommended{environment="PROD",service="shop",version="1"}'
    assert published(house)[name] == 1


def test_a_service_with_a_target_and_no_backup_is_shown_as_never_told(house: Engine, api: TestClient) -> None:
    rows = api.get("/api/wk/changes", headers=bearer(house)).json()["ages"]
    assert [(row["kind"], row["age_seconds"], row["status"]) for row in rows] == [
        ("backup", None, "never"), ("restore_drill", None, "never"),
    ]  # fmt: skip


def releases(house: Engine, api: TestClient) -> dict[str, Any]:
    (found,) = api.get("/api/wk/changes", headers=bearer(house)).json()["releases"]
    return dict(found)


def opened(house: Engine) -> None:
    now = house.clock.now()
    row = Incident(
        id="inc-1", state=IncidentState.OPENED, severity=Severity.P1, title="slow", group_key="k",
        labels={"service": "shop"}, opened_at=now, alert_ids=(), correlation_id="corr-1",
    )  # fmt: skip
    with house.state.begin() as unit:
        unit.incidents.save(row, reason="opened", at=now)
