"""Explain: one chain from the alert to the message, whichever end of it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.states import NOON, sqlite_state

from watchkeeper.app.explain import explain
from watchkeeper.model import (
    ActionRecord,
    ActionState,
    Alert,
    AlertState,
    Incident,
    IncidentState,
    Message,
    Mode,
    Plan,
    RiskClass,
    Severity,
    Target,
)
from watchkeeper.store.state import State, Unit

#: Keys of deliveries may be longer than an id.
LONG_KEY = f"inc-1/opened/{'x' * 80}@ding"
SHANGHAI = ZoneInfo("Asia/Shanghai")


def alert(name: str, incident: str = "inc-1", correlation: str = "corr-1") -> Alert:
    return Alert(
        id=name, fingerprint=name, rule="Hot", group="g", expr="temperature > 50", labels={}, annotations={},
        state=AlertState.FIRING, severity=Severity.P1, value=60.0, active_at=NOON, fired_at=NOON,
        incident_id=incident, correlation_id=correlation,
    )  # fmt: skip


def action(name: str, incident: str = "inc-1") -> ActionRecord:
    plan = Plan(
        action="haproxy", rule="drain", rule_version="1", incident_id=incident,
        targets=(Target(kind="haproxy", name="web"),), desired={}, before={}, rollback={}, parameters={},
        verify="up == 0", risk=RiskClass.A1, mode=Mode.AUTO, reason="web1 is bad",
    )  # fmt: skip
    return ActionRecord(
        id=name, state=ActionState.ARMED, plan=plan, created_at=NOON, updated_at=NOON, requester="drain",
        correlation_id="corr-of-action",
    )  # fmt: skip


def fill(unit: Unit) -> None:
    unit.alerts.save(alert("alert-1"), reason="condition_held", at=NOON, evidence={"value": 60.0, "long": "x" * 500})
    unit.alerts.save(alert("alert-2", correlation="corr-2"), reason="condition_held", at=NOON + timedelta(seconds=2))
    unit.alerts.save(alert("alert-9", incident="inc-9", correlation="corr-9"), reason="another_story", at=NOON)
    row = Incident(
        id="inc-1", state=IncidentState.OPENED, severity=Severity.P1, title="hot", group_key="k", labels={},
        opened_at=NOON, alert_ids=("alert-1", "alert-2"), correlation_id="corr-1",
    )  # fmt: skip
    unit.incidents.save(row, reason="grouped", at=NOON + timedelta(seconds=1))
    unit.actions.save(action("act-1"), reason="planned", at=NOON + timedelta(seconds=3))
    message = Message(kind="firing", title="hot", lines=["hot"], severity=Severity.P1, at=NOON, subject_id="inc-1")
    unit.outbox.put("ding", LONG_KEY, message, priority=1, at=NOON + timedelta(seconds=4))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = sqlite_state(tmp_path)
    with made.begin() as unit:
        fill(unit)
    yield made
    made.close()


def chain(state: State, subject: str) -> dict[str, Any]:
    with state.read() as unit:
        found = explain(unit, subject, SHANGHAI)
    assert found is not None
    return found


@pytest.mark.parametrize(("subject", "kind"), [("alert-1", "alert"), ("inc-1", "incident"), ("act-1", "action")])
def test_from_either_end_the_chain_is_the_whole_one(state: State, subject: str, kind: str) -> None:
    found = chain(state, subject)
    assert (found["id"], found["kind"], found["incident_id"]) == (subject, kind, "inc-1")
    told = [row["subject_id"] for row in found["chain"]]
    assert told == ["alert-1", "inc-1", "alert-2", "act-1", LONG_KEY], "in the order it happened, nothing twice"


def test_the_lines_say_when_what_why_and_on_what_evidence(state: State) -> None:
    first = chain(state, "alert-1")["text"][0]
    assert first.startswith("2026-03-01 20:00:00.000  alert alert-1  inactive -> firing  by engine: condition_held  [")
    assert "value=60.0" in first
    assert "x" * 159 + "…" in first
    assert len(first) < 300


def test_a_note_changes_no_state(state: State) -> None:
    with state.begin() as unit:
        unit.alerts.save(alert("alert-1"), reason="seen_again", at=NOON + timedelta(minutes=1))
        text = explain(unit, "alert-1", SHANGHAI)
    assert text is not None
    notes = [line for line in text["text"] if "seen_again" in line]
    assert all("  note  " in line for line in notes)


def test_an_alert_without_an_incident_has_a_chain_of_its_own(state: State) -> None:
    with state.begin() as unit:
        unit.alerts.save(alert("lonely", incident="", correlation=""), reason="condition_held", at=NOON)
    found = chain(state, "lonely")
    assert (found["kind"], found["incident_id"]) == ("alert", "")
    assert [row["subject_id"] for row in found["chain"]] == ["lonely"]


def test_what_nobody_knows_is_not_explained(state: State) -> None:
    with state.read() as unit:
        assert explain(unit, "inc-404", SHANGHAI) is None


def test_in_chinese_the_line_is_told_in_the_words_of_the_pages(state: State) -> None:
    with state.begin() as unit:
        held = replace(action("act-1"), state=ActionState.VERIFYING)
        unit.actions.save(held, reason="verified, holding for 0:00:20", at=NOON + timedelta(seconds=9))
        found = explain(unit, "alert-1", SHANGHAI, "zh-CN")
    assert found is not None
    first, *_, last = found["text"]
    assert first.startswith("2026-03-01 20:00:00.000  告警 alert-1  未触发 → 告警中  engine: 条件已持续满足规定时间  [")
    assert "value=60.0" in first
    assert last.endswith("动作 act-1  已就绪 → 验证中  engine: 验证通过，继续观察 20 秒")
    assert found["chain"][0]["reason"] == "condition_held", "the rows stay as they were written"
