"""Which incidents start a plan, and whether what started it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from watchkeeper.config.plans import Trigger
from watchkeeper.model import Alert, AlertState, Incident, Severity


def fits(trigger: Trigger, alert: Alert) -> bool:
    """The alert is one of those that the trigger means, however long it fires."""
    wanted = {**trigger.labels, **({"service": trigger.service} if trigger.service else {})}
    named = not trigger.alerts or alert.rule in trigger.alerts
    return named and all(alert.labels.get(name) == value for name, value in wanted.items())


def triggered(trigger: Trigger, incident: Incident, alerts: Sequence[Alert], now: datetime) -> datetime | None:
    """The moment at which the trigger was met; None while it is not. ``alerts``: of the incident, open ones."""
    if trigger.by_hand or (trigger.severity and incident.severity.rank > Severity(trigger.severity).rank):
        return None
    firing = [one for one in alerts if one.state is AlertState.FIRING and one.fired_at and fits(trigger, one)]
    if not firing:
        return None
    met = max(min(one.fired_at for one in firing if one.fired_at) + trigger.lasting, incident.opened_at)
    return met if met <= now else None


def quiet(trigger: Trigger, alerts: Sequence[Alert]) -> bool | None:
    """No alert that the trigger means fires any more; None when one of them could not be judged."""
    states = {one.state for one in alerts if fits(trigger, one) and one.fired_at is not None}
    if AlertState.FIRING in states:
        return False
    return None if AlertState.UNKNOWN in states else True
