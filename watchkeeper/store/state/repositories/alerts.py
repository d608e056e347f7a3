"""The alert ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Text, select, type_coerce

from watchkeeper.model import Alert, AlertState, Severity
from watchkeeper.store.state.repositories.common import Repository, chunks, insert_many, next_numbers, update_many
from watchkeeper.store.state.repositories.transitions import Transition, Transitions
from watchkeeper.store.state.tables import alerts, dump_json

OPEN = (AlertState.PENDING, AlertState.FIRING, AlertState.UNKNOWN)
COLUMNS = tuple(item.name for item in fields(Alert))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWrite:
    """One row to keep. Without ``evidence`` the transition keeps the value and the expression."""

    alert: Alert
    reason: str
    at: datetime
    evidence: Mapping[str, object] = field(default_factory=dict)


class Alerts(Repository):
    """Rows of alerts; each change of state leaves a transition."""

    def new_id(self) -> str:
        return self.new_ids(1)[0]

    def new_ids(self, count: int) -> list[str]:
        """Ids for that many new alerts, reserved in one step."""
        return [f"alert-{number}" for number in next_numbers(self.connection, "alert", count)]

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
        self.save_many([AlertWrite(alert=alert, reason=reason, at=at, evidence=evidence or {})], actor=actor)

    def save_many(self, writes: Sequence[AlertWrite], *, actor: str = "engine") -> None:
        """As ``save`` for each in turn, in a few statements: a storm brings thousands at once."""
        known = self._states([write.alert.id for write in writes])
        states = dict(known)
        steps: list[Transition] = []
        rows: dict[str, dict[str, Any]] = {}
        for write in writes:
            alert = write.alert
            if states.get(alert.id) != alert.state:
                steps.append(_step(write, states.get(alert.id) or AlertState.INACTIVE, actor))
            states[alert.id] = alert.state
            rows[alert.id] = _row(alert)
        Transitions(self.connection).record_many(steps)
        insert_many(self.connection, alerts, [row for row in rows.values() if row["id"] not in known])
        update_many(self.connection, alerts, "id", [row for row in rows.values() if row["id"] in known])

    def join(self, incidents: Mapping[str, str]) -> None:
        """Alert id -> the incident it belongs to from now on."""
        rows = [{"id": alert_id, "incident_id": incident} for alert_id, incident in incidents.items()]
        update_many(self.connection, alerts, "id", rows)

    def incident_ids(self, alert_ids: Iterable[str]) -> dict[str, str]:
        """Alert id -> incident id, of those alerts that have one."""
        return {key: value for key, value in self._column(alerts.c.incident_id, alert_ids).items() if value}

    def _states(self, alert_ids: Iterable[str]) -> dict[str, str]:
        return self._column(alerts.c.state, alert_ids)

    def _column(self, column: ColumnElement[str], alert_ids: Iterable[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for some in chunks(list(dict.fromkeys(alert_ids))):
            query = select(alerts.c.id, column).where(alerts.c.id.in_(some))
            found |= {row[0]: row[1] for row in self.connection.execute(query)}
        return found

    def get(self, alert_id: str) -> Alert | None:
        row = self.connection.execute(select(alerts).where(alerts.c.id == alert_id)).mappings().first()
        return _alert(row) if row else None

    def open(self) -> list[Alert]:
        """Pending, firing and unknown alerts, oldest first."""
        return self._select(alerts.c.state.in_(OPEN))

    def of_incident(self, incident_id: str) -> list[Alert]:
        return self._select(alerts.c.incident_id == incident_id)

    def live_of_incident(self, incident_id: str, rules: Sequence[str] = ()) -> list[Alert]:
        """Those of an incident that are open still; of these rules where some are named."""
        named = [alerts.c.rule.in_(rules)] if rules else []
        return self._select(alerts.c.incident_id == incident_id, alerts.c.state.in_(OPEN), *named)

    def firing_with(self, rules: Sequence[str], labels: Mapping[str, str], limit: int = 1000) -> list[Alert]:
        """Firing alerts of these rules, of any where none is named, that have these labels; the oldest ones."""
        text = type_coerce(alerts.c.labels, Text)  # canonical JSON: found as text, so that a storm is not read whole
        wanted = [text.contains(dump_json({name: value})[1:-1], autoescape=True) for name, value in labels.items()]
        named = [alerts.c.rule.in_(rules)] if rules else []
        return self._select(alerts.c.state == AlertState.FIRING, *named, *wanted, limit=limit)

    def recent(self, since: datetime, limit: int = 1000) -> list[Alert]:
        return self._select(alerts.c.active_at >= since, limit=limit)

    def _select(self, *conditions: Any, limit: int = 100_000) -> list[Alert]:
        query = select(alerts).where(*conditions).order_by(alerts.c.active_at, alerts.c.id).limit(limit)
        return [_alert(row) for row in self.connection.execute(query).mappings()]


def _step(write: AlertWrite, old: str, actor: str) -> Transition:
    alert = write.alert
    return Transition(
        kind="alert",
        subject_id=alert.id,
        old_state=old,
        new_state=alert.state,
        at=write.at,
        reason=write.reason,
        evidence=write.evidence or {"value": alert.value, "expr": alert.expr},
        actor=actor,
        correlation_id=alert.correlation_id,
    )


def _row(alert: Alert) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(alert, name) for name in COLUMNS}
    row["value"] = alert.value if math.isfinite(alert.value) else None
    return row


def _alert(row: RowMapping) -> Alert:
    values: dict[str, Any] = dict(row)
    values["state"], values["severity"] = AlertState(values["state"]), Severity(values["severity"])
    values["value"] = math.nan if values["value"] is None else values["value"]
    return Alert(**values)
