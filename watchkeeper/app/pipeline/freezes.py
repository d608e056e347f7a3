"""Change freezes that were told as events: remediation keeps to them as to those of the configuration."""

from __future__ import annotations

from datetime import datetime

from remediation.situation import Frozen
from watchkeeper.model import EventKind, EventStatus
from watchkeeper.store.state import Unit


def freezes_now(unit: Unit, now: datetime) -> list[Frozen]:
    """Those that began and are neither over nor called off. Of one told again, what was told last holds."""
    newest: dict[tuple[str, str, str], Frozen | None] = {}
    for told in unit.events.find(kinds=[EventKind.FREEZE], until=now):
        on = told.status is not EventStatus.CANCELLED and (told.end is None or now < told.end)
        found = Frozen(service=told.service, environment=told.environment, reason=told.title, end=told.end)
        newest.setdefault((told.service, told.environment, told.title), found if on else None)
    return [one for one in newest.values() if one is not None]
