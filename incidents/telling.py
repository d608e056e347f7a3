"""What has been told about one incident, kept in its row so that a restart tells nothing twice and loses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from watchkeeper.model import Alert, Incident, Severity

WAITING, NOTIFIED, GROUPED = "waiting", "notified", "grouped"
#: Everything else an alert's disposition can be is a reason for which it was suppressed.
SILENCED, INHIBITED, CLEARED, EXPECTED = "silenced", "inhibited", "resolved_before_told", "expected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something to tell. ``key`` is the same when the same thing is decided again after a crash."""

    kind: str  #: firing, resolved, escalation
    reason: str  #: new, grew, severity, reopened, repeat, resolved, respond_soon|late, start_soon|late
    incident: Incident
    alerts: Sequence[Alert]  #: firing: those that fire and are not muted; resolved: all that were told
    key: str

    @property
    def severity(self) -> Severity:
        return self.incident.severity


@dataclass(slots=True, kw_only=True)
class Telling:
    """The part ``details.telling`` of an incident's row."""

    sequence: int = 0  #: messages decided so far: the end of the next key
    due_from: str = ""  #: when the wait before the first message began
    last_at: str = ""  #: newest firing message; empty: none since it was opened
    told: list[str] = field(default_factory=list)  #: alerts named in a firing message
    severity: str = ""  #: severity that was told
    open_told: bool = False  #: people were told that it fires and not yet that it is over
    reopened: bool = False  #: the next first message is about a return
    clocks: list[str] = field(default_factory=list)  #: warnings and breaches told
    alerts: dict[str, str] = field(default_factory=dict)  #: alert id -> disposition

    @classmethod
    def of(cls, incident: Incident) -> Telling:
        kept = incident.details.get("telling")
        return cls(**deepcopy(dict(kept))) if isinstance(kept, Mapping) else cls()

    def details(self, incident: Incident) -> dict[str, Any]:
        return {**incident.details, "telling": asdict(self)}

    def next_key(self, incident: Incident, kind: str) -> str:
        self.sequence += 1
        return f"{incident.id}/{self.sequence}/{kind}"

    def since_last(self, now: datetime) -> float:
        """Seconds since the newest firing message."""
        return (now - datetime.fromisoformat(self.last_at)).total_seconds()
