"""The alert ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select

from watchkeeper.model import Alert, AlertState, Severity
from watchkeeper.store.state.repositories.common import Repository, next_number, upsert
from watchkeeper.store.state.repositories.transitions import Transition, Transitions
from watchkeeper.store.state.tables import alerts

OPEN = (AlertState.PENDING, AlertState.FIRING, AlertState.UNKNOWN)


class Alerts(Repository):
    def new_id(self) -> str:
        return f"alert-{next_number(self.connection, 'alert')}"

    def save(
        self,
        alert: Alert,
        *,
        reason: str,
        at: datetime,
        evidence: Mapping[str, object] | None = None,
        actor: str = "engine",
    ) -> None:
        """Keep the row; a changed state is a transition with its reason."""
        before = self.connection.execute(select(alerts.c.state).where(alerts.c.id == alert.id)).scalar()
        if before != alert.state:
            Transitions(self.connection).record(
                Transition(
                    kind="alert",
                    subject_id=alert.id,
                    old_state=before or AlertState.INACTIVE,
                    new_state=alert.state,
                    at=at,
                    reason=reason,
                    evidence=evidence or {"value": alert.value, "expr": alert.expr},
                    actor=actor,
                    correlation_id=alert.correlation_id,
                )
            )
        row: dict[str, Any] = {item.name: getattr(alert, item.name) for item in fields(alert)}
        row["value"] = alert.value if math.isfinite(alert.value) else None
        upsert(self.connection, alerts, {"id": row.pop("id")}, row)

    def get(self, alert_id: str) -> Alert | None:
        row = self.connection.execute(select(alerts).where(alerts.c.id == alert_id)).mappings().first()
        return _alert(row) if row else None

    def open(self) -> list[Alert]:
        """Pending, firing and unknown alerts, oldest first."""
        return self._select(alerts.c.state.in_(OPEN))

    def of_incident(self, incident_id: str) -> list[Alert]:
        return self._select(alerts.c.incident_id == incident_id)

    def recent(self, since: datetime, limit: int = 1000) -> list[Alert]:
        return self._select(alerts.c.active_at >= since, limit=limit)

    def _select(self, *conditions: Any, limit: int = 100_000) -> list[Alert]:
        query = select(alerts).where(*conditions).order_by(alerts.c.active_at, alerts.c.id).limit(limit)
        return [_alert(row) for row in self.connection.execute(query).mappings()]


def _alert(row: RowMapping) -> Alert:
    values: dict[str, Any] = dict(row)
    values["state"], values["severity"] = AlertState(values["state"]), Severity(values["severity"])
    values["value"] = math.nan if values["value"] is None else values["value"]
    return Alert(**values)
