"""What others found out about security: a reason to doubt whom it names, and open findings as series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from detectors.entities import Act, Reason
from watchkeeper.app.pipeline.entity_acts import LONGEST, NOBODY, address
from watchkeeper.app.pipeline.published import Row
from watchkeeper.model import Event, EventKind, EventStatus, labels

#: Name of the reason that a finding is.
FINDING = "finding"
#: What others call a severity -> ours, the gravest first.
WORDS = {
    "critical": ("critical", "fatal", "emergency", "disaster", "p0", "p1", "严重", "致命"),
    "high": ("high", "error", "major", "p2", "高"),
    "medium": ("medium", "moderate", "warning", "p3", "中"),
    "low": ("low", "minor", "note", "info", "informational", "notice", "低"),
}
#: Points of a finding of each severity.
POINTS = {"critical": 90.0, "high": 70.0, "medium": 40.0, "low": 15.0}
#: Of a finding that states none, or a word of its own.
UNSAID = "medium"
#: Labels that name whom a finding is about; one that names nobody is about its service.
ABOUT = ("user", "source", "host")


def severity(event: Event) -> str:
    """critical, high, medium or low."""
    word = event.labels.get("severity", "").strip().lower()
    return next((ours for ours, theirs in WORDS.items() if word in theirs), UNSAID)


def is_open(event: Event) -> bool:
    """Not one that was done away with, or that is not there yet."""
    return event.status not in (EventStatus.CANCELLED, EventStatus.PLANNED)


def findings(events: Iterable[Event], now: datetime) -> Iterator[tuple[Act, Reason]]:
    """(whom it is about, why) of each open finding."""
    for one in events:
        if one.kind is not EventKind.SECURITY_FINDING or not is_open(one):
            continue
        at = min(one.start, now).timestamp()
        about = {name: _name(name, one.labels.get(name, "")) for name in ABOUT}
        service = "" if any(about.values()) else one.service[:LONGEST]
        how = severity(one)
        detail = {"title": one.title[:LONGEST], "severity": how, "by": one.source}
        reason = Reason(name=FINDING, points=POINTS[how], at=at, detail=detail)
        yield Act(at=at, service=service, user=about["user"], source=about["source"], host=about["host"]), reason


def _name(kind: str, word: str) -> str:
    found = (address(word) or word if kind == "source" else word).strip()[:LONGEST]
    return "" if found.lower() in NOBODY else found


def open_findings(events: Sequence[Event]) -> Iterator[Row]:
    """How many are open, by service and severity; 0 where all were done away with. ``events``: newest first."""
    newest: dict[tuple[str, str, str], Event] = {}
    for one in events:
        newest.setdefault((one.source, one.service, one.labels.get("finding") or one.link or one.title), one)
    counts: dict[tuple[str, str, str], int] = {}
    for one in newest.values():
        key = (one.service, one.environment, severity(one))
        counts[key] = counts.get(key, 0) + is_open(one)
    for (service, environment, how), count in sorted(counts.items()):
        about = {"service": service, "environment": environment, "severity": how}
        yield labels("watchkeeper_security_findings", about), float(count)
