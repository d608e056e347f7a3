"""There and back on a test target: a way back that nobody ever tried does not count as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from watchkeeper.errors import ActionError
from watchkeeper.model import ActionRecord, ActionState, Mode, Observation, RemedyRule, Target
from watchkeeper.ports import ActuatorClient

from . import book
from .actions import kind_of
from .killswitch import KillSwitch
from .plan import make_plan
from .scaling import resolved
from .settings import Settings
from .situation import Query

if TYPE_CHECKING:
    from watchkeeper.store.state.database import State
    from watchkeeper.store.state.repositories import Unit

T = TypeVar("T")


async def rehearse(
    state: State, settings: Settings, actuator: ActuatorClient, switch: KillSwitch, rule: RemedyRule, now: datetime
) -> None:
    """Do the rule's action on its target's test target, undo it, and keep that both worked. Raises ActionError."""

    async def db(work: Callable[[Unit], T]) -> T:
        def call() -> T:
            with state.begin() as unit:
                return work(unit)

        return await asyncio.to_thread(call)

    spec = settings.target(rule.target)
    test = settings.target(str((spec or {}).get("test_target", "")))
    if spec is None or test is None or test["kind"] != spec["kind"]:
        raise ActionError(f"target {rule.target!r} names no test target of its own kind")
    if why := await asyncio.to_thread(switch.reason):
        raise ActionError(f"the kill switch is set: {why}")
    record = await _plan(db, settings, actuator, rule, test, now)
    for operation, wanted in (("execute", record.plan.desired), ("rollback", record.plan.rollback)):
        await _do(db, actuator, record, operation, wanted, now)
    key = f"{book.REHEARSED_KEY}{rule.action}/{rule.target}"

    def keep(unit: Unit) -> None:
        unit.documents.put(key, {"at": now.isoformat(), "on": str(test["name"]), "rule": rule.name}, at=now)
        detail = {"on": str(test["name"]), "rule": rule.name, "plan_hash": record.plan.digest()}
        unit.audit.append("engine", "rehearsal.passed", rule.target, detail, at=now)

    await db(keep)


async def preview(
    settings: Settings, actuator: ActuatorClient, rule: RemedyRule, now: datetime, query: Query
) -> dict[str, object]:
    """What the rule would do now, planned and not done: no record, no intent. Raises ActionError."""
    spec = settings.target(rule.target)
    if spec is None:
        raise ActionError(f"target {rule.target!r} is not configured")
    trial = replace(rule, mode=Mode.DRY_RUN)
    reading = await actuator.read(Target(kind=str(spec["kind"]), name=rule.target))
    counted, _ = resolved(trial, None, reading, query, now, settings.scale_in_after)
    seen = Observation(rule=rule.name, at=now, bad=None, reason="drill")
    planned = make_plan(counted, seen, reading, settings, "")
    return {
        "how": "dry_run",
        "on": rule.target,
        "desired": dict(planned.plan.desired),
        "rollback": dict(planned.plan.rollback),
        "plan_hash": planned.plan.digest(),
        "problem": planned.impact.problem,
    }


async def _plan(
    db: Any, settings: Settings, actuator: ActuatorClient, rule: RemedyRule, test: Any, now: datetime
) -> ActionRecord:
    name = str(test["name"])
    parameters = test.get("test_parameters", rule.parameters)
    trial = replace(rule, name=f"{rule.name}:rehearsal", target=name, parameters=parameters, mode=Mode.APPROVE)
    reading = await actuator.read(Target(kind=str(test["kind"]), name=name))
    generation = await db(lambda unit: book.generation(unit, name, now))
    seen = Observation(rule=trial.name, at=now, bad=None, reason="rehearsal")
    planned = make_plan(trial, seen, reading, settings, "", generation=generation)
    if not planned.impact.touched or not planned.plan.rollback:
        raise ActionError(f"on {name!r} there is nothing to do or no way back: nothing was rehearsed")
    return ActionRecord(
        id=await db(lambda unit: unit.actions.new_id()),
        state=ActionState.EXECUTING,
        plan=planned.plan,
        created_at=now,
        updated_at=now,
        requester="engine",
        correlation_id="",
    )


async def _do(
    db: Any, actuator: ActuatorClient, record: ActionRecord, operation: str, wanted: Any, now: datetime
) -> None:
    name = record.plan.targets[0].name

    def commit(unit: Unit) -> Any:
        intent = unit.actions.commit_intent(record, operation, name, now)
        detail = {"token": intent.token, "wanted": dict(wanted), "plan_hash": intent.plan_hash}
        unit.audit.append("engine", f"rehearsal.{operation}", record.plan.rule, detail, at=now)
        return intent

    intent = await db(commit)
    outcome = await actuator.submit(intent)
    await db(lambda unit: unit.actions.finish_intent(intent.token, outcome, now))
    if outcome.get("state") != "done":
        raise ActionError(f"the rehearsal's {operation} on {name!r} failed: {outcome.get('detail', '')}")
    reading = await actuator.read(record.plan.targets[0])
    if not kind_of(record.plan.action).reached(reading, wanted):
        raise ActionError(f"the rehearsal's {operation} on {name!r} did not reach the wanted state")
