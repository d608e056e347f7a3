"""``explain``: the whole chain of one event, from the sample that began it to the message that ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from watchkeeper.app.api import shapes
from watchkeeper.store.state import Transition, Unit

if TYPE_CHECKING:
    from dashboard.i18n import Words

#: The language rows are written in: their lines are the record, word for word.
WRITTEN = "en"


def explain(unit: Unit, subject_id: str, zone: ZoneInfo, language: str = WRITTEN) -> dict[str, Any] | None:
    """The chain as rows and as lines to read in ``language``; None when nothing has that id."""
    found = {
        "alert": unit.alerts.get(subject_id),
        "incident": unit.incidents.get(subject_id),
        "action": unit.actions.get(subject_id),
        "plan": unit.plans.get(subject_id),
    }
    kind, subject = next(((kind, row) for kind, row in found.items() if row is not None), ("", None))
    if subject is None:
        return None
    incident_id = _incident_of(unit, subject_id)
    rows = _rows(unit, subject_id, incident_id, subject.correlation_id)
    words = words_of(language, zone) if language != WRITTEN else None
    return {
        "id": subject_id,
        "kind": kind,
        "correlation_id": subject.correlation_id,
        "incident_id": incident_id,
        "chain": [shapes.transition(row) for row in rows],
        "text": [_line(row, zone) if words is None else _told(row, words) for row in rows],
    }


def _incident_of(unit: Unit, subject_id: str) -> str:
    alert, action = unit.alerts.get(subject_id), unit.actions.get(subject_id)
    if alert is not None:
        return alert.incident_id
    run = unit.plans.get(subject_id)
    if run is not None:
        return run.incident_id
    return action.plan.incident_id if action is not None else subject_id


def _rows(unit: Unit, subject_id: str, incident_id: str, correlation_id: str) -> list[Transition]:
    """Everything with the correlation id, and everything that belongs to the same incident."""
    subjects = {subject_id, incident_id} - {""}
    if incident_id:
        subjects |= {row.id for row in unit.alerts.of_incident(incident_id)}
        subjects |= {row.id for row in unit.actions.of_incident(incident_id)}
    run = unit.plans.get(subject_id)
    for one in [*unit.plans.of_incident(incident_id), *([run] if run else [])]:
        subjects |= {one.id, *(f"{one.id}/{step.name}" for step in one.steps)}
    found = {row.id: row for row in unit.transitions.chain(correlation_id)} if correlation_id else {}
    for subject in subjects:
        found |= {row.id: row for row in unit.transitions.of(subject)}
        for delivery in unit.outbox.of_subject(subject):
            found |= {row.id: row for row in unit.transitions.of(delivery.idempotency_key)}
    return sorted(found.values(), key=lambda row: (row.at, row.id))


def words_of(language: str, zone: ZoneInfo) -> Words:
    """The words of the pages."""
    from dashboard.i18n import Words  # Babel is loaded when somebody asks

    return Words(language, zone)


def _line(row: Transition, zone: ZoneInfo) -> str:
    change = f"{row.old_state or '-'} -> {row.new_state}" if row.old_state != row.new_state else "note"
    head = f"{_moment(row, zone)}  {row.kind} {row.subject_id}  {change}"
    return f"{head}  by {row.actor}: {row.reason}{_evidence(row)}"


def _told(row: Transition, words: Words) -> str:
    """The line in the words of the pages; evidence stays as it was kept."""
    kind, old, new = words.word("kind", row.kind), row.old_state or "-", words.word("state", row.new_state)
    change = f"{words.word('state', old)} → {new}" if row.old_state != row.new_state else new
    head = f"{_moment(row, words.zone)}  {kind} {row.subject_id}  {change}"
    return f"{head}  {row.actor}: {words.why(row.reason)}{_evidence(row)}"


def _moment(row: Transition, zone: ZoneInfo) -> str:
    return row.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _evidence(row: Transition) -> str:
    evidence = ", ".join(f"{key}={_short(value)}" for key, value in row.evidence.items())
    return f"  [{evidence}]" if evidence else ""


def _short(value: Any, limit: int = 160) -> str:
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
