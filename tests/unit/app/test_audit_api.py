"""What the page Audit asks: rows by actor, kind, time and text, the chain, heads elsewhere, the rows as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from support.engines import NOON, clock_of, engine

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.store.state.repositories.audit import GENESIS, row_hash


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    return tmp_path / "heads"


@pytest.fixture
def house(tmp_path: Path, heads: Path) -> Iterator[Engine]:
    with engine(tmp_path, audit={"heads": {"file": str(heads)}}) as found:
        yield found


@pytest.fixture
def api(house: Engine) -> TestClient:
    token, _ = create_system_token(house.state, "test", Role.ADMIN, now=NOON)
    client = TestClient(create(house), headers={"authorization": f"Bearer {token}"})
    with house.state.begin() as unit:
        for number in range(5):
            at = NOON + timedelta(minutes=number)
            unit.audit.append(
                "ada" if number % 2 else "engine", "action.proposed", f"act-{number}", {"n": number}, at=at
            )
        unit.audit.append("ada", "kill_switch.set", "remediation", {"reason": "100% SMOKE"}, at=NOON)
    return client


def subjects(api: TestClient, **asked: object) -> list[str]:
    return [row["subject"] for row in api.get("/api/wk/audit", params=asked).json()["rows"]]  # type: ignore[arg-type]


def test_rows_are_found_by_actor_kind_time_and_text(api: TestClient) -> None:
    assert subjects(api, actor="ada", action="action.") == ["act-3", "act-1"]
    assert subjects(api, text="100% smoke") == ["remediation"]
    assert subjects(api, text="act-4") == ["act-4"]
    since, until = (NOON + timedelta(minutes=1)).isoformat(), (NOON + timedelta(minutes=3)).isoformat()
    assert subjects(api, action="action.", since=since, until=until) == ["act-2", "act-1"]
    assert subjects(api, action="action.", since="2026-03-02T04:04:00") == ["act-4"]  # without a zone: UTC
    assert subjects(api, action="action_") == []
    assert subjects(api, actor="nobody") == []


def test_pages_follow_each_other_without_gap_or_repeat(api: TestClient) -> None:
    found, before = list[int](), None
    while True:
        page = api.get("/api/wk/audit", params={"limit": 2, **({"before": before} if before else {})}).json()
        found += [row["seq"] for row in page["rows"]]
        before = page["next"]
        if before is None:
            break
    assert found == list(range(max(found), 0, -1))


def test_the_export_can_be_verified_by_itself(api: TestClient) -> None:
    answer = api.get("/api/wk/audit/export")
    assert "attachment" in answer.headers["content-disposition"]
    rows = [json.loads(line) for line in answer.text.splitlines()][::-1]
    assert rows[0]["previous_hash"] == GENESIS
    assert all(one["hash"] == other["previous_hash"] for one, other in pairwise(rows))
    last = rows[-1]
    detail = json.dumps(last["detail"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    facts = [int(NOON.timestamp() * 1000), last["actor"], last["action"], last["subject"]]
    assert row_hash(last["previous_hash"], facts, detail) == last["hash"]
    picked = api.get("/api/wk/audit/export", params={"action": "kill_switch"}).text.splitlines()
    assert len(picked) == 1


async def test_the_chain_is_compared_with_the_heads_that_were_sent_and_says_when(
    house: Engine, api: TestClient, heads: Path
) -> None:
    await house.heads.step(NOON)
    found = api.post("/api/wk/audit/verify").json()
    assert (found["intact"], found["heads_compared"], found["heads_configured"]) == (True, 1, True)
    assert found["heads_sent"] == [
        {"place": "file", "at": "2026-03-02T04:00:00Z", "row": found["verified_rows"], "outcome": "sent"}
    ]
    heads.write_text(heads.read_text() + f"2026-03-02T04:01:00Z 400 {'0' * 64}\n")
    found = api.post("/api/wk/audit/verify").json()
    assert (found["intact"], found["missing_head"]["row"]) == (False, 400)
    heads.write_text("nonsense\n")
    assert "is no head" in api.post("/api/wk/audit/verify").json()["heads_unread"]


def test_an_edited_row_shows_at_once_when_asked_and_within_a_minute_by_itself(house: Engine, api: TestClient) -> None:
    assert api.get("/api/wk/audit").json()["intact"]
    with house.state.engine.begin() as connection:
        for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        connection.execute(text("UPDATE audit SET actor = 'eve' WHERE subject = 'act-2'"))
    assert api.get("/api/wk/audit").json()["intact"]  # read whole a moment ago
    clock_of(house).advance(61)
    assert api.get("/api/wk/audit").json()["broken_at"] is not None
    assert api.post("/api/wk/audit/verify").json()["intact"] is False
