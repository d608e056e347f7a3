# ruff: noqa: E501 - records read best in few lines
"""What people read, in both languages."""

from __future__ import annotations

import json
import math
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.contingency import Playing, plan

from notifiers import catalogue as catalogues
from notifiers import digest as digests
from notifiers import render
from notifiers.catalogue import LANGUAGES, catalogue
from notifiers.contingency import Occasion, notice, turn
from notifiers.render import TOLD, Renderer, marked_repeat
from notifiers.story import CLOCKS, REASONS, story
from watchkeeper.config.plans import Vendor
from watchkeeper.model import (
    CHANGES,
    ActionRecord,
    ActionState,
    Alert,
    AlertState,
    Event,
    Incident,
    IncidentState,
    Message,
    Mode,
    Plan,
    RiskClass,
    Severity,
    Target,
)
from watchkeeper.store.state import Delivery

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
ALERT = Alert(
    id="alert-1", fingerprint="f", rule="HighErrors", group="web", expr="errors > 0.05",
    labels={"service": "checkout", "team": "pay", "instance": "web1:80"},
    annotations={"summary": "{labels} 错误率高", "description": "5xx", "runbook_url": "https://run.example/1", "action": "drain web1"},
    state=AlertState.FIRING, severity=Severity.P1, value=0.0712345678, active_at=NOON - timedelta(minutes=5),
    fired_at=NOON, incident_id="inc-1",
)  # fmt: skip
INCIDENT = Incident(
    id="inc-1", state=IncidentState.OPENED, severity=Severity.P0, title="checkout down", group_key="g",
    labels={"service": "checkout"}, opened_at=NOON, respond_by=NOON + timedelta(minutes=5), alert_ids=("alert-1",),
)  # fmt: skip
PLAN = Plan(
    action="haproxy", rule="drain-bad-server", rule_version="1", incident_id="inc-1",
    targets=(Target(kind="haproxy", name="web1"),), desired={"web1": "drain"}, before={}, rollback={}, parameters={},
    verify="x", risk=RiskClass.A2, mode=Mode.AUTO, reason="errors",
)  # fmt: skip
RECORD = ActionRecord(
    id="act-1", state=ActionState.PROPOSED, plan=PLAN, created_at=NOON, updated_at=NOON, requester="r", correlation_id="c",
)  # fmt: skip
DAILY: dict[str, Any] = {
    "open": 1, "opened": 2, "healthy": 3, "total": 4, "actions": 5, "sent": 6, "queued": 7, "head": "abc",
}  # fmt: skip


def reader(language: str = "zh-CN") -> Renderer:
    return Renderer(language=language, zone=SHANGHAI, public_url="https://watch.example/")


def delivery(message: Message, number: int) -> Delivery:
    return Delivery(
        id=number, channel="c", idempotency_key=str(number), state="queued", priority=1, message=message,
        subject_id=message.subject_id, created_at=NOON, next_attempt_at=NOON, attempts=0, possible_repeat=False,
        finished_at=None, detail="",
    )  # fmt: skip


def plan_turns(one: Renderer) -> list[Message]:
    """A contingency plan at every turn, recovered or not, in earnest and as a drill."""
    texts = {"title": "提示", "title_en": "{plan}", "text": "{service} {elapsed}", "text_en": "since {started}"}
    wanted = plan(title="承运商", title_en="Carrier", notices=[{"audience": "users", "at": "tell", **texts}])
    run = Playing.of(wanted).run
    drill = replace(run, drill=True, recovered_at=NOON)
    vendors = {"carrier": Vendor(name="carrier", phone="+86 400")}
    step = wanted.step("call").model_copy(update={"text": "报障", "text_en": "call them"})
    words = ("start", "step", "blocked", "overdue", "late", "back", "recovered", "end", "aborted")
    of: dict[str, Any] = {
        "plan": wanted,
        "now": NOON,
        "severity": Severity.P1,
        "vendors": vendors,
        "reason": "the rule is gone",
    }
    found = [turn(one, Occasion(word=word, run=each, step=step, **of)) for word in words for each in (run, drill)]
    asked = Occasion(word="step", run=run, step=wanted.step("degrade"), **of)
    return [*found, turn(one, asked), notice(one, asked, wanted.notices[0])]


