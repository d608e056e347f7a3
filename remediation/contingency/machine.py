"""From trigger to end: which step is next, what it came to, whether time is up, whether the symptom is gone.

Pure: what is known of the world comes in as a ``Look``, what must be done outside goes out as an ``Ask``. Whatever
state a run is in, asking again gives the same answer: a new life of the engine goes on where the last one ended.

    RUNNING --(steps are over, recovered)--> COMPLETED      any --(a person)--> ABORTED
       '--(steps are over)--> RECOVERING --(recovered)--^
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchkeeper.config.plans import Plan, Step
from watchkeeper.model import ActionRecord, ActionState, PlanRun, RunState, StepRun, StepState

from .turn import Move, Turn

S = StepState
#: How an action may end that says: there was nothing left to do.
NEEDLESS = (ActionState.CLEARED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The world as it is now."""

    quiet: bool | None = None  #: the symptom is gone; None: that is not known
    measured: bool = True  #: something tells whether it is
    holds: Mapping[str, bool | None] = field(default_factory=dict)  #: condition of a step -> does it hold
    sees: Mapping[str, bool | None] = field(default_factory=dict)  #: rule of a step -> does its own expression hold
    actions: Mapping[str, ActionRecord] = field(default_factory=dict)  #: id -> those that steps have asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The rule of a step is to be asked for, or rehearsed; ``attempt`` counts from 1."""

    step: str
    rule: str
    attempt: int
    by: str = ""  #: the person who had it tried again; empty: the plan itself
    waive: Sequence[str] = ()
    note: str = ""


def begin(
    plan: Plan,
    *,
    run_id: str,
    definition: Mapping[str, object],
    version: str,
    now: datetime,
    clock_at: datetime,
    by: str,
    reason: str,
    incident_id: str = "",
    correlation_id: str = "",
    drill: bool = False,
) -> Turn:
    """A new run, its steps all ahead. ``clock_at``: the trigger's moment, from which recovery is measured."""
    run = PlanRun(
        id=run_id,
        plan=plan.name,
        version=version,
        definition=definition,
        incident_id=incident_id,
        drill=drill,
        state=RunState.RUNNING,
        clock_at=clock_at,
        due_at=clock_at + plan.recovery.target,
        started_at=now,
        started_by=by,
        reason=reason,
        correlation_id=correlation_id or run_id,
        steps=tuple(StepRun(name=step.name) for step in plan.steps),
    )
    evidence = {"plan": run.plan, "version": version, "drill": drill, "due_at": run.due_at}
    first = Move(step="", old="", new=run.state, reason=reason, actor=by, evidence=evidence)
    return Turn(run=run, plan=plan, now=now, moves=[first], told=["start"])


def advance(turn: Turn, look: Look) -> Ask | None:
    """As far as it goes now. The answer, if any, is to be done, and told by ``asked`` or ``unable``."""
    if turn.run.state.over:
        return None
    if not turn.run.drill:
        _recovery(turn, look)
    while (step := turn.current()) is not None:
        wanted = turn.plan.step(step.name)
        if step.state is S.PENDING:
            _enter(turn, step, wanted, look)
            continue
        moved = _result(turn, step, look) or _in_time(turn, step, wanted)
        if moved.state.over:
            continue
        if _to_ask(turn, moved, wanted, look):
            ask = Ask(step=moved.name, rule=wanted.rule, attempt=moved.attempt)
            return replace(ask, by=moved.asked_by, waive=moved.waived, note=moved.note) if moved.asked_by else ask
        return None
    _close(turn, look)
    return None


def _to_ask(turn: Turn, step: StepRun, wanted: Step, look: Look) -> bool:
    """The rule is to be asked for now. A rehearsal that was begun and told nothing yet is not begun again."""
    if step.state is not S.ACTIVE or wanted.kind != "rule" or step.action_id:
        return False
    if turn.run.drill:
        return step.note != REHEARSING
    return not wanted.wait or bool(step.asked_by) or look.sees.get(wanted.rule) is True


#: Note of a step whose rehearsal is under way.
REHEARSING = "rehearsal under way"


