"""Incidents: what a person is paged for; one or more alerts with one likely cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from watchkeeper.model.alert import Severity


class IncidentState(StrEnum):
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    id: str
    state: IncidentState
    severity: Severity
    title: str
    group_key: str
    labels: Mapping[str, str]
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    respond_by: datetime | None = None  #: clock one: somebody answers (SR-032)
    start_by: datetime | None = None  #: clock two: work starts (SR-032)
    alert_ids: Sequence[str] = ()
    correlation_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
