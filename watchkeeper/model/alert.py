"""Alerts: one rule and one label set, through pending, firing and resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AlertState(StrEnum):
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    UNKNOWN = "unknown"  #: the rule could not be evaluated; never shown as healthy


class Severity(StrEnum):
    """P0 total outage or data at risk, P1 major function down, P2 degraded, P3 hint."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"

    @property
    def rank(self) -> int:
        """0 is the most severe."""
        return int(self.value[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One row of the alert ledger. ``fingerprint`` (rule + labels) is stable; ``id`` is new for each episode."""

    id: str
    fingerprint: str
    rule: str
    group: str
    expr: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: AlertState
    severity: Severity
    value: float
    active_at: datetime
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    keep_firing_since: datetime | None = None
    last_evaluated_at: datetime | None = None
    incident_id: str = ""
    correlation_id: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)
