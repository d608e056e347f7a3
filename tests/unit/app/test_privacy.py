"""One person's data: counted, erased by an administrator, in the audit without their name, and what stays is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.engines import NOON, PASSWORD, add_user, clock_of, engine
from typer.testing import CliRunner

from detectors.entities import Act
from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.cli import app
from watchkeeper.app.client import Client
from watchkeeper.app.engine import Engine
from watchkeeper.model import Event, EventKind, LogBatch, labels
from watchkeeper.store.logs import Question
from watchkeeper.store.state.repositories.audit import AuditRow

WORDS, REASON = ["lin@example.com", "lin.wang"], "asked for in letter 17"
LIN: dict[str, Any] = {"words": WORDS, "reason": REASON}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path, security={"entities": {"enabled": True}}) as found:
        add_user(found, "root", Role.ADMIN)
        add_user(found, "lin.wang", Role.OPERATOR)
        said = ["lin.wang signed in", "order paid", "mail to LIN@example.com"]
        ms = int(NOON.timestamp() * 1000)
        found.lines.store.append("app", [LogBatch.of(labels(None, service="shop"), said, ms, [0] * 3)], {}, NOON)
        mine = Event(
            kind=EventKind.DEPLOY, title="by lin.wang", start=NOON, actor="lin@example.com",
            labels={"who": "lin.wang"}, payload={"a": ["lin.wang"]},
        )  # fmt: skip
        other = Event(kind=EventKind.DEPLOY, title="by linda", start=NOON, actor="linda")
        with found.state.begin() as unit:
            unit.events.add([mine, other], at=NOON)
        seconds = NOON.timestamp()
        for user in ("lin.wang", "linda"):
            act = Act(at=seconds, user=user, source="10.0.0.1", service="shop", refused=True)
            found.entities.known.take([act])
        yield found


@pytest.fixture
def api(house: Engine) -> TestClient:
    token, _ = create_system_token(house.state, "root", Role.ADMIN, now=clock_of(house).now())
    return TestClient(create(house), headers={"authorization": f"Bearer {token}"})


def erase(api: TestClient, **more: Any) -> dict[str, Any]:
    answer = api.post("/api/wk/privacy/erase", json=LIN | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def texts(house: Engine) -> list[str]:
    return [line.text for line in house.lines.store.search(Question(query="")).lines]


COUNTS = {"lines": 2, "segments": 1, "events": 1, "entities": 1, "accounts": 1}


def test_a_person_is_counted_then_gone_and_others_stay(house: Engine, api: TestClient) -> None:
    counted = erase(api)
    assert (counted["dry_run"], counted["erased"]) == (True, COUNTS)
    assert len(texts(house)) == 3, "without a confirmation nothing changes"
    report = erase(api, confirm=True)
    assert (report["dry_run"], report["erased"]) == (False, COUNTS)
    assert texts(house) == ["order paid"]
    with house.state.read() as unit:
        assert [user.name for user in unit.people.users()] == ["root"]
        first, second = sorted(unit.events.find(), key=lambda one: one.id)
        rows = [row for row in unit.audit.newest(10) if row.action.startswith("person.")]
    assert (first.title, first.actor, first.labels, first.payload) == (
        "by [erased]", "[erased]", {"who": "[erased]"}, {"a": ["[erased]"]},
    )  # fmt: skip
    assert second.actor == "linda"
    assert house.entities.standing("user", "lin.wang") is None
    assert house.entities.standing("user", "linda") is not None
    source = house.entities.standing("source", "10.0.0.1")
    assert source is not None
    assert source[0].entity.refusals is not None
    assert list(source[0].entity.refusals.others) == ["linda"], "nor does an address remember whom it tried"
    assert "lin.wang" not in house.data.entities.read_text()
    assert not any(erase(api)["erased"].values()), "asked again, there is nothing"
    the_audit_names_nobody(report, rows)


def the_audit_names_nobody(report: dict[str, Any], rows: Sequence[AuditRow]) -> None:
    assert [(row.actor, row.subject) for row in rows] == [("system:root", report["receipt"])] * 2
    told = json.dumps([dict(row.detail) for row in rows])
    assert REASON in told
    assert not any(word in told for word in WORDS)
    left = {one["where"]: one for one in report["left"]}
    assert left["audit"]["count"] >= 1, "the row that tells of the account's beginning is never changed"
    assert "never changed" in left["audit"]["why"]


def test_what_must_not_be_is_refused_and_nothing_is_changed(house: Engine, api: TestClient) -> None:
    for body, status, said in (
        ({"words": ["x"]}, 400, "could stand for others"),
        ({"reason": "lin@example.com asked"}, 400, "leave the person's name out"),
        ({"words": ["root"], "confirm": True}, 403, "last administrator"),
        ({"reason": ""}, 422, "reason"),
    ):
        answer = api.post("/api/wk/privacy/erase", json=LIN | body)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text
    add_user(house, "other", Role.ADMIN)
    signed = api.post("/api/wk/login", json={"name": "root", "password": PASSWORD}).json()
    own = {"authorization": f"Session {signed['session']}", "X-CSRF-Token": signed["csrf"]}
    answer = api.post("/api/wk/privacy/erase", json=LIN | {"words": ["ROOT"], "confirm": True}, headers=own)
    assert (answer.status_code, "your own account" in answer.text) == (403, True), answer.text
    assert len(texts(house)) == 3


def test_the_command_asks_for_the_password_and_prints_what_was_done(
    house: Engine, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(Client):
        def post(self, path: str, body: Any, *, timeout: float = 0) -> Any:
            answer = api.post(path, json=dict(body), headers=self._who)
            assert answer.status_code == 200, answer.text
            return answer.json()

        def signed_in(self, user: str, password: str) -> Client:
            found = self.post("/api/wk/login", {"name": user, "password": password})
            self._who = {"authorization": f"Session {found['session']}", "X-CSRF-Token": found["csrf"]}
            return self

    here = Here("", "")
    here._who = {}
    monkeypatch.setattr(Client, "of", lambda _: here)
    command = ["privacy", "erase", *WORDS, "--reason", REASON]
    counted = CliRunner().invoke(app, command)
    assert "would be erased: accounts 1, entities 1, events 1, lines 2, segments 1" in counted.output
    assert "nothing was changed; --confirm erases" in counted.output
    chinese = CliRunner().invoke(app, [*command, "--language", "zh-CN"]).output
    assert "将抹除：accounts 1" in chinese
    assert "未做任何改动" in chinese
    done = CliRunner().invoke(app, [*command, "--confirm", "--user", "root"], input=PASSWORD + "\n")
    assert done.exit_code == 0, done.output
    assert "erased: accounts 1" in done.output
    assert "stays: audit" in done.output
    assert texts(house) == ["order paid"]
