"""One change of a run being made: the run as it becomes, why, and what is to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from watchkeeper.config.plans import Plan
from watchkeeper.model import PlanRun, RunState, StepRun, StepState

#: Who acts when no person does.
ENGINE = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One row of transitions. ``step`` empty: of the run itself."""

    step: str
    old: str
    new: str
    reason: str
    actor: str = ENGINE
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """``told`` are occasions: start, recovered, back, late, end, aborted; of a step: ``name:``, ``name:overdue``..."""

    run: PlanRun
    plan: Plan
    now: datetime
    moves: list[Move] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, run: PlanRun, now: datetime) -> Turn:
        """The run goes on by the plan that it began with."""
        return cls(run=run, plan=Plan.model_validate(run.definition), now=now)

    @property
    def changed(self) -> bool:
        return bool(self.moves)

    def current(self) -> StepRun | None:
        """The step that is being taken, or is next."""
        return next((step for step in self.run.steps if not step.state.over), None)

    def set(self, **fields: Any) -> None:
        self.run = replace(self.run, **fields)

    def state(self, new: RunState, reason: str, actor: str = ENGINE, **evidence: object) -> None:
        """The run's next state."""
        self.moves.append(Move(step="", old=self.run.state, new=new, reason=reason, actor=actor, evidence=evidence))
        self.set(state=new, **({"ended_at": self.now} if new.over else {}))

    def note(self, reason: str, **evidence: object) -> None:
        """Something worth a row that changes no state."""
        state = self.run.state
        self.moves.append(Move(step="", old=state, new=state, reason=reason, evidence=evidence))

    def step(
        self,
        step: StepRun,
        new: StepState,
        reason: str,
        actor: str = ENGINE,
        evidence: Mapping[str, object] | None = None,
        **fields: Any,
    ) -> StepRun:
        """The step's next state; one that is over says when and by whom."""
        ends = {"ended_at": self.now, "by": actor} if new.over else {}
        moved = replace(step, state=new, **{**ends, **fields})
        self.moves.append(
            Move(step=step.name, old=step.state, new=new, reason=reason, actor=actor, evidence=evidence or {})
        )
        self.set(steps=tuple(moved if one.name == step.name else one for one in self.run.steps))
        return moved
