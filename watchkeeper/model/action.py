"""Plans, verdicts of gates, and the states an action passes (RELIABILITY 2.4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    SUGGEST = "suggest"
    DRY_RUN = "dry_run"
    APPROVE = "approve"
    AUTO = "auto"


class RiskClass(StrEnum):
    """Read-only; reversible on one target; reversible at service level; risky; data at risk."""

    A0 = "A0"
    A1 = "A1"
    A2 = "A2"
    A3 = "A3"
    A4 = "A4"


class ActionState(StrEnum):
    OBSERVED = "observed"
    CONFIRMING = "confirming"
    CLEARED = "cleared"
    PROPOSED = "proposed"
    SUPPRESSED = "suppressed"
    AWAITING_APPROVAL = "awaiting_approval"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ARMED = "armed"
    ABORTED = "aborted"
    INTENT_COMMITTED = "intent_committed"
    EXECUTING = "executing"
    UNKNOWN = "unknown"
    RECONCILING = "reconciling"
    VERIFYING = "verifying"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ESCALATED = "escalated"
    DRY_RUN = "dry_run"  #: terminal: the plan was made and shown, nothing was done
    SUGGESTED = "suggested"  #: terminal: a person was told what would help

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset(
    {
        ActionState.CLEARED,
        ActionState.SUPPRESSED,
        ActionState.REJECTED,
        ActionState.EXPIRED,
        ActionState.ABORTED,
        ActionState.SUCCEEDED,
        ActionState.ROLLED_BACK,
        ActionState.ESCALATED,
        ActionState.DRY_RUN,
        ActionState.SUGGESTED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing an action changes. ``kind`` names the action that knows how."""

    kind: str
    name: str
    epoch: str = ""  #: what the target looked like when the plan was made; part of the idempotency key


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The end wanted, never a delta; resolved once, hashed, and approved by that hash."""

    action: str  #: kind of action: haproxy, supervisord, webhook ...
    rule: str
    rule_version: str
    incident_id: str
    targets: Sequence[Target]
    desired: Mapping[str, object]  #: absolute state wanted, e.g. {"web1": "drain"}
    before: Mapping[str, object]  #: state read when planning: what rollback restores
    rollback: Mapping[str, object]  #: absolute state that undoes it; empty means no way back (class A4)
    parameters: Mapping[str, object]
    verify: str  #: PromQL; the symptom is gone when it returns no series or 0
    risk: RiskClass
    mode: Mode
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Its fields as JSON has them; mappings are the plan's own, not copies."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "targets": [asdict(one) for one in self.targets]
        }

    def canonical(self) -> bytes:
        """The plan as bytes: same inputs, same bytes, in dry-run and for real alike."""
        body = {key: value for key, value in self.body().items() if key not in ("evidence", "mode")}
        return json.dumps(body, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False).encode()

    def digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()

    def idempotency_key(self) -> str:
        """hash(rule + version, incident, targets with epoch, action, desired state)."""
        parts = [self.rule, self.rule_version, self.incident_id, self.action]
        parts += [f"{target.kind}/{target.name}@{target.epoch}" for target in self.targets]
        parts.append(json.dumps(self.desired, sort_keys=True, default=str))
        return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One row of the action ledger."""

    id: str
    state: ActionState
    plan: Plan
    created_at: datetime
    updated_at: datetime
    requester: str  #: the rule's name, or the person who asked
    correlation_id: str
    token: int = 0  #: fencing token of the newest intent, 0 before the first
    deadline_at: datetime | None = None  #: terminal or ESCALATED by then (I10)
    progress: Mapping[str, object] = field(default_factory=dict)  #: gate verdicts, readings, verification so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    action_id: str
    plan_hash: str
    user: str
    verdict: str  #: approve | reject
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One gate's answer, written to the audit whatever it is."""

    gate: str
    passed: bool
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What the engine hands the actuator: a committed row, never a wish."""

    token: int  #: fencing token, strictly increasing; the actuator refuses lower ones per target
    action_id: str
    idempotency_key: str
    operation: str  #: execute | rollback
    plan: Mapping[str, object]  #: the plan as JSON object
    plan_hash: str
    committed_at: datetime
