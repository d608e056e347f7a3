"""What an evaluation found, as rows: ids, correlation ids, reasons and evidence, before anything is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from watchkeeper.model import Alert, AlertState
from watchkeeper.store.state import Unit

from .alerts import AlertChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One alert as its row stands after the transaction."""

    alert: Alert
    old: AlertState
    reason: str

    @property
    def changed(self) -> bool:
        return self.old is not self.alert.state


def save(changes: Iterable[AlertChange], unit: Unit) -> list[Saved]:
    """Write every change in the caller's transaction. Give the answer to ``Evaluator.confirm`` after commit."""
    saved: list[Saved] = []
    for change in changes:
        alert = change.alert
        if not alert.id:
            number = unit.alerts.new_id()
            alert = replace(alert, id=number, correlation_id=f"corr-{number}")
        elif not alert.incident_id:
            row = unit.alerts.get(alert.id)
            alert = replace(alert, incident_id=row.incident_id if row else "")
        alert = replace(alert, evidence=change.evidence)
        at = alert.last_evaluated_at or alert.active_at
        unit.alerts.save(alert, reason=change.reason, at=at, evidence=change.evidence)
        saved.append(Saved(alert=alert, old=change.old, reason=change.reason))
    return saved
