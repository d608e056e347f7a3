"""Whether to tell something about one incident now, and why. Pure: all it knows comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from watchkeeper.model import Alert, Incident, IncidentState, Severity

from .clocks import due
from .group import worst
from .settings import Settings
from .telling import CLEARED, GROUPED, NOTIFIED, WAITING, Change, Telling


def sort_out(telling: Telling, live: Sequence[Alert], muted: Mapping[str, str]) -> list[Alert]:
    """Give every alert its word; answers those that may be told."""
    ids = {alert.id for alert in live}
    for alert_id, word in telling.alerts.items():
        if word == WAITING and alert_id not in ids:
            telling.alerts[alert_id] = CLEARED
    tellable: list[Alert] = []
    for alert in live:
        known = telling.alerts.get(alert.id, "")
        if alert.id in muted:
            if known not in (NOTIFIED, GROUPED):
                telling.alerts[alert.id] = muted[alert.id]
            continue
        tellable.append(alert)
        if known not in (NOTIFIED, GROUPED):
            telling.alerts[alert.id] = WAITING
    return tellable


def firing(
    incident: Incident, telling: Telling, tellable: Sequence[Alert], now: datetime, settings: Settings
) -> Change | None:
    """The message that something is wrong, when it is time for it."""
    if not tellable:
        return None
    fresh = [alert for alert in tellable if telling.alerts[alert.id] == WAITING]
    reason = _reason(incident, telling, tellable, fresh, now, settings)
    if not reason:
        return None
    first = not telling.last_at and not telling.told
    for alert in fresh:
        telling.alerts[alert.id] = NOTIFIED if first else GROUPED
        telling.told.append(alert.id)
    telling.last_at, telling.open_told, telling.reopened = now.isoformat(), True, False
    telling.severity = incident.severity
    key = telling.next_key(incident, "firing")
    return Change(kind="firing", reason=reason, incident=incident, alerts=tuple(tellable), key=key)


def _reason(
    incident: Incident, telling: Telling, tellable: Sequence[Alert], fresh: Sequence[Alert], now: datetime,
    settings: Settings,
) -> str:  # fmt: skip
    if not telling.last_at:
        severity = worst(alert.severity for alert in tellable)
        begun = datetime.fromisoformat(telling.due_from) if telling.due_from else incident.opened_at
        if now - begun < settings.wait(severity):
            return ""
        return "reopened" if telling.reopened else "new"
    told = Severity(telling.severity)
    if fresh and worst(alert.severity for alert in fresh).rank < told.rank:
        return "severity"
    waited = telling.since_last(now)
    if fresh and waited >= settings.group_interval.total_seconds():
        return "grew"
    unanswered = incident.state is IncidentState.OPENED
    if unanswered and waited >= settings.repeat(incident.severity).total_seconds():
        return "repeat"
    return ""


def resolved(incident: Incident, telling: Telling, alerts: Sequence[Alert]) -> Change | None:
    """The message that it is over: exactly when people were told that it fires."""
    if not telling.open_told:
        return None
    told = set(telling.told)
    telling.open_told, telling.told, telling.last_at, telling.severity = False, [], "", ""
    key = telling.next_key(incident, "resolved")
    named = tuple(alert for alert in alerts if alert.id in told)
    return Change(kind="resolved", reason="resolved", incident=incident, alerts=named, key=key)


def escalations(
    incident: Incident, telling: Telling, tellable: Sequence[Alert], now: datetime, settings: Settings
) -> list[Change]:
    """Warnings and breaches of the two clocks, each told once. Muted incidents bother nobody."""
    if not tellable or not telling.open_told:
        return []
    said = due(incident, now, warn_at=settings.warn_at, answering_starts_work=settings.answering_starts_work)
    found: list[Change] = []
    for word in said:
        if word in telling.clocks:
            continue
        telling.clocks.append(word)
        key = telling.next_key(incident, word)
        found.append(Change(kind="escalation", reason=word, incident=incident, alerts=tuple(tellable), key=key))
    return found
