"""What is over is forgotten after a while; what is open, and the audit, never."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from support.states import NOON

from watchkeeper.model import Message
from watchkeeper.store.state import State, Transition
from watchkeeper.store.state.retention import prune
from watchkeeper.store.state.tables import attachments

MONTH = timedelta(days=30)


def live(state: State, kind: str, subject: str, *steps: str, start_days: int = 0) -> None:
    with state.begin() as unit:
        for number, step in enumerate(steps):
            at = NOON + timedelta(days=start_days, minutes=number)
            unit.transitions.record(
                Transition(kind=kind, subject_id=subject, old_state="", new_state=step, at=at, reason="")
            )
            unit.audit.append("engine", step, subject, {}, at=at)


def test_whole_lives_go_when_they_ended_long_ago(state: State) -> None:
    live(state, "alert", "over", "pending", "firing", "resolved")
    live(state, "alert", "open", "pending", "firing")
    live(state, "action", "act", "proposed", "succeeded")
    live(state, "incident", "again", "opened", "resolved", "opened")
    live(state, "incident", "act", "opened")
    live(state, "delivery", "new", "queued", "sent", start_days=40)
    with state.begin() as unit:
        assert prune(unit, NOON + MONTH)["transitions"] == 5
        left = {subject: len(unit.transitions.of(subject)) for subject in ("over", "open", "act", "again", "new")}
        assert left == {"over": 0, "open": 2, "act": 1, "again": 3, "new": 2}
        assert len(unit.audit.rows()) == 13
        assert unit.audit.verify() is None


def test_finished_deliveries_go_with_their_attachments(state: State) -> None:
    message = Message(
        kind="report", title="r", lines=(), severity=None, at=NOON, attachments=(("a", "text/plain", b"x"),)
    )
    with state.begin() as unit:
        for key in ("sent", "waiting"):
            unit.outbox.put("mail", key, message, priority=3, at=NOON)
        unit.outbox.mark(unit.outbox.due(NOON)[0], "sent", at=NOON)
        unit.people.note_failure("ann", "x", NOON)
    with state.begin() as unit:
        gone = prune(unit, NOON + MONTH)
        assert (gone["outbox"], gone["attachments"], gone["login_failures"]) == (1, 1, 1)
        assert [found.idempotency_key for found in unit.outbox.recent()] == ["waiting"]
        assert unit.connection.execute(select(func.count()).select_from(attachments)).scalar_one() == 1


def test_nothing_young_goes(state: State) -> None:
    live(state, "alert", "over", "pending", "resolved", start_days=29)
    with state.begin() as unit:
        assert set(prune(unit, NOON + timedelta(days=29)).values()) == {0}
