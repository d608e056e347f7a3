"""Incidents and silences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update

from watchkeeper.model import Incident, IncidentState, Severity
from watchkeeper.store.state.repositories.common import (
    Repository,
    chunks,
    insert_many,
    next_number,
    update_many,
    upsert,
)
from watchkeeper.store.state.repositories.transitions import Transition, Transitions
from watchkeeper.store.state.tables import incidents, silences


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Mutes notifications, never evaluation. ``matchers``: list of [label, operator, value]."""

    id: str
    matchers: list[list[str]]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentWrite:
    """One row to keep."""

    incident: Incident
    reason: str
    at: datetime
    evidence: Mapping[str, object] = field(default_factory=dict)


class Incidents(Repository):
    """Rows of incidents; each change of state leaves a transition."""

    def new_id(self) -> str:
        return f"inc-{next_number(self.connection, 'incident')}"

    def save(
        self,
        incident: Incident,
        *,
        reason: str,
        at: datetime,
        evidence: Mapping[str, object] | None = None,
        actor: str = "engine",
    ) -> None:
        """Keep the row; a changed state is a transition with its reason."""
        write = IncidentWrite(incident=incident, reason=reason, at=at, evidence=evidence or {})
        self.save_many([write], actor=actor)

    def save_many(self, writes: Sequence[IncidentWrite], *, actor: str = "engine") -> None:
        """As ``save`` for each of these different incidents, in a few statements."""
        known = self._states([write.incident.id for write in writes])
        changed = [write for write in writes if known.get(write.incident.id) != write.incident.state]
        Transitions(self.connection).record_many(
            _step(write, known.get(write.incident.id, ""), actor) for write in changed
        )
        rows = {write.incident.id: _row(write.incident) for write in writes}
        insert_many(self.connection, incidents, [row for key, row in rows.items() if key not in known])
        update_many(self.connection, incidents, "id", [row for key, row in rows.items() if key in known])

    def _states(self, incident_ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for some in chunks(incident_ids):
            query = select(incidents.c.id, incidents.c.state).where(incidents.c.id.in_(some))
            found |= {row[0]: row[1] for row in self.connection.execute(query)}
        return found

    def get(self, incident_id: str) -> Incident | None:
        row = self.connection.execute(select(incidents).where(incidents.c.id == incident_id)).mappings().first()
        return _incident(row) if row else None

    def open(self) -> list[Incident]:
        return self._select(incidents.c.state != IncidentState.RESOLVED)

    def recent(self, since: datetime, limit: int = 500) -> list[Incident]:
        """Newest first, resolved ones included."""
        query = (
            select(incidents).where(incidents.c.opened_at >= since).order_by(incidents.c.opened_at.desc()).limit(limit)
        )
        return [_incident(row) for row in self.connection.execute(query).mappings()]

    def _select(self, *conditions: Any) -> list[Incident]:
        query = select(incidents).where(*conditions).order_by(incidents.c.opened_at)
        return [_incident(row) for row in self.connection.execute(query).mappings()]

    def add_silence(self, silence: Silence) -> None:
        upsert(
            self.connection,
            silences,
            {"id": silence.id},
            {item.name: getattr(silence, item.name) for item in fields(silence) if item.name != "id"},
        )

    def new_silence_id(self) -> str:
        return f"silence-{next_number(self.connection, 'silence')}"

    def end_silence(self, silence_id: str, at: datetime) -> None:
        self.connection.execute(update(silences).where(silences.c.id == silence_id).values(ends_at=at))

    def silences(self, at: datetime) -> list[Silence]:
        """Those not yet over at ``at``."""
        query = select(silences).where(silences.c.ends_at > at).order_by(silences.c.starts_at)
        return [Silence(**row) for row in self.connection.execute(query).mappings()]


def _step(write: IncidentWrite, old: str, actor: str) -> Transition:
    incident = write.incident
    return Transition(
        kind="incident",
        subject_id=incident.id,
        old_state=old,
        new_state=incident.state,
        at=write.at,
        reason=write.reason,
        evidence=write.evidence,
        actor=actor,
        correlation_id=incident.correlation_id,
    )


def _row(incident: Incident) -> dict[str, Any]:
    row: dict[str, Any] = {item.name: getattr(incident, item.name) for item in fields(incident)}
    row["alert_ids"] = list(incident.alert_ids)
    return row


def _incident(row: RowMapping) -> Incident:
    values: dict[str, Any] = dict(row)
    values["state"], values["severity"] = IncidentState(values["state"]), Severity(values["severity"])
    return Incident(**values)
