"""What may be forgotten: the steps of things that are over. The audit never is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, or_, select

from watchkeeper.model import AlertState, IncidentState, RunState, StepState
from watchkeeper.model.action import TERMINAL
from watchkeeper.store.state.repositories import Unit
from watchkeeper.store.state.tables import attachments, login_failures, outbox, sessions, silences, transitions

#: Kind of subject -> states it never leaves.
OVER: Mapping[str, tuple[str, ...]] = {
    "alert": (AlertState.RESOLVED, AlertState.INACTIVE),
    "incident": (IncidentState.RESOLVED,),
    "action": tuple(TERMINAL),
    "delivery": ("sent", "failed", "folded"),
    "plan": tuple(state for state in RunState if state.over),
    "plan_step": tuple(state for state in StepState if state.over),
}


def prune(unit: Unit, before: datetime) -> dict[str, int]:
    """Drop what ended before this moment; returns table -> rows. Open subjects keep their whole life."""
    connection = unit.connection
    return {
        "transitions": _transitions(connection, before),
        "attachments": _attachments(connection, before),
        "outbox": connection.execute(delete(outbox).where(outbox.c.finished_at < before)).rowcount,
        "silences": connection.execute(delete(silences).where(silences.c.ends_at < before)).rowcount,
        "kpi_forecasts": unit.kpis.prune(before),
        "events": unit.events.prune(before),
        "feedback": unit.feedback.prune(before),
        "plan_evidence": unit.plans.prune(before),
        "sessions": connection.execute(delete(sessions).where(sessions.c.seen_at < before)).rowcount,
        "login_failures": connection.execute(delete(login_failures).where(login_failures.c.last_at < before)).rowcount,
    }


def _transitions(connection: Connection, before: datetime) -> int:
    newest = select(func.max(transitions.c.id)).group_by(transitions.c.kind, transitions.c.subject_id)
    over = or_(*(and_(transitions.c.kind == kind, transitions.c.new_state.in_(ends)) for kind, ends in OVER.items()))
    ended = (
        select(transitions.c.kind, transitions.c.subject_id)
        .where(transitions.c.id.in_(newest), transitions.c.at < before, over)
        .subquery()
    )
    same = and_(ended.c.kind == transitions.c.kind, ended.c.subject_id == transitions.c.subject_id)
    return connection.execute(delete(transitions).where(select(ended).where(same).exists())).rowcount


def _attachments(connection: Connection, before: datetime) -> int:
    finished = select(outbox.c.id).where(outbox.c.finished_at < before)
    return connection.execute(delete(attachments).where(attachments.c.outbox_id.in_(finished))).rowcount
