"""Why an alert is not told: people called it expected at this hour of the week. Evaluation is never touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from watchkeeper.model import Alert, Lesson


def expected(alerts: Sequence[Alert], expectations: Iterable[Lesson], now: datetime) -> dict[str, str]:
    """Alert id -> id of what was taught. An alert that lasts much longer than it used to is told after all."""
    by_mark: dict[str, list[Lesson]] = {}
    for one in expectations:
        by_mark.setdefault(one.mark, []).append(one)
    found: dict[str, str] = {}
    for alert in alerts:
        for one in by_mark.get(alert.fingerprint, ()):
            if one.covers(alert.fired_at or alert.active_at, now):
                found.setdefault(alert.id, one.id)
    return found
