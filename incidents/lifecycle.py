"""Opened, acknowledged, mitigated, resolved, opened again: each a row with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from watchkeeper.errors import WatchkeeperError
from watchkeeper.model import Alert, Incident, IncidentState
from watchkeeper.store.state import Unit

from .clocks import SECURITY, deadlines, on_security
from .group import group_key, group_labels, title, worst
from .settings import Settings
from .telling import Telling


class IncidentError(WatchkeeperError):
    """The incident does not exist, or is not in a state that allows this."""


def opened(alerts: Sequence[Alert], now: datetime, unit: Unit, settings: Settings) -> Incident:
    """A new incident for these alerts; not saved yet."""
    first = min(alerts, key=lambda alert: (alert.severity.rank, alert.active_at, alert.id))
    severity = worst(alert.severity for alert in alerts)
    security = settings.security_clock if settings.security_clock.wanted(alerts) else None
    respond_by, start_by = deadlines(now, severity, settings.clocks, settings.calendar, security)
    return Incident(
        id=unit.incidents.new_id(),
        state=IncidentState.OPENED,
        severity=severity,
        title=title(first),
        group_key=group_key(first.labels, settings.group_by),
        labels=group_labels(first.labels, settings.group_by),
        opened_at=now,
        respond_by=respond_by,
        start_by=start_by,
        correlation_id=first.correlation_id,
        details={"title_en": title(first, "en"), "clocks_from": now.isoformat()}
        | ({"clock": SECURITY} if security else {}),
    )


def reopened(incident: Incident, now: datetime, settings: Settings) -> Incident:
    """The same incident again. Who had answered need not answer anew; without an answer the clocks start again."""
    telling = Telling.of(incident)
    telling.due_from, telling.last_at, telling.reopened = now.isoformat(), "", True
    answered = incident.acknowledged_at is not None
    security = settings.security_clock if on_security(incident) else None
    respond_by, start_by = deadlines(now, incident.severity, settings.clocks, settings.calendar, security)
    if not answered:
        telling.clocks = []
    details = telling.details(incident)
    times = incident.details.get("reopened", 0)
    details["reopened"] = (times if isinstance(times, int) else 0) + 1
    details["clocks_from"] = incident.details.get("clocks_from", "") if answered else now.isoformat()
    return replace(
        incident,
        state=IncidentState.ACKNOWLEDGED if answered else IncidentState.OPENED,
        resolved_at=None,
        mitigated_at=None,
        respond_by=incident.respond_by if answered else respond_by,
        start_by=incident.start_by if answered else start_by,
        details=details,
    )


def acknowledge(unit: Unit, incident_id: str, by: str, now: datetime, note: str = "") -> Incident:
    """Somebody answers: the first clock stops."""
    incident = _found(unit, incident_id, IncidentState.OPENED)
    changed = replace(incident, state=IncidentState.ACKNOWLEDGED, acknowledged_at=now, acknowledged_by=by)
    unit.incidents.save(changed, reason=f"acknowledged by {by}" + (f": {note}" if note else ""), at=now, actor=by)
    return changed


def start_work(unit: Unit, incident_id: str, by: str, now: datetime) -> Incident:
    """Work begins: the second clock stops."""
    incident = _found(unit, incident_id, IncidentState.OPENED, IncidentState.ACKNOWLEDGED)
    details = {**incident.details, "started_at": now.isoformat(), "started_by": by}
    answered = {"state": IncidentState.ACKNOWLEDGED, "acknowledged_at": now, "acknowledged_by": by}
    is_new = incident.state is IncidentState.OPENED
    changed = replace(incident, details=details, **(answered if is_new else {}))  # type: ignore[arg-type]
    unit.incidents.save(changed, reason=f"work started by {by}", at=now, actor=by)
    return changed


def mitigate(
    unit: Unit, incident_id: str, reason: str, now: datetime, *, actor: str = "engine",
    evidence: Mapping[str, object] | None = None,
) -> Incident:  # fmt: skip
    """The harm an action was for has stopped, as its symptom shows.

    Other alerts may still fire, and who has not answered still has to: the state stays, only the clock of work ends.
    """
    incident = _found(unit, incident_id, IncidentState.OPENED, IncidentState.ACKNOWLEDGED)
    changed = replace(incident, mitigated_at=now)
    unit.incidents.save(changed, reason=reason, at=now, actor=actor, evidence=evidence)
    return changed


def _found(unit: Unit, incident_id: str, *states: IncidentState) -> Incident:
    incident = unit.incidents.get(incident_id)
    if incident is None:
        raise IncidentError(f"there is no incident {incident_id}")
    if incident.state not in states:
        raise IncidentError(f"incident {incident_id} is {incident.state} already")
    return incident
