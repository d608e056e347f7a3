"""Every repository keeps and answers the same on SQLite and PostgreSQL."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import StatementError
from support.states import NOON

from watchkeeper.errors import StoreError
from watchkeeper.model import (
    ActionRecord,
    ActionState,
    Alert,
    AlertState,
    Approval,
    Incident,
    IncidentState,
    Message,
    Mode,
    Plan,
    RiskClass,
    Severity,
    Target,
)
from watchkeeper.store.state import AlertWrite, Declaration, State, Transition
from watchkeeper.store.state.database import ready
from watchkeeper.store.state.repositories.incidents import Silence
from watchkeeper.store.state.repositories.people import Session, Token, User

LATER = NOON + timedelta(minutes=5)


def an_alert(alert_id: str = "alert-1", state: AlertState = AlertState.FIRING, **more: object) -> Alert:
    values: dict[str, object] = {
        "id": alert_id,
        "fingerprint": "f1",
        "rule": "HighCPU",
        "group": "host",
        "expr": "cpu > 0.9",
        "labels": {"service": "checkout", "名": "值"},
        "annotations": {"summary": "busy"},
        "state": state,
        "severity": Severity.P1,
        "value": 0.97,
        "active_at": NOON,
        "incident_id": "inc-1",
        "correlation_id": "c1",
        "evidence": {"points": [1, 2.5]},
    }
    return Alert(**{**values, **more})  # type: ignore[arg-type]


def a_plan() -> Plan:
    return Plan(
        action="haproxy",
        rule="drain",
        rule_version="1",
        incident_id="inc-1",
        targets=(Target(kind="haproxy", name="web1", epoch="e1"),),
        desired={"web1": "drain"},
        before={"web1": "ready"},
        rollback={"web1": "ready"},
        parameters={},
        verify="errors > 0",
        risk=RiskClass.A2,
        mode=Mode.APPROVE,
        reason="errors",
    )


def an_action(action_id: str = "act-1", state: ActionState = ActionState.PROPOSED) -> ActionRecord:
    return ActionRecord(
        id=action_id,
        state=state,
        plan=a_plan(),
        created_at=NOON,
        updated_at=NOON,
        requester="drain",
        correlation_id="c1",
        progress={"gates": ["a"]},
    )


def a_message(title: str = "CPU high", **more: object) -> Message:
    values: dict[str, object] = {
        "kind": "firing",
        "title": title,
        "lines": ("a", "b"),
        "severity": Severity.P0,
        "at": NOON,
        "links": {"page": "http://x/"},
        "subject_id": "inc-1",
    }
    return Message(**{**values, **more})  # type: ignore[arg-type]


def test_an_alert_comes_back_as_it_was_kept(state: State) -> None:
    alert = an_alert(fired_at=LATER)
    with state.begin() as unit:
        unit.alerts.save(alert, reason="bad for 5 m", at=NOON)
        unit.alerts.save(an_alert("alert-2", AlertState.RESOLVED, value=math.nan), reason="", at=NOON)
    with state.read() as unit:
        assert unit.alerts.get("alert-1") == alert
        assert unit.alerts.open() == [alert]
        assert [found.id for found in unit.alerts.of_incident("inc-1")] == ["alert-1", "alert-2"]
        assert [found.id for found in unit.alerts.recent(NOON)] == ["alert-1", "alert-2"]
        unknown = unit.alerts.get("alert-2")
        assert unknown is not None
        assert math.isnan(unknown.value)
        assert unit.alerts.get("alert-3") is None


def test_many_alerts_are_kept_as_one_by_one_with_new_and_known_ones_mixed(state: State) -> None:
    with state.begin() as unit:
        assert unit.alerts.new_ids(0) == []
        ids = unit.alerts.new_ids(1200)
        assert (ids[0], ids[-1], unit.alerts.new_id()) == ("alert-1", "alert-1200", "alert-1201")
        unit.alerts.save_many([])
        old = [an_alert(each, AlertState.PENDING, correlation_id=each, incident_id="") for each in ids[:700]]
        unit.alerts.save_many([AlertWrite(alert=one, reason="bad", at=NOON) for one in old])
        now = [an_alert(each, correlation_id=each, incident_id="", value=math.nan) for each in ids]
        unit.alerts.save_many([AlertWrite(alert=one, reason="worse", at=LATER, evidence={"v": 1}) for one in now])
        unit.alerts.join({ids[0]: "inc-1", ids[1199]: "inc-2"})
    with state.read() as unit:
        rows = unit.alerts.open()
        assert {row.id for row in rows} == set(ids)
        assert all(row.state is AlertState.FIRING and math.isnan(row.value) for row in rows)
        assert unit.alerts.incident_ids([*ids, "alert-9999"]) == {ids[0]: "inc-1", ids[1199]: "inc-2"}
        assert unit.transitions.counts() == {("alert", "pending"): 700, ("alert", "firing"): 1200}
        first = [(one.old_state, one.new_state, one.evidence) for one in unit.transitions.of(ids[0])]
        assert first == [
            ("inactive", "pending", {"value": 0.97, "expr": "cpu > 0.9"}),
            ("pending", "firing", {"v": 1}),
        ]
        assert [one.old_state for one in unit.transitions.of(ids[1199])] == ["inactive"]


def test_one_alert_twice_in_a_batch_passes_both_states_and_keeps_the_last(state: State) -> None:
    both = [an_alert(state=AlertState.PENDING), an_alert()]
    with state.begin() as unit:
        unit.alerts.save_many([AlertWrite(alert=one, reason="bad", at=NOON) for one in both])
    with state.read() as unit:
        assert unit.alerts.open() == [both[1]]
        assert [(one.old_state, one.new_state) for one in unit.transitions.of("alert-1")] == [
            ("inactive", "pending"),
            ("pending", "firing"),
        ]


def test_only_a_changed_state_is_a_transition_and_the_chain_reads_in_order(state: State) -> None:
    with state.begin() as unit:
        unit.alerts.save(an_alert(state=AlertState.PENDING), reason="bad", at=NOON)
        unit.alerts.save(an_alert(state=AlertState.PENDING, value=0.99), reason="bad", at=NOON)
        unit.alerts.save(an_alert(), reason="bad for 5 m", at=LATER, actor="rules", evidence={"value": 0.97})
    with state.read() as unit:
        steps = unit.transitions.chain("c1")
        assert [(step.old_state, step.new_state, step.reason) for step in steps] == [
            ("inactive", "pending", "bad"),
            ("pending", "firing", "bad for 5 m"),
        ]
        assert unit.transitions.of("alert-1") == steps
        assert unit.transitions.since(LATER, "alert") == steps[1:]
        assert unit.transitions.counts() == {("alert", "pending"): 1, ("alert", "firing"): 1}


def test_incidents_and_silences_come_back_as_they_were_kept(state: State) -> None:
    incident = Incident(
        id="inc-1",
        state=IncidentState.OPENED,
        severity=Severity.P0,
        title="checkout is down",
        group_key="checkout",
        labels={"service": "checkout"},
        opened_at=NOON,
        alert_ids=["alert-1"],
        details={"cause": None},
    )
    silence = Silence(
        id="silence-1",
        matchers=[["service", "=", "a"]],
        starts_at=NOON,
        ends_at=LATER,
        created_by="ann",
        comment="work",
    )
    with state.begin() as unit:
        assert (unit.incidents.new_id(), unit.incidents.new_id()) == ("inc-1", "inc-2")
        assert unit.incidents.new_silence_id() == "silence-1"
        unit.incidents.save(incident, reason="first alert", at=NOON)
        unit.incidents.add_silence(silence)
    with state.begin() as unit:
        assert unit.incidents.open() == [incident]
        assert unit.incidents.silences(NOON) == [silence]
        unit.incidents.save(replace(incident, state=IncidentState.RESOLVED), reason="over", at=LATER, actor="ann")
        unit.incidents.end_silence("silence-1", NOON)
    with state.read() as unit:
        assert unit.incidents.open() == []
        assert unit.incidents.silences(NOON) == []
        assert [found.state for found in unit.incidents.recent(NOON)] == [IncidentState.RESOLVED]
        assert [step.actor for step in unit.transitions.of("inc-1")] == ["engine", "ann"]
        assert unit.incidents.get("inc-9") is None


def test_an_action_keeps_its_plan_to_the_byte(state: State) -> None:
    with state.begin() as unit:
        assert unit.actions.new_id() == "act-1"
        unit.actions.save(an_action(), reason="seen", at=NOON)
    with state.read() as unit:
        found = unit.actions.get("act-1")
        assert found is not None
        assert found.plan.canonical() == a_plan().canonical()
        assert (found.state, found.progress) == (ActionState.PROPOSED, {"gates": ["a"]})
        assert unit.actions.get("act-2") is None


def test_actions_are_found_by_state_time_incident_and_rule(state: State) -> None:
    with state.begin() as unit:
        unit.actions.save(an_action(), reason="seen", at=NOON)
        unit.actions.save(an_action("act-2", ActionState.SUCCEEDED), reason="done", at=NOON)
    with state.read() as unit:
        assert [found.id for found in unit.actions.active()] == ["act-1"]
        for both in (
            unit.actions.recent(NOON),
            unit.actions.of_incident("inc-1"),
            unit.actions.of_rule("drain", NOON),
        ):
            assert [found.id for found in both] == ["act-1", "act-2"]
        assert unit.actions.recent(LATER) == []
        assert [found.id for found in unit.actions.recent(NOON, limit=1)] == ["act-2"]  # the newest are kept
        assert [unit.actions.count_of_incident(name) for name in ("inc-1", "inc-2")] == [2, 0]


def test_breakers_read_only_actions_whose_intent_was_committed(state: State) -> None:
    with state.begin() as unit:
        unit.actions.save(an_action(), reason="seen", at=NOON)
        unit.actions.save(an_action("act-2"), reason="seen", at=NOON)
        intent = unit.actions.commit_intent(an_action("act-2"), "execute", "web", NOON)
        unit.actions.save(replace(an_action("act-2"), token=intent.token), reason="sent", at=NOON)
    with state.read() as unit:
        assert [found.id for found in unit.actions.effective(NOON)] == ["act-2"]
        assert unit.actions.effective(LATER) == []


def test_the_second_word_of_one_person_replaces_the_first(state: State) -> None:
    word = Approval(action_id="act-1", plan_hash="h", user="ann", verdict="reject", reason="no", at=NOON)
    with state.begin() as unit:
        unit.actions.approve(word)
        unit.actions.approve(replace(word, verdict="approve", at=LATER))
        unit.actions.approve(replace(word, user="bob"))
    with state.read() as unit:
        assert [(found.user, found.verdict) for found in unit.actions.approvals("act-1")] == [
            ("ann", "approve"),
            ("bob", "reject"),
        ]


def test_tokens_of_intents_only_grow_and_one_key_is_committed_once(state: State) -> None:
    with state.begin() as unit:
        first = unit.actions.commit_intent(an_action(), "execute", "web1", NOON)
        second = unit.actions.commit_intent(an_action(), "rollback", "web1", LATER)
        assert second.token > first.token
        unit.actions.finish_intent(first.token, {"ok": True}, LATER)
    with pytest.raises(StoreError), state.begin() as unit:
        unit.actions.commit_intent(an_action("act-2"), "execute", "web1", NOON)
    with state.read() as unit:
        assert [row.operation for row in unit.actions.unfinished_intents()] == ["rollback"]
        assert [row.token for row in unit.actions.intents_since(LATER)] == [second.token]
        assert [row.intent().token for row in unit.actions.intents_of("act-1")] == [first.token, second.token]
        found = unit.actions.intent_by_key(first.idempotency_key)
        assert found is not None
        assert (found.outcome, found.finished_at, found.intent()) == ({"ok": True}, LATER, first)
        assert unit.actions.intent_by_key("none") is None


def test_a_declaration_is_one_row_a_rule(state: State) -> None:
    word = Declaration(rule="drain", owner="ann", declared_at=NOON, expires_at=LATER)
    with state.begin() as unit:
        unit.actions.declare(word)
        unit.actions.declare(replace(word, fallen_at=LATER, reason="rolled back"))
    with state.read() as unit:
        assert unit.actions.declaration("drain") == replace(word, fallen_at=LATER, reason="rolled back")
        assert unit.actions.declaration("other") is None


def test_the_outbox_answers_the_most_urgent_first_and_a_key_once(state: State) -> None:
    report = a_message("report", attachments=(("r.csv", "text/csv", b"\x00\xff"),), severity=None)
    with state.begin() as unit:
        assert unit.outbox.put("mail", "k1", report, priority=3, at=NOON, correlation_id="c1") is not None
        assert unit.outbox.put("ding", "k2", a_message(), priority=0, at=NOON) is not None
        assert unit.outbox.put("ding", "k2", a_message("again"), priority=0, at=NOON) is None
    with state.begin() as unit:
        urgent, slow = unit.outbox.due(NOON)
        assert (urgent.idempotency_key, urgent.message) == ("k2", a_message())
        assert slow.message == report
        unit.outbox.mark(urgent, "sending", at=NOON)
        unit.outbox.mark(slow, "queued", at=NOON, detail="busy", retry_at=LATER, possible_repeat=True)
    with state.read() as unit:
        assert unit.outbox.due(NOON) == []
        assert [found.attempts for found in unit.outbox.interrupted()] == [1]
        waiting = unit.outbox.due(LATER)[0]
        assert (waiting.possible_repeat, waiting.detail, waiting.next_attempt_at) == (True, "busy", LATER)
        assert unit.outbox.counts() == {("ding", "sending"): 1, ("mail", "queued"): 1}
        assert [found.idempotency_key for found in unit.outbox.of_subject("inc-1")] == ["k1", "k2"]
        assert [found.idempotency_key for found in unit.outbox.recent()] == ["k2", "k1"]
        assert [step.new_state for step in unit.transitions.chain("c1")] == ["queued", "queued"]
        assert unit.outbox.get(slow.id) == waiting
        assert unit.outbox.get(99) is None


def test_documents_forecasts_and_reports_come_back(state: State) -> None:
    with state.begin() as unit:
        unit.documents.put("a/1", {"x": [1]}, at=NOON)
        unit.documents.put("a/1", {"x": [2]}, at=LATER)
        unit.documents.put("a%2", 5, at=NOON)
        unit.documents.put_forecast("cpu", [1.0], at=NOON)
        assert unit.documents.add_report("capacity", "en", b"<p>", b"a,b", at=NOON) == "report-1"
    with state.begin() as unit:
        assert unit.documents.get("a/1") == {"x": [2]}
        assert unit.documents.get("none", 7) == 7
        assert unit.documents.with_prefix("a/") == {"a/1": {"x": [2]}}
        assert unit.documents.with_prefix("a%") == {"a%2": 5}
        assert (unit.documents.forecasts(), unit.documents.forecast("cpu")) == ({"cpu": [1.0]}, [1.0])
        assert unit.documents.drop_forecasts(LATER) == 1
        assert unit.documents.reports() == [("report-1", "capacity", NOON, "en")]
        kept = unit.documents.report("report-1")
        assert kept is not None
        assert (kept.html, kept.csv) == (b"<p>", b"a,b")
        assert unit.documents.report("none") is None
        unit.documents.remove("a/1")
        assert unit.documents.get("a/1") is None


def test_people_sessions_tokens_and_failures_come_back(state: State) -> None:
    user = User(
        name="安",
        role="admin",
        password_hash="h",
        language="en",
        time_zone="UTC",
        disabled=False,
        created_at=NOON,
    )
    session = Session(id_hash="s", user="安", csrf="c", created_at=NOON, seen_at=NOON, authenticated_at=NOON)
    token = Token(id_hash="t", name="ci", user="安", role="viewer", created_at=NOON, expires_at=LATER)
    with state.begin() as unit:
        people = unit.people
        people.save_user(user)
        people.save_user(replace(user, role="viewer"))
        people.add_session(session)
        people.add_session(replace(session, id_hash="s2"))
        people.touch_session("s", seen_at=LATER)
        people.add_token(token)
        people.revoke_token("t", LATER)
        people.note_failure("安", "127.0.0.1", NOON)
        people.note_failure("安", "127.0.0.1", LATER)
    with state.begin() as unit:
        people = unit.people
        assert (people.count_users(), people.users(), people.user("x")) == (1, [replace(user, role="viewer")], None)
        assert people.session("s") == replace(session, seen_at=LATER)
        assert people.tokens() == [replace(token, revoked_at=LATER)] == [people.token("t")]
        assert people.failures("安", "127.0.0.1") == (2, LATER)
        people.forget_failures("安", "127.0.0.1")
        assert people.failures("安", "127.0.0.1") == (0, None)
        assert people.end_sessions_before(NOON, LATER) == 1
        people.end_session("s")
        assert people.session("s") is None
        people.add_session(session)
        people.end_sessions_of("安")
        assert people.session("s") is None


def test_a_transaction_that_raises_leaves_nothing(state: State) -> None:
    def fail() -> None:
        with state.begin() as unit:
            unit.documents.put("a", 1, at=NOON)
            raise KeyError("no")

    with pytest.raises(KeyError):
        fail()
    with state.read() as unit:
        assert unit.documents.get("a") is None
        assert ready(unit.connection)


def test_a_reader_sees_one_moment_and_never_writes(state: State) -> None:
    with state.begin() as unit:
        unit.documents.put("a", 1, at=NOON)
    with state.read() as unit:
        assert unit.documents.get("a") == 1
        with state.begin() as writer:
            writer.documents.put("a", 2, at=NOON)
        assert unit.documents.get("a") == 1
    with state.read() as unit:
        assert unit.documents.get("a") == 2


@pytest.mark.parametrize("hostile", ["nul \x00 here", "half \ud800 pair", "x" * 100_000, "💥'; DROP TABLE users; --"])
def test_hostile_text_is_kept_or_cleaned_and_never_refused(state: State, hostile: str) -> None:
    clean = hostile.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    with state.begin() as unit:
        unit.alerts.save(an_alert(rule=hostile, labels={hostile: hostile}), reason=hostile, at=NOON)
        unit.audit.append(hostile, hostile, hostile, {hostile: hostile}, at=NOON)
        unit.transitions.record(
            Transition(kind="alert", subject_id=hostile, old_state="", new_state="x", at=NOON, reason=hostile)
        )
    with state.read() as unit:
        found = unit.alerts.get("alert-1")
        assert found is not None
        assert (found.rule, found.labels) == (clean, {clean: clean})
        assert unit.audit.verify() is None


def test_a_time_without_a_zone_is_refused(state: State) -> None:
    with pytest.raises(StatementError, match="no time zone"), state.begin() as unit:
        unit.documents.put("a", 1, at=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake this is about