def everything(language: str) -> list[Message]:
    one = reader(language)
    over = replace(ALERT, state=AlertState.RESOLVED, resolved_at=NOON + timedelta(minutes=7))
    found = [one.alert(ALERT, NOON), one.alert(over, NOON)]
    found.append(one.alert(replace(ALERT, value=math.nan, labels={"environment": "PROD"}, incident_id=""), NOON))
    found += [one.incident(INCIDENT, NOON), one.incident(replace(INCIDENT, state=IncidentState.RESOLVED), NOON)]
    found += [one.action(replace(RECORD, state=state), NOON) for state in TOLD]
    found += [one.daily(DAILY, NOON), one.test("ding", "ann", NOON), one.channel_off("ding", "gone", NOON)]
    found.append(
        one.report("report-1", [("disk", NOON), ("cpu", None)], NOON, total=5, attachments=[("a", "b/c", b"")])
    )
    for reason in (*REASONS, *CLOCKS):
        kind = "firing" if reason in REASONS else "escalation"
        found.append(story(one, kind, reason, INCIDENT, [ALERT, replace(ALERT, id="alert-2")], NOON))
    deeds = [Event(kind=kind, title="1.4", start=NOON, service="shop", link="https://ci/7") for kind in CHANGES]
    found += [story(one, "firing", "new", INCIDENT, [ALERT], NOON, [deed]) for deed in deeds]
    found += plan_turns(one)
    other = one.test("ding", "ann", NOON)
    sample = [found[0], found[1], replace(found[0], subject_id="z"), replace(found[1], subject_id="y"), other]
    many = [replace(found[0], subject_id=f"n{number}") for number in range(120)]
    queue = [delivery(message, number) for number, message in enumerate([*sample, *many])]
    found += [digests.digest(queue[:5], NOON, SHANGHAI), digests.digest(queue, NOON, SHANGHAI), marked_repeat(found[0])]
    return found


def test_both_languages_have_the_same_keys_and_the_same_gaps() -> None:
    gaps = [
        {
            key: sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)
            for key, text in catalogue(language).items()
        }
        for language in LANGUAGES
    ]
    assert gaps[0] == gaps[1]
    assert all(text.strip() for language in LANGUAGES for text in catalogue(language).values())


def test_every_key_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[str] = set()

    def listening(language: str, key: str, **values: object) -> str:
        used.add(key)
        return catalogues.catalogue(language)[key].format(**values)

    monkeypatch.setattr(render, "say", listening)
    monkeypatch.setattr(digests, "say", listening)
    everything("en")
    assert used == set(catalogue("en"))


def test_english_messages_hold_no_chinese_and_chinese_ones_some() -> None:
    def chinese(message: Message) -> bool:
        words = " ".join([message.title, *message.lines, *message.links]).replace("错误率高", "")
        return any("\u4e00" <= char <= "\u9fff" for char in words)

    assert not any(map(chinese, everything("en")))
    assert all(map(chinese, everything("zh-CN")))


def test_a_firing_alert_tells_what_a_person_needs() -> None:
    found = reader().alert(ALERT, NOON)
    assert (found.kind, found.title, found.subject_id) == ("firing", "[P1] {labels} 错误率高", "inc-1")
    assert found.lines == (
        "表达式：errors > 0.05",
        "当前值：0.0712346",
        "服务：checkout",
        "实例：web1:80",
        "团队：pay",
        "开始时间：2026-03-01 20:00:00 +0800",
        "说明：5xx",
        "建议操作：drain web1",
    )
    assert found.links == {
        "打开页面": "https://watch.example/incidents/inc-1",
        "这次告警对吗？": "https://watch.example/detection/alert-1",
        "处理手册": "https://run.example/1",
    }


def test_a_resolved_alert_tells_how_long_it_lasted() -> None:
    over = replace(ALERT, state=AlertState.RESOLVED, resolved_at=NOON + timedelta(minutes=7))
    found = reader("en").alert(over, NOON)
    assert found.title.startswith("[Resolved]")
    assert "Lasted: 7 min" in found.lines
    assert "Resolved at: 2026-03-01 20:07:00 +0800" in found.lines


def test_an_unknown_value_is_called_unknown() -> None:
    assert "Value: unknown" in reader("en").alert(replace(ALERT, value=math.nan), NOON).lines


@pytest.mark.parametrize("state", TOLD)
def test_every_step_of_an_action_is_told(state: ActionState) -> None:
    found = reader("en").action(replace(RECORD, state=state), NOON, reason="why")
    assert "drain-bad-server" in found.title
    assert "Reason: why" in found.lines
    assert "State wanted: web1: drain" in found.lines


