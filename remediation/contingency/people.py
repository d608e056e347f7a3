"""What people do to a run: say what a step came to, have the machine try again, call the run off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from remediation.gates import WAIVABLE
from watchkeeper.model import ActionRecord, RunState, StepRun, StepState

from .book import PlanError
from .turn import Turn

Verdict = Literal["done", "failed", "skip"]
ENDS: Mapping[str, StepState] = {"done": StepState.DONE, "failed": StepState.FAILED, "skip": StepState.SKIPPED}


def mark(turn: Turn, step: str, verdict: Verdict, note: str, user: str, action: ActionRecord | None) -> None:
    """A person's word on the step that is being taken. Raises PlanError when it is not, or an action of it runs.

    ``action``: the one that the step has asked for.
    """
    found = _taken(turn, step)
    if found.state is StepState.ACTIVE and action is not None and not action.state.terminal:
        raise PlanError(f"{action.id} of step {step} is under way ({action.state}); decide there")
    if not note.strip() and verdict != "done":
        raise PlanError("say why in a note")
    turn.step(found, ENDS[verdict], note or "done", actor=user, note=note)


def retry(turn: Turn, step: str, note: str, user: str, waive: Collection[str] = ()) -> None:
    """Have the person ask for the step's rule once more, who then cannot be the one that approves it.

    ``waive``: gates that a person may waive with a written reason. Raises PlanError unless the machine gave up on it.
    """
    found = _taken(turn, step)
    if refused := sorted(set(waive) - WAIVABLE):
        raise PlanError(f"gate {refused[0]!r} binds people too; {', '.join(sorted(WAIVABLE))} may be waived")
    if waive and not note.strip():
        raise PlanError("say in a note why gates are waived")
    if found.state is not StepState.BLOCKED:
        raise PlanError(f"step {step} is {found.state}, not blocked")
    limit = turn.plan.step(step).limit
    due = turn.now + limit if limit is not None else None
    fields: dict[str, Any] = {"attempt": found.attempt + 1, "action_id": "", "due_at": due, "overdue_at": None}
    fields |= {"note": note, "asked_by": user, "waived": tuple(sorted(set(waive)))}
    turn.step(found, StepState.ACTIVE, note or "try again", actor=user, evidence={"waived": sorted(waive)}, **fields)


def abort(turn: Turn, note: str, user: str) -> None:
    """Call the run off. What an action has begun goes on by its own rules."""
    if turn.run.state.over:
        raise PlanError(f"{turn.run.id} is {turn.run.state} already")
    if not note.strip():
        raise PlanError("say why in a note")
    for step in turn.run.steps:
        if not step.state.over:
            turn.step(step, StepState.SKIPPED, "the run was called off", actor=user)
    turn.state(RunState.ABORTED, note, actor=user)
    turn.told.append("aborted")


def _taken(turn: Turn, step: str) -> StepRun:
    if turn.run.state.over:
        raise PlanError(f"{turn.run.id} is {turn.run.state} already")
    current = turn.current()
    if current is None or current.name != step or current.state is StepState.PENDING:
        now = f"step {current.name} is being taken" if current else "every step is over"
        raise PlanError(f"step {step!r} of {turn.run.id} is not being taken; {now}")
    return current
