"""What an evaluation found, as rows: ids, correlation ids, reasons and evidence, before anything is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from watchkeeper.model import Alert, AlertState
from watchkeeper.store.state import AlertWrite, Unit

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
    changes = list(changes)
    fresh = iter(unit.alerts.new_ids(sum(not change.alert.id for change in changes)))
    homes = unit.alerts.incident_ids(
        change.alert.id for change in changes if change.alert.id and not change.alert.incident_id
    )
    saved = [Saved(alert=_complete(change, fresh, homes), old=change.old, reason=change.reason) for change in changes]
    unit.alerts.save_many([_write(one) for one in saved])
    return saved


def _complete(change: AlertChange, fresh: Iterator[str], homes: Mapping[str, str]) -> Alert:
    """With an id if it is new, else with the incident that took it in since."""
    alert = change.alert
    if not alert.id:
        number = next(fresh)
        return replace(alert, id=number, correlation_id=f"corr-{number}", evidence=change.evidence)
    incident_id = alert.incident_id or homes.get(alert.id, "")
    return replace(alert, incident_id=incident_id, evidence=change.evidence)


def _write(saved: Saved) -> AlertWrite:
    alert = saved.alert
    at = alert.last_evaluated_at or alert.active_at
    return AlertWrite(alert=alert, reason=saved.reason, at=at, evidence=alert.evidence)
