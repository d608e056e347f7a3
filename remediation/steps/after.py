"""After the effect: verifying, rolling back, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from remediation import book
from remediation.actions import kind_of
from remediation.judgement import compared, with_figures
from remediation.links import RETURN
from remediation.run import Run
from remediation.verify import guards_now, silent, symptom, worse
from watchkeeper.errors import ActionError, StoreError
from watchkeeper.model import ActionRecord, ActionState, Intent

from .before import later
from .effect import escalate, look

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

S = ActionState


async def verifying(run: Run, record: ActionRecord) -> ActionRecord | None:
    """First verdict within thirty seconds, then it must hold; anything guarded that gets worse ends it at once."""
    plan, at = record.plan, run.tick.wall
    before = _guards(record)
    if bad := worse(before, guards_now(run.facts.query, list(before), at), run.settings.guard_tolerance):
        return await run.move(record, S.ROLLING_BACK, f"worse than before: {bad}")
    since = datetime.fromisoformat(str(record.progress["effect_wall"]))
    there = symptom(run.facts, plan.verify, at, run.history(plan.rule.removesuffix(RETURN)).newest, since)
    holding = record.progress.get("hold_until") is not None
    if there and (holding or run.past(record, "verify_until")):
        reason = "the symptom came back" if holding else "the symptom stayed"
        said = {"happened": {"symptom": "there"}, "as_predicted": False}
        happened = with_figures(plan, said, run.facts.query, at)
        return await run.move(record, S.ROLLING_BACK, reason, progress=happened, evidence=happened)
    if there is False and not holding:
        return await _hold(run, record)
    if there is False and run.past(record, "hold_until") and not silent(run.facts, before, at, since):
        happened = with_figures(plan, record.progress, run.facts.query, at)
        reason = "the symptom is gone and stayed away"
        ended = await run.move(record, S.SUCCEEDED, reason, progress=happened, evidence=happened)
        run.tell("succeeded", ended, reason)
        return ended
    if run.past(record, "deadline"):
        if guard := silent(run.facts, before, at, since) if there is False else "":
            return await escalate(run, record, f"it cannot be known whether the guard {guard} got worse")
        return await escalate(run, record, "it cannot be known whether the symptom is gone")
    return None


def _guards(record: ActionRecord) -> dict[str, float | None]:
    kept = record.progress.get("guards")
    return dict(kept) if isinstance(kept, Mapping) else {}


async def _hold(run: Run, record: ActionRecord) -> ActionRecord | None:
    """Kept in the row without a change of state: verified, holding."""
    hold = timedelta(seconds=float(str(record.progress["hold_seconds"])))
    found = await _compared(run, record)
    holding = replace(record, progress={**record.progress, **found, "hold_until": later(run.tick.now, hold)})
    detail = {"hold_seconds": hold.total_seconds(), **found}

    def work(unit: Unit) -> None:
        unit.actions.save(holding, reason="verified, holding", at=run.tick.wall)
        unit.audit.append("engine", "action.verified_holding", record.id, detail, at=run.tick.wall)

    await run.db(work)
    run.tell("verified_holding", holding, f"verified, holding for {hold}")
    return None


async def _compared(run: Run, record: ActionRecord) -> dict[str, object]:
    """What the plan said beside what is there; empty when the target cannot be read now."""
    plan = record.plan
    try:
        reading = await run.actuator.read(plan.targets[0])
    except ActionError:
        return {}
    seen = compared(plan, reading, reached=kind_of(plan.action).reached(reading, plan.desired))
    return {**seen, **with_figures(plan, seen, run.facts.query, run.tick.wall)}


async def failed(run: Run, record: ActionRecord) -> ActionRecord:
    return await run.move(record, S.ROLLING_BACK, "the actuator failed: going back")


async def rolling_back(run: Run, record: ActionRecord) -> ActionRecord | None:
    """One attempt, whatever happens in between; its outcome is asked for, never assumed."""
    plan = record.plan
    if not plan.rollback:
        return await escalate(run, record, "there is no way back", rollback_failed=True)
    key = f"{plan.idempotency_key()}/rollback"
    row = await run.read(lambda unit: unit.actions.intent_by_key(key))
    try:
        if row is None:
            intent = await run.db(lambda unit: _commit(unit, run, record))
            outcome: Mapping[str, object] = await run.actuator.submit(intent)
        else:
            outcome = await run.actuator.outcome(key) or {}
        if outcome.get("state") == "running":
            raise ActionError("the actuator is still at work")
        reading = await run.actuator.read(plan.targets[0])
    except (ActionError, StoreError) as error:
        if run.past(record, "deadline"):
            return await escalate(run, record, f"the way back is not known to be done: {error}", rollback_failed=True)
        return None
    if outcome.get("state") in ("done", "unknown") and kind_of(plan.action).reached(reading, plan.rollback):
        ended = await run.move(
            record,
            S.ROLLED_BACK,
            "as it was before",
            evidence=outcome,
            also=lambda unit: _fallen(unit, run, record, outcome),
        )
        run.tell("rolled_back", ended, "as it was before", page=True)
        await look(run, ended, plan.rollback)
        return ended
    await run.db(lambda unit: _fallen(unit, run, record, outcome))
    return await escalate(run, record, f"the way back failed: {outcome.get('detail', '')}", rollback_failed=True)


def _commit(unit: Unit, run: Run, record: ActionRecord) -> Intent:
    intent = unit.actions.commit_intent(record, "rollback", book.target_of(record.plan), run.tick.now)
    detail = {"token": intent.token, "rollback": dict(record.plan.rollback), "plan_hash": intent.plan_hash}
    unit.audit.append("engine", "action.rollback_intent", record.id, detail, at=run.tick.wall)
    return intent


def _fallen(unit: Unit, run: Run, record: ActionRecord, outcome: Mapping[str, object]) -> None:
    for row in unit.actions.intents_of(record.id):
        if row.operation == "rollback" and row.finished_at is None:
            unit.actions.finish_intent(row.token, outcome, run.tick.wall)
    if outcome.get("state") == "done":
        book.link_served(unit, record.plan, run.settings, run.tick.now, back=True)
    book.fall(unit, record.plan.rule.removesuffix(RETURN), run.tick.now, f"{record.id} was rolled back")
