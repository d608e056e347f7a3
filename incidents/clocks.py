"""The two clocks of an incident (SR-032): somebody answers, work starts. Warned before, told when broken.

Security has clocks of its own (SR-079), whatever the level: the earlier of both holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import STRICT, parse_duration
from watchkeeper.model import Alert, Incident, IncidentState, Severity

from .calendar import Calendar

WORKING = re.compile(r"(\d{1,3}) working days?")


@dataclass(frozen=True, config=STRICT)
class Term:
    """A span of plain time, or of working days."""

    plain: timedelta = timedelta(0)
    working_days: int = 0

    def after(self, at: datetime, calendar: Calendar) -> datetime:
        return calendar.add_working_days(at, self.working_days) if self.working_days else at + self.plain


def _term(value: Any) -> Any:
    if isinstance(value, Term):
        return value
    found = WORKING.fullmatch(value) if isinstance(value, str) else None
    if found:
        return Term(working_days=int(found.group(1)))
    return Term(plain=parse_duration(value))


Term_ = Annotated[Term, BeforeValidator(_term)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ResponseClock:
    respond: Term_  #: until somebody answers: ``5m`` or ``1 working day``
    start: Term_  #: until work starts


#: Value of the label ``family`` of alerts about security, and the word that an incident on that clock keeps.
SECURITY = "security"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SecurityClock(ResponseClock):
    respond: Term_ = Term(timedelta(minutes=15))
    start: Term_ = Term(timedelta(hours=1))
    least: Severity = Severity.P2  #: alerts below this level keep its clocks alone

    def wanted(self, alerts: Iterable[Alert]) -> bool:
        """Whether one of these is about security and grave enough."""
        return any(one.labels.get("family") == SECURITY and one.severity.rank <= self.least.rank for one in alerts)


def on_security(incident: Incident) -> bool:
    """Whether the security clock runs for it."""
    return incident.details.get("clock") == SECURITY


DEFAULT_CLOCKS: Mapping[Severity, ResponseClock] = {
    Severity.P0: ResponseClock(respond=Term(timedelta(minutes=5)), start=Term(timedelta(minutes=15))),
    Severity.P1: ResponseClock(respond=Term(timedelta(minutes=30)), start=Term(timedelta(hours=2))),
    Severity.P2: ResponseClock(respond=Term(timedelta(hours=2)), start=Term(working_days=1)),
    Severity.P3: ResponseClock(respond=Term(working_days=1), start=Term(working_days=3)),
}


def deadlines(
    at: datetime,
    severity: Severity,
    clocks: Mapping[Severity, ResponseClock],
    calendar: Calendar,
    security: ResponseClock | None = None,
) -> tuple[datetime, datetime]:
    """(respond by, start by) of an incident of this severity that begins now; ``security``: that clock runs too."""
    both = [clocks.get(severity, DEFAULT_CLOCKS[severity]), *([security] if security else [])]
    return min(one.respond.after(at, calendar) for one in both), min(one.start.after(at, calendar) for one in both)


def due(incident: Incident, now: datetime, *, warn_at: float, answering_starts_work: bool) -> list[str]:
    """What has to be said about the clocks now: respond_soon, respond_late, start_soon, start_late."""
    found: list[str] = []
    begun = _moment(incident.details.get("clocks_from")) or incident.opened_at
    waiting = {
        "respond": incident.respond_by if incident.acknowledged_at is None else None,
        "start": None if _work_started(incident, answering_starts_work) else incident.start_by,
    }
    for clock, by in waiting.items():
        if by is None or incident.state in (IncidentState.MITIGATED, IncidentState.RESOLVED):
            continue
        if now >= by:
            found.append(f"{clock}_late")
        elif now >= begun + (by - begun) * warn_at:
            found.append(f"{clock}_soon")
    return found


def _work_started(incident: Incident, answering_starts_work: bool) -> bool:  # noqa: FBT001 - one private caller
    if "started_at" in incident.details or incident.mitigated_at is not None:
        return True
    return answering_starts_work and incident.acknowledged_at is not None


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
