"""Gathers the situation that gates are asked about, and the plan for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import ActionError
from watchkeeper.model import ActionRecord, Intent, Observation, RemedyRule, Target
from watchkeeper.ports import Reading

from . import book
from .links import RETURN
from .plan import NOTHING, Planned, make_plan
from .predict import prediction
from .run import Run, severity_of
from .scaling import resolved
from .situation import Situation
from .verify import guards_now

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

EMPTY = Reading(state={}, epoch="")


async def plan_now(run: Run, record: ActionRecord, rule: RemedyRule) -> Planned:
    """The plan for the target as it is now. What stands in its way becomes the plan's problem, for gate 8."""
    newest = run.history(rule.name).newest or Observation(rule=rule.name, at=run.tick.wall, bad=None)
    newest = replace(newest, reason=str(record.progress.get("why") or newest.reason))
    incident_id = record.plan.incident_id
    spec = run.settings.target(rule.target)
    if spec is None:
        return _nothing(make_plan(replace(rule, target=""), newest, EMPTY, run.settings, incident_id), "")
    try:
        reading = await run.actuator.read(Target(kind=str(spec["kind"]), name=rule.target))
        generation, rehearsed = await run.db(lambda unit: _known(unit, run, rule, reading))
        planned = record.plan.parameters if record.plan.targets else None
        window = run.settings.scale_in_after
        counted, why = resolved(rule, planned, reading, run.facts.query, run.tick.wall, window)
        made = make_plan(
            counted, newest, reading, run.settings, incident_id, generation=generation, rehearsed=rehearsed
        )
        rated = {"quality": found} if (found := run.facts.quality.get(rule.link)) else {}  # for people; not hashed
        made = replace(made, plan=replace(made.plan, evidence={**made.plan.evidence, **why, **rated}))
        return made if planned else _foretold(run, rule, made, why)
    except ActionError as error:
        nothing = make_plan(replace(rule, target=""), newest, EMPTY, run.settings, incident_id)
        return _nothing(nothing, str(error))


def no_plan(planned: Planned) -> str:
    """Why there is none to compare with the one that was made; empty when there is one."""
    return "" if planned.plan.targets else planned.impact.problem


def _foretold(run: Run, rule: RemedyRule, made: Planned, why: Mapping[str, Any]) -> Planned:
    """With what the plan says of the world after it: said once, when it is made."""
    scaled = why.get("scale", {})
    said = prediction(rule, made, run.settings, run.facts.query, run.tick.wall, scaled)
    return replace(made, plan=replace(made.plan, evidence={**made.plan.evidence, "prediction": said}))


def _known(unit: Unit, run: Run, rule: RemedyRule, reading: Reading) -> tuple[int, bool]:
    moving = {book.target_of(other.plan) for other in unit.actions.active() if other.state in book.MOVING}
    if rule.target not in moving:
        book.note_reading(unit, rule.target, reading, run.tick.now, run.settings)
    rehearsed = unit.documents.get(f"{book.REHEARSED_KEY}{rule.action}/{rule.target}") is not None
    return book.generation(unit, rule.target, run.tick.now), rehearsed


def _nothing(planned: Planned, problem: str) -> Planned:
    return replace(planned, impact=replace(NOTHING, problem=problem))


async def situation_of(
    run: Run, record: ActionRecord, rule: RemedyRule, planned: Planned, intent: Intent | None = None
) -> Situation:
    """Everything gates may look at, as of now."""
    history = run.history(rule.name)
    bare = Situation(
        now=run.tick.now,
        wall=run.tick.wall,
        rule=rule,
        plan=planned.plan,
        impact=planned.impact,
        reading=planned.reading if planned.reading.epoch else None,
        history=tuple(history.seen),
        settings=run.settings,
        severity=severity_of(record, run.settings),
        action_id=record.id,
        requester=record.requester,
        kill_switch=await run.stopped(),
        isolated=run.isolated(rule.name),
        watched=run.facts.watched,
        bad_services=run.facts.bad_services,
        canaries=run.facts.canaries,
        asked=run.facts.asked,
        onset=history.onset,
        onsets=tuple(history.onsets),
        idle_since=history.idle_since,
        leader=run.facts.leader,
        frozen=[one for one in run.facts.freezes if one.means(rule)],
        intent=intent,
        link=run.links.get(rule.name),
        guards=guards_now(run.facts.query, rule.guards, run.tick.wall),
        waived=frozenset(map(str, _strings(record.progress.get("waived")))),
    )
    return await run.read(lambda unit: _from_book(unit, run, record, bare))


def _from_book(unit: Unit, run: Run, record: ActionRecord, bare: Situation) -> Situation:
    now, rule, settings = run.tick.now, bare.rule, run.settings
    target = book.target_of(bare.plan)
    seen = book.seen_of(unit, target) or book.Seen()
    key = f"{bare.plan.idempotency_key()}/execute"
    earlier = unit.actions.intent_by_key(key)
    used = frozenset({key}) if earlier is not None and earlier.action_id != record.id else frozenset()
    return replace(
        bare,
        changes=tuple(seen.changes),
        foreign_at=seen.foreign_at,
        effects=tuple(book.effects(unit, now, settings)),
        ended=tuple(book.ended(unit, now, settings.breakers.window)),
        in_flight=tuple(book.in_flight(unit.actions.active(), record.id)),
        approvals=tuple(book.words(unit, record.id)),
        declared=book.declared(unit, rule.name.removesuffix(RETURN), now),
        graduated=book.graduated(unit, rule.name, rule.version, now, settings),
        rehearsed=unit.documents.get(f"{book.REHEARSED_KEY}{rule.action}/{rule.target}") is not None,
        used_keys=used,
    )


def _strings(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []
