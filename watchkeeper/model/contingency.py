"""Runs of contingency plans, their steps, and the states both pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class RunState(StrEnum):
    RUNNING = "running"  #: steps are being taken
    RECOVERING = "recovering"  #: every step is over, the symptom is still there or not known
    COMPLETED = "completed"
    ABORTED = "aborted"

    @property
    def over(self) -> bool:
        return self in (RunState.COMPLETED, RunState.ABORTED)


class StepState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    BLOCKED = "blocked"  #: the machine could not do it; a person decides
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"

    @property
    def over(self) -> bool:
        return self not in (StepState.PENDING, StepState.ACTIVE, StepState.BLOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One step of one run."""

    name: str
    state: StepState = StepState.PENDING
    started_at: datetime | None = None
    due_at: datetime | None = None  #: its time limit
    ended_at: datetime | None = None
    overdue_at: datetime | None = None  #: when somebody was told that the limit has passed
    by: str = ""  #: who ended it: a person, or the engine
    note: str = ""
    action_id: str = ""  #: the action asked for, of an automatic step
    attempt: int = 0  #: times that the action or rehearsal was asked for
    asked_by: str = ""  #: the person who had it tried again; empty: the plan itself asks
    waived: Sequence[str] = ()  #: gates that this person waived


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRun:
    """One run. ``definition`` is the plan as it was when the run began: an edited file changes no run under way."""

    id: str
    plan: str
    version: str  #: hash of the definition
    definition: Mapping[str, object]
    incident_id: str  #: empty: started by hand, or a drill
    drill: bool
    state: RunState
    clock_at: datetime  #: the recovery clock runs from here: the trigger's own moment
    due_at: datetime  #: recovered by then
    started_at: datetime
    started_by: str
    reason: str
    correlation_id: str
    steps: Sequence[StepRun] = field(default_factory=tuple)
    quiet_since: datetime | None = None  #: the symptom is gone since then, not yet for as long as it must
    recovered_at: datetime | None = None  #: when the symptom went, verified by the time it stayed away
    late_at: datetime | None = None  #: when people were told that the target has passed
    ended_at: datetime | None = None

    @property
    def key(self) -> str:
        """One run for each plan and incident; drills and runs by hand are their own."""
        return f"{self.plan}/{self.incident_id}" if self.incident_id and not self.drill else f"{self.plan}/{self.id}"