def test_the_engines_reasons_are_told_in_the_readers_language() -> None:
    held = replace(RECORD, state=ActionState.VERIFYING)
    switch = "switch: maintenance of web1 until 2026-03-01T13:00:00+00:00"
    for reason, english, chinese in (
        ("verified, holding for 0:00:20", "verified, holding for 20 s", "验证通过，继续观察 20 秒"),
        (switch, "Kill switch: maintenance of web1 until 2026-03-01 21:00 +0800",
         "紧急停止：web1 处于维护窗口，至 2026-03-01 21:00 +0800 结束"),
        ("ann: we deploy", "ann: we deploy", "ann: we deploy"),
    ):  # fmt: skip
        assert f"Reason: {english}" in reader("en").action(held, NOON, reason=reason).lines
        assert f"原因：{chinese}" in reader("zh-CN").action(held, NOON, reason=reason).lines
    planned = replace(RECORD, plan=replace(PLAN, reason="condition_met"))
    assert "原因：条件已满足" in reader("zh-CN").action(planned, NOON).lines


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wanted_state_is_told_without_a_programmers_brackets(language: str) -> None:
    wanted = {"primary": {"state": "drain"}, "backup": {"state": "ready"}}
    lines = reader(language).action(replace(RECORD, plan=replace(PLAN, desired=wanted)), NOON).lines
    assert [line for line in lines if line.endswith("primary: drain, backup: ready")]
    assert not [line for line in lines if "{" in line or "'" in line]


def test_a_plan_without_a_target_yet_has_no_empty_lines() -> None:
    bare = replace(RECORD, plan=replace(PLAN, targets=(), desired={}))
    assert reader("en").action(bare, NOON, reason="why").lines == ("Reason: why", "Risk class: A2")


def test_steps_nobody_is_told_about_are_a_mistake() -> None:
    with pytest.raises(KeyError):
        reader().action(replace(RECORD, state=ActionState.ARMED), NOON)


def test_hostile_annotations_are_never_templates() -> None:
    evil = replace(ALERT, annotations={"summary": "{0.__class__} {severity} %s", "description": "{x!r:>99999999}"})
    found = reader().alert(evil, NOON)
    assert found.title == "[P1] {0.__class__} {severity} %s"
    assert "说明：{x!r:>99999999}" in found.lines


def test_catalogues_are_plain_files_in_the_package() -> None:
    for language in LANGUAGES:
        path = Path(catalogues.__file__).with_name("locales") / f"{language}.json"
        assert json.loads(path.read_text("utf-8")) == catalogue(language)


def test_a_rule_in_two_languages_speaks_the_readers_one() -> None:
    both = {"summary": "主用副本无响应", "summary_en": "the primary is down", "action": "切换", "action_en": "switch"}
    alert = replace(ALERT, annotations=both)
    english, chinese = reader("en").alert(alert, NOON), reader("zh-CN").alert(alert, NOON)
    assert "the primary is down" in english.title
    assert "主用副本无响应" in chinese.title
    assert any("switch" in line for line in english.lines)
    assert not any("切换" in line for line in english.lines)
    assert any("切换" in line for line in chinese.lines)
    incident = replace(INCIDENT, title="主用副本无响应", details={"title_en": "the primary is down"})
    assert "the primary is down" in reader("en").incident(incident, NOON).title
    assert "主用副本无响应" in reader("zh-CN").incident(incident, NOON).title


@pytest.mark.parametrize(
    ("annotations", "details", "title"),
    [
        (
            {"summary": "主用副本无响应", "summary_en": "the primary is down"},
            {"title_en": "the primary is down"},
            "主用副本无响应",
        ),
        (
            {"summary": "the primary is down", "summary_zh": "主用副本无响应"},
            {"title_zh": "主用副本无响应"},
            "the primary is down",
        ),
    ],
)
def test_other_alerts_and_escalations_are_told_in_the_readers_language(
    annotations: dict[str, str], details: dict[str, str], title: str
) -> None:
    incident = replace(INCIDENT, title=title, details=details)
    alerts = [ALERT, replace(ALERT, id="alert-2", annotations=annotations, severity=Severity.P2)]
    for language, expected in (("en", "the primary is down"), ("zh-CN", "主用副本无响应")):
        told = story(reader(language), "firing", "grew", incident, alerts, NOON)
        assert told.lines[-1].endswith(expected)
        assert expected in story(reader(language), "escalation", "respond_late", incident, [], NOON).title
