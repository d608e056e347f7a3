"""From the decision to the effect: armed, intent committed, executing; and what to do when that is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from remediation import book
from remediation.actions import kind_of
from remediation.gates import evaluate
from remediation.gates.evidence import FRESH_INTERVALS
from remediation.run import AGAIN, Run, same_change, verdicts_json, write
from remediation.situation import Situation
from remediation.survey import no_plan, plan_now, situation_of
from watchkeeper.errors import ActionError, StoreError
from watchkeeper.model import ActionRecord, ActionState, Intent, RemedyRule
from watchkeeper.ports import Reading

from .before import later

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

S = ActionState
#: Time in which what users keep must have ended: more would let a wrong action stand.
MOST_SETTLING = timedelta(minutes=5)


async def abort(run: Run, record: ActionRecord, reason: str, **evidence: object) -> ActionRecord:
    run.counts["refused:" + reason.split(":", 1)[0] if ": " in reason else "aborted"] += 1
    ended = await run.move(record, S.ABORTED, reason, evidence=evidence)
    run.tell("aborted", ended, reason)
    return ended


async def escalate(run: Run, record: ActionRecord, reason: str, **progress: object) -> ActionRecord:
    """The machine stops here, and a person is paged."""
    ended = await run.move(record, S.ESCALATED, reason, progress=progress)
    run.tell("escalated", ended, reason, page=True)
    return ended


async def armed(run: Run, record: ActionRecord) -> ActionRecord:
    """Everything is looked at once more; then the intent becomes a row, and its number the fencing token."""
    rule = run.rule_of(record)
    if rule is None:
        return await abort(run, record, "switch: the rule is gone")
    planned = await plan_now(run, record, rule)
    if not same_change(planned.plan, record.plan):
        why = no_plan(planned)
        changed = f"precondition: {why}" if why else "lock: the target or the rule changed since the plan was made"
        return await abort(run, record, changed)
    planned = replace(planned, plan=record.plan)
    situation = await situation_of(run, record, rule, planned)
    verdicts = evaluate(situation, last="lock")
    if not verdicts[-1].passed:
        return await abort(run, record, f"{verdicts[-1].gate}: {verdicts[-1].reason}", verdicts=verdicts_json(verdicts))
    if late := await _held_up(run, record):  # before the intent, which would count for cooldown and budget
        return late
    if situation.used_keys:
        return await abort(run, record, "intent: this very plan was committed before")
    return await _commit(run, record, rule, situation)


async def _held_up(run: Run, record: ActionRecord) -> ActionRecord | None:
    """What was seen is too old by now: this process stood still, or is starved, in the middle of its step."""
    rule, age = run.rule_of(record), run.held_up()
    if rule is not None and timedelta(seconds=age) <= FRESH_INTERVALS * rule.interval:
        return None
    record = replace(record, progress={**record.progress, AGAIN: True})
    return await abort(run, record, f"fresh: this was decided {age:.0f} s ago, on what was seen then")


async def _commit(run: Run, record: ActionRecord, rule: RemedyRule, situation: Situation) -> ActionRecord:
    target = book.target_of(record.plan)
    run.fresh.add(record.id)
    hold = situation.link.link.hold if situation.link else rule.hold
    keep = {
        "guards": dict(situation.guards),
        "hold_seconds": hold.total_seconds(),
        "deadline": later(run.tick.now, run.settings.deadline + hold),
    }
    try:
        moved = await run.db(lambda unit: _intent(unit, run, record, target, keep))
    except StoreError as error:  # the row cannot be written, so nothing may be done
        return await abort(run, record, f"intent: {error}")
    run.counts[f"state:{S.INTENT_COMMITTED}"] += 1
    committed = await run.read(lambda unit: unit.actions.intent_by_key(f"{record.plan.idempotency_key()}/execute"))
    checked = replace(situation, intent=committed.intent() if committed else None)
    verdicts = evaluate(checked, last="intent")
    if not verdicts[-1].passed:
        return await abort(run, moved, f"{verdicts[-1].gate}: {verdicts[-1].reason}")
    return moved


def _intent(unit: Unit, run: Run, record: ActionRecord, target: str, keep: Mapping[str, object]) -> ActionRecord:
    intent = unit.actions.commit_intent(record, "execute", target, run.tick.now)
    moved = replace(
        record,
        state=S.INTENT_COMMITTED,
        token=intent.token,
        updated_at=run.tick.wall,
        deadline_at=run.tick.wall + run.settings.deadline,
        progress={**record.progress, **keep},
    )
    write(unit, moved, record.state, f"intent {intent.token} committed", run.tick.wall, {"token": intent.token})
    return moved


async def intent_committed(run: Run, record: ActionRecord) -> ActionRecord:
    """Found here after a restart, nothing was sent yet: the next state is written before sending."""
    if record.id not in run.fresh:
        return await abort(run, record, "stopped before the intent was sent")
    if why := await run.stopped():
        return await abort(run, record, f"switch: {why}")
    if late := await _held_up(run, record):
        return late
    return await run.move(
        record,
        S.EXECUTING,
        "sent to the actuator",
        progress={"effect_at": run.tick.now.isoformat(), "effect_wall": run.tick.wall.isoformat()},
    )


async def executing(run: Run, record: ActionRecord) -> ActionRecord:
    if record.id not in run.fresh:
        return await run.move(record, S.UNKNOWN, "stopped while the actuator was at work")
    run.fresh.discard(record.id)
    try:
        outcome = await run.actuator.submit(await _intent_of(run, record, "execute"))
    except ActionError as error:
        return await run.move(record, S.UNKNOWN, str(error))
    return await _after(run, record, outcome)


async def _intent_of(run: Run, record: ActionRecord, operation: str) -> Intent:
    row = await run.read(lambda unit: unit.actions.intent_by_key(f"{record.plan.idempotency_key()}/{operation}"))
    if row is None:
        raise ActionError(f"{record.id} has no committed intent to {operation}")
    return row.intent()


async def _after(run: Run, record: ActionRecord, outcome: Mapping[str, object]) -> ActionRecord:
    state, detail = outcome.get("state"), str(outcome.get("detail", ""))
    if state == "done":
        return await _done(run, record, outcome)
    if state == "failed":
        run.counts["failed"] += 1
        return await run.move(
            record, S.FAILED, detail, evidence=outcome, also=lambda unit: _finish(unit, run, record, outcome)
        )
    return await run.move(record, S.UNKNOWN, detail or f"the actuator answered {state}", evidence=outcome)


def _finish(unit: Unit, run: Run, record: ActionRecord, outcome: Mapping[str, object]) -> None:
    unit.actions.finish_intent(record.token, outcome, run.tick.wall)


async def _done(run: Run, record: ActionRecord, outcome: Mapping[str, object]) -> ActionRecord:
    moved = await run.move(
        record,
        S.VERIFYING,
        "the effect is done",
        progress={
            "verify_until": later(run.tick.now, run.settings.verify_within + _settling(record)),
            "outcome": dict(outcome),
        },
        evidence=outcome,
        also=lambda unit: _settle(unit, run, record, outcome),
    )
    run.tell("executed", moved, "done, the symptom is being watched")
    await look(run, moved, record.plan.desired)
    return moved


def _settling(record: ActionRecord) -> timedelta:
    """How long users may still see what was before, by the reading of the plan: the TTL of a name."""
    capacity = record.plan.evidence.get("capacity")
    told = capacity.get("settles_seconds", 0.0) if isinstance(capacity, Mapping) else 0.0
    return min(timedelta(seconds=float(told)), MOST_SETTLING)


def _settle(unit: Unit, run: Run, record: ActionRecord, outcome: Mapping[str, object]) -> None:
    _finish(unit, run, record, outcome)
    book.link_served(unit, record.plan, run.settings, run.tick.now, severity=record.progress.get("severity"))


async def look(run: Run, record: ActionRecord, wanted: Mapping[str, object]) -> None:
    """Read what we left, so that a later foreign change shows. When it cannot be read now, the next reading is ours."""
    name = book.target_of(record.plan)
    try:
        reading = await run.actuator.read(record.plan.targets[0])
    except ActionError:
        await run.db(lambda unit: book.expect_own_change(unit, name, run.tick.now))
        return
    ours = kind_of(record.plan.action).reached(reading, wanted)
    await run.db(lambda unit: book.note_reading(unit, name, reading, run.tick.now, run.settings, ours=ours))


async def unknown(run: Run, record: ActionRecord) -> ActionRecord | None:
    """Never retried blindly: first the target is read."""
    if not run.facts.leader:
        return None
    return await run.move(record, S.RECONCILING, "asking the actuator and the target")


async def reconciling(run: Run, record: ActionRecord) -> ActionRecord | None:
    """The actuator's journal first, then the target itself. Only the leader may."""
    if not run.facts.leader:
        return None
    try:
        answer = await run.actuator.outcome(f"{record.plan.idempotency_key()}/execute") or {"state": "refused"}
        if answer.get("state") == "running":
            raise ActionError("the actuator is still at work")
        reading = await run.actuator.read(record.plan.targets[0])
    except ActionError as error:
        if run.past(record, "deadline"):
            return await escalate(run, record, f"it cannot be known what was done: {error}")
        return None
    if answer.get("state") == "done":
        return await _done(run, record, answer)
    if answer.get("state") == "refused":
        run.counts["refused:actuator"] += 1
        return await _nothing_done(run, record, answer)
    return await _by_reading(run, record, answer, reading)


async def _by_reading(run: Run, record: ActionRecord, answer: Mapping[str, object], reading: Reading) -> ActionRecord:
    """Begun and not known to be ended: what the target looks like decides."""
    kind, plan = kind_of(record.plan.action), record.plan
    if kind.reached(reading, plan.desired):
        return await _done(run, record, {**answer, "state": "done", "read": asdict(reading)})
    if kind.reached(reading, plan.before):
        return await _nothing_done(run, record, answer)
    if not kind.ours(reading, plan.before, plan.desired):
        return await escalate(run, record, "the target is neither as before nor as wanted: somebody else was here")
    return await run.move(
        record, S.ROLLING_BACK, "done by half", evidence=answer, also=lambda unit: _finish(unit, run, record, answer)
    )


async def _nothing_done(run: Run, record: ActionRecord, answer: Mapping[str, object]) -> ActionRecord:
    reason = f"nothing was done: {answer.get('detail', '')}"
    ended = await run.move(
        record, S.ABORTED, reason, evidence=answer, also=lambda unit: _finish(unit, run, record, answer)
    )
    run.tell("aborted", ended, reason)
    return ended
