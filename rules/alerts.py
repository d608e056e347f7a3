"""The life of one alert in memory, and what changed about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from watchkeeper.model import Alert, AlertState, Labels, Severity, Tick
from watchkeeper.promql import Histogram


class Health(StrEnum):
    OK = "ok"
    ERR = "err"
    UNKNOWN = "unknown"  #: not evaluated yet


@dataclass(slots=True, kw_only=True)
class Active:
    """One label set of one rule while it is pending or firing, until its end is written down."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    severity: Severity
    value: float
    active_at: datetime
    firing: bool = False
    unknown: bool = False  #: the last evaluation failed: still there as far as anybody knows
    over: bool = False
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    keep_firing_since: datetime | None = None
    evaluated_at: datetime | None = None
    reason: str = ""
    forgive: int = 0  #: evaluations that may miss it without ending it: right after a restart data may be late
    id: str = ""  #: of its row; empty until it is written
    correlation_id: str = ""
    incident_id: str = ""
    saved: AlertState | None = None  #: state of its row
    saved_at: datetime | None = None

    @property
    def state(self) -> AlertState:
        if self.over:
            return AlertState.RESOLVED if self.fired_at else AlertState.INACTIVE
        if self.unknown:
            return AlertState.UNKNOWN
        return AlertState.FIRING if self.firing else AlertState.PENDING

    def end(self, now: datetime, reason: str) -> None:
        self.over, self.unknown, self.resolved_at, self.reason = True, False, now, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """A new state, or the same state with fresher values (``reason`` is then ``refreshed``)."""

    alert: Alert  #: ``id`` is empty for an episode that has no row yet
    old: AlertState
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)

    @property
    def new(self) -> AlertState:
        return self.alert.state


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHealth:
    rule: str  #: the rule's key
    health: Health
    error: str = ""
    at: datetime | None = None
    series: int = 0  #: alerts or series the last evaluation gave
    seconds: float = 0.0  #: that the last evaluation took


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """One evaluation of one group."""

    group: str
    at: datetime
    changes: Sequence[AlertChange]
    ticks: Sequence[Tick]
    health: Mapping[str, RuleHealth]
    histograms: Mapping[Labels, Histogram] = field(default_factory=dict)  #: recorded series that are no floats

    @property
    def failures(self) -> int:
        return sum(one.health is Health.ERR for one in self.health.values())


def severity_of(labels: Mapping[str, str], severities: Mapping[str, str]) -> Severity:
    """The level of the label ``severity``: P0..P3 as it stands, other words by the table, P2 when there is none."""
    word = labels.get("severity", "")
    if word in Severity.__members__:
        return Severity(word)
    return Severity(severities.get(word, DEFAULT_SEVERITIES.get(word.lower(), Severity.P2)))


#: Words people use for severities (SR-021, table P row 13); configuration may say otherwise.
DEFAULT_SEVERITIES: Mapping[str, Severity] = {
    "critical": Severity.P1,
    "page": Severity.P1,
    "emergency": Severity.P0,
    "fatal": Severity.P0,
    "error": Severity.P1,
    "major": Severity.P1,
    "high": Severity.P1,
    "warning": Severity.P2,
    "minor": Severity.P2,
    "info": Severity.P3,
    "low": Severity.P3,
    "none": Severity.P3,
}
