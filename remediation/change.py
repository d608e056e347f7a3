"""What people are told about an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from watchkeeper.model import ActionState, Plan, Severity

ChangeKind = Literal[
    "proposed",
    "needs_approval",
    "executed",
    "verified_holding",
    "succeeded",
    "rolled_back",
    "escalated",
    "suppressed",
    "suggested",
    "dry_run",
    "rejected",
    "aborted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """``page``: a person must look now, the machine has stopped."""

    kind: ChangeKind
    action_id: str
    rule: str
    incident_id: str
    state: ActionState
    severity: Severity
    plan: Plan
    reason: str
    at: datetime
    page: bool = False
    evidence: Mapping[str, object] = field(default_factory=dict)
