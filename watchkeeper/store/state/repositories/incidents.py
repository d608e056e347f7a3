"""Incidents and silences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update

from watchkeeper.model import Incident, IncidentState, Severity
from watchkeeper.store.state.repositories.common import Repository, next_number, upsert
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


class Incidents(Repository):
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
        before = self.connection.execute(select(incidents.c.state).where(incidents.c.id == incident.id)).scalar()
        if before != incident.state:
            Transitions(self.connection).record(
                Transition(
                    kind="incident",
                    subject_id=incident.id,
                    old_state=before or "",
                    new_state=incident.state,
                    at=at,
                    reason=reason,
                    evidence=evidence or {},
                    actor=actor,
                    correlation_id=incident.correlation_id,
                )
            )
        row: dict[str, Any] = {item.name: getattr(incident, item.name) for item in fields(incident)}
        row["alert_ids"] = list(incident.alert_ids)
        upsert(self.connection, incidents, {"id": row.pop("id")}, row)

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


def _incident(row: RowMapping) -> Incident:
    values: dict[str, Any] = dict(row)
    values["state"], values["severity"] = IncidentState(values["state"]), Severity(values["severity"])
    return Incident(**values)
