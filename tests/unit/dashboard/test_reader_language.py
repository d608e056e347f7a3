"""Pages speak one language: reasons, gates, titles and summaries as the reader reads, in both directions."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from plotly.utils import PlotlyJSONEncoder

from dashboard import switch_card
from dashboard.client import Credentials
from dashboard.context import Caller, Principal
from dashboard.i18n import Words, zone_of
from dashboard.pages import actions, incident, incidents, overview
from watchkeeper.clock import SystemClock

AT = "2026-11-23T10:00:00Z"
#: A rule written in Chinese with English beside it, and the other way round.
TITLES = [("结账变慢", {"title_en": "checkout is slow"}), ("checkout is slow", {"title_zh": "结账变慢"})]
SAID = {"en": "checkout is slow", "zh-CN": "结账变慢"}
CJK = re.compile(r"[\u3400-\u9fff]")


class NoEngine:
    """The pages under test are drawn from rows; nothing is asked."""


def reader(language: str) -> Caller:
    who = Principal("ann", "admin", language, "UTC", Credentials("s", "c"))
    return Caller(who, Words(language, zone_of("UTC")), "light", NoEngine(), 5.0, SystemClock())  # type: ignore[arg-type]


def drawn(component: Any) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def row(title: str, details: dict[str, str]) -> dict[str, Any]:
    return {
        "id": "inc-1", "state": "opened", "severity": "P1", "title": title, "details": details, "labels": {},
        "opened_at": AT, "respond_by": AT, "acknowledged_at": None, "acknowledged_by": "", "mitigated_at": None,
        "resolved_at": None, "alerts": 1, "actions": 0, "changes": [],
    }  # fmt: skip


def story(title: str, details: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    def change(kind: str, old: str, new: str, reason: str) -> dict[str, Any]:
        return {"at": AT, "kind": kind, "subject_id": "x", "old_state": old, "new_state": new, "reason": reason,
                "actor": "engine"}  # fmt: skip

    return {
        "incident": row(title, details),
        "alerts": [{"id": "alert-1", "rule": "Slow", "state": "firing", "value": 1.0, "labels": {}, "expr": "x",
                    "annotations": annotations, "severity": "P1", "measured": "", "word": None}],
        "timeline": [
            change("alert", "pending", "firing", "condition_held"),
            change("action", "verifying", "verifying", "verified, holding for 0:00:20"),
            change("incident", "opened", "opened", "值班同事：我来看"),
        ],
        "actions": [],
        "changes": [],
        "deliveries": [{"channel": "oncall", "title": "x", "state": "queued", "at": AT, "possible_repeat": True,
                        "detail": "interrupted while sending"}],
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize(("title", "details"), TITLES)
def test_an_incident_is_called_by_the_readers_name_everywhere(
    title: str, details: dict[str, str], language: str
) -> None:
    caller, other = reader(language), {"en": "结账变慢", "zh-CN": "checkout is slow"}[language]
    annotations = {"summary": title, **{name.replace("title", "summary"): text for name, text in details.items()}}
    listed = overview.incidents(caller, {"incidents": [row(title, details)]})
    for shown in (
        drawn(incident.body(caller, story(title, details, annotations))),
        incidents.row(caller, row(title, details))["title"],
        drawn(listed),
    ):
        assert SAID[language] in shown
        assert other not in shown


def test_a_rule_with_one_language_is_shown_in_it() -> None:
    assert incidents.row(reader("en"), row("结账变慢", {}))["title"] == "结账变慢"
    assert "结账变慢" in drawn(incident.body(reader("en"), story("结账变慢", {}, {"summary": "结账变慢"})))


def test_the_timeline_gives_reasons_in_the_readers_language() -> None:
    data = story("checkout is slow", {}, {"summary": "slow"})
    chinese, english = drawn(incident.body(reader("zh-CN"), data)), drawn(incident.body(reader("en"), data))
    for expected in ("条件已持续满足规定时间", "验证通过，继续观察 20 秒", "发送过程中断", "值班同事：我来看"):
        assert expected in chinese
    for expected in ("The condition has held", "verified, holding for 20 s", "interrupted while sending"):
        assert expected in english
    assert "0:00:20" not in chinese + english


def plan(state: str, verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    desired = {"primary": {"state": "drain"}, "backup": {"state": "ready"}}
    return {
        "id": "act-1", "state": state, "mode": "approve", "risk": "A2", "rule": "fail-over", "action": "haproxy",
        "targets": ["vip"], "reason": "condition_met", "created_at": AT, "updated_at": AT, "plan_hash": "0" * 64,
        "needs": 1, "approvals": [], "verdicts": verdicts, "plan": {"desired": desired},
        "progress": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("zh-CN", ("条件已满足", "故障确认", "由 bob 豁免", "冷却期", "目标仍在冷却期，还需 40 秒")),
        ("en", ("The condition is met", "Confirmation", "waived by bob", "Cool-down", "rests for another 40 s")),
    ],
)
def test_plans_and_refusals_are_read_in_the_readers_language(language: str, expected: tuple[str, ...]) -> None:
    verdicts = [
        {"gate": "confirmed", "passed": True, "reason": "waived by bob"},
        {"gate": "cooldown", "passed": False, "reason": "the target rests for another 40 s"},
    ]
    caller = reader(language)
    waiting = drawn(actions.plan(caller, plan("awaiting_approval", verdicts)))
    for text in (*expected, "primary.state", "drain"):
        assert text in waiting
    past = drawn(actions.history(caller, [plan("suppressed", verdicts)]))
    for text in (expected[0], *expected[3:]):
        assert text in past
    assert bool(CJK.search(past)) is (language == "zh-CN")


def test_the_kill_switch_says_why_it_is_set() -> None:
    on = {"on": True, "by": "file", "at": AT, "reason": "the file /data/STOP exists"}
    assert "存在停止文件 /data/STOP" in drawn(switch_card.state(reader("zh-CN"), on))
    assert "storm" in drawn(switch_card.state(reader("zh-CN"), {**on, "reason": "storm"}))
