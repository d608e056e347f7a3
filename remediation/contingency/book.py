"""A turn as rows: the run, its transitions and their audit rows, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper.errors import WatchkeeperError
from watchkeeper.store.state import Transition

from .turn import Move, Turn

if TYPE_CHECKING:
    from watchkeeper.model import PlanRun
    from watchkeeper.store.state.repositories import Unit


class PlanError(WatchkeeperError):
    """The plan or run does not exist, or is not in a state that allows this."""


def changed(unit: Unit, turn: Turn, before: PlanRun | None = None) -> None:
    """Keep what the turn made of the run. ``before``: the row as it was read; nothing new is not written."""
    if turn.run == before:
        return
    unit.plans.save(turn.run)
    for move in turn.moves:
        _row(unit, turn, move)


def begun(unit: Unit, turn: Turn) -> None:
    """Keep a new run. Raises PlanError when the plan has a run for this incident already."""
    if other := unit.plans.taken(turn.run.key):
        raise PlanError(f"plan {turn.run.plan} has run for {turn.run.incident_id} already: {other}")
    changed(unit, turn)


def _row(unit: Unit, turn: Turn, move: Move) -> None:
    run = turn.run
    subject = f"{run.id}/{move.step}" if move.step else run.id
    unit.transitions.record(
        Transition(
            kind="plan_step" if move.step else "plan",
            subject_id=subject,
            old_state=move.old,
            new_state=move.new,
            at=turn.now,
            reason=move.reason,
            evidence=move.evidence,
            actor=move.actor,
            correlation_id=run.correlation_id,
        )
    )
    detail = {
        "from": move.old, "to": move.new, "reason": move.reason, "evidence": dict(move.evidence), "plan": run.plan,
        "version": run.version, "incident": run.incident_id, "drill": run.drill,
    }  # fmt: skip
    unit.audit.append(
        move.actor, f"plan.{move.new}" if not move.step else f"plan_step.{move.new}", subject, detail, at=turn.now
    )