def _enter(turn: Turn, step: StepRun, wanted: Step, look: Look) -> None:
    if wanted.when and not turn.run.drill and look.holds.get(wanted.when) is False:
        turn.step(step, S.SKIPPED, "its condition does not hold", evidence={"when": wanted.when})
        return
    turn.told.append(f"{step.name}:")
    if wanted.kind == "notice":
        turn.step(step, S.DONE, "people are told", started_at=turn.now)
        return
    due = turn.now + wanted.limit if wanted.limit is not None else None
    attempt = 1 if wanted.kind == "rule" else 0
    turn.step(step, S.ACTIVE, "its turn has come", started_at=turn.now, due_at=due, attempt=attempt)


def _result(turn: Turn, step: StepRun, look: Look) -> StepRun | None:
    """What the action of the step came to; None while it is under way, or when there is none."""
    record = look.actions.get(step.action_id) if step.action_id and step.state is S.ACTIVE else None
    if record is None or not record.state.terminal:
        return None
    evidence = {"action": record.id, "state": record.state}
    if record.state is ActionState.SUCCEEDED:
        return turn.step(step, S.DONE, f"action {record.id} is verified", evidence=evidence)
    if record.state in NEEDLESS:
        return turn.step(step, S.SKIPPED, f"action {record.id} was not needed any more", evidence=evidence)
    return unable(turn, step, f"action {record.id} ended {record.state}", evidence=evidence)


def unable(turn: Turn, step: StepRun, reason: str, evidence: Mapping[str, object] | None = None) -> StepRun:
    """The machine could not do it: the next step, or a person."""
    if turn.run.drill or turn.plan.step(step.name).on_failure == "continue":
        return turn.step(step, S.FAILED, reason, evidence=evidence, note=reason)
    turn.told.append(f"{step.name}:blocked")
    return turn.step(step, S.BLOCKED, reason, evidence=evidence, note=reason)


def _in_time(turn: Turn, step: StepRun, wanted: Step) -> StepRun:
    """Past its limit the step is left behind, or people are told once and it goes on."""
    if step.due_at is None or turn.now < step.due_at or step.overdue_at is not None:
        return step
    reason = "the time limit of the step has passed"
    if wanted.on_timeout == "continue":
        return turn.step(step, S.TIMED_OUT, reason, note=step.action_id and f"{step.action_id} goes on by itself")
    turn.told.append(f"{step.name}:overdue")
    return turn.step(step, step.state, reason, overdue_at=turn.now)


def _recovery(turn: Turn, look: Look) -> None:
    """Stopped by a symptom that stays away; unknown is not recovered. One that comes back starts the clock again."""
    run, hold = turn.run, turn.plan.recovery.hold
    if look.quiet is not True:
        if run.quiet_since is not None:
            turn.set(quiet_since=None)
        if run.recovered_at is not None and look.quiet is False:
            turn.set(recovered_at=None)
            turn.note("the symptom is back: the recovery clock runs again")
            turn.told.append("back")
    elif run.recovered_at is None:
        since = run.quiet_since or turn.now
        turn.set(quiet_since=since)
        if turn.now - since >= hold:
            turn.set(recovered_at=since)
            took = (since - run.clock_at).total_seconds()
            target = turn.plan.recovery.target.total_seconds()
            turn.note("recovered: the symptom stayed away", seconds=took, target_seconds=target)
            turn.told.append("recovered")
    _late(turn)


def _late(turn: Turn) -> None:
    run = turn.run
    if run.late_at is None and run.recovered_at is None and run.quiet_since is None and turn.now >= run.due_at:
        turn.set(late_at=turn.now)
        turn.note("the recovery target has passed")
        turn.told.append("late")


def _close(turn: Turn, look: Look) -> None:
    """Every step is over."""
    run = turn.run
    if run.drill:
        turn.set(recovered_at=turn.now)
        turn.state(RunState.COMPLETED, "the drill has gone through every step")
    elif run.recovered_at is not None:
        turn.state(RunState.COMPLETED, "every step is over, and the symptom is gone")
    elif not look.measured:
        turn.state(RunState.COMPLETED, "every step is over; nothing measures recovery")
    elif run.state is RunState.RUNNING:
        turn.state(RunState.RECOVERING, "every step is over; the symptom is not gone yet")
        return
    else:
        return
    turn.told.append("end")
