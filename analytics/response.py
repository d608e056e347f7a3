"""Response clocks: how many incidents were answered in time, by severity; those on the security clock by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper.model import Incident

NAN = float("nan")
#: What the details of an incident name as its clock where that is not its severity's.
SECURITY = "security"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Incidents of one severity whose response clock was started."""

    severity: str  #: or "security"
    in_time: int
    late: int  #: answered late, or not at all though the time is over
    running: int  #: not answered yet, and still in time

    @property
    def ratio(self) -> float:
        """Of those that are decided; NaN when none is."""
        decided = self.in_time + self.late
        return self.in_time / decided if decided else NAN


def answered(incidents: Sequence[Incident], now: datetime) -> list[Answered]:
    """By severity, the most urgent first, security last; incidents without a clock do not count."""
    found: dict[str, list[str]] = {}
    for one in incidents:
        if one.respond_by is not None:
            clock = one.severity.value if one.details.get("clock") != SECURITY else SECURITY
            found.setdefault(clock, []).append(_verdict(one, one.respond_by, now))
    return [
        Answered(severity=name, in_time=said.count("in_time"), late=said.count("late"), running=said.count("running"))
        for name, said in sorted(found.items())
    ]


def _verdict(one: Incident, respond_by: datetime, now: datetime) -> str:
    """An incident that went away by itself before its time was up needed no answer in time."""
    answered_at = one.acknowledged_at or one.resolved_at
    if answered_at is not None:
        return "in_time" if answered_at <= respond_by else "late"
    return "late" if now > respond_by else "running"
