"""What became of what was only proposed: the same figures as after an effect, measured when it would have been judged.

A proposal in dry-run is worth what it would have changed. So the symptom, the target and every metric of its prediction
are looked at once more at the end of its hold: was it needed, did the trouble end by itself, did somebody do just that?
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import ActionError
from watchkeeper.model import ActionRecord, RemedyRule
from watchkeeper.ports import Reading

from .actions import kind_of
from .judgement import compared, with_figures
from .links import RETURN
from .run import Run
from .verify import symptom

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

#: Document of the proposals that are still to be looked at: id -> steady time.
WAITING = "remediation/hindsight"
#: Documents of what became of a rule's proposals since its newest version.
FOUND = "remediation/hindsights/"


class Became(StrEnum):
    NEEDED = "needed"  #: the symptom was still there when the action would have been verified
    BY_ITSELF = "by_itself"  #: the symptom went without it
    BY_OTHERS = "by_others"  #: somebody else did just that
    UNKNOWN = "unknown"


#: Whether the symptom is there -> the word for it, and what that says of a proposal nobody carried out.
OUTCOMES = {True: ("there", Became.NEEDED), False: ("gone", Became.BY_ITSELF)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """A rule's proposals that nobody carried out through us, by what became of them."""

    version: str = ""
    needed: int = 0
    by_itself: int = 0
    by_others: int = 0
    unknown: int = 0


def remember(unit: Unit, run: Run, record: ActionRecord, rule: RemedyRule) -> None:
    """To be written with the end of a proposal: it is looked at again when its action would have been held."""
    link = run.settings.link(rule.link)
    due = run.tick.now + run.settings.verify_within + (link.hold if link else rule.hold)
    waiting: Mapping[str, str] = unit.documents.get(WAITING) or {}
    unit.documents.put(WAITING, {**waiting, record.id: due.isoformat()}, at=run.tick.wall)


async def look_back(run: Run) -> None:
    """At every proposal whose time has come, once."""
    for action_id in await run.read(lambda unit: _due(unit, run.tick.now)):
        await _look_back(run, action_id)


async def _look_back(run: Run, action_id: str) -> None:
    record = await run.read(lambda unit: unit.actions.get(action_id))
    progress = await _seen(run, record) if record else {}

    def work(unit: Unit) -> None:
        waiting: Mapping[str, str] = unit.documents.get(WAITING) or {}
        left = {key: due for key, due in waiting.items() if key != action_id}
        unit.documents.put(WAITING, left, at=run.tick.wall)
        if record is not None:
            _keep(unit, run, record, progress)

    await run.db(work)


def hindsights(unit: Unit) -> dict[str, Hindsight]:
    """Rule -> what became of its proposals."""
    kept = unit.documents.with_prefix(FOUND)
    return {key.removeprefix(FOUND): Hindsight(**counts) for key, counts in sorted(kept.items())}


def _due(unit: Unit, now: datetime) -> list[str]:
    waiting: Mapping[str, str] = unit.documents.get(WAITING) or {}
    return [action_id for action_id, due in waiting.items() if datetime.fromisoformat(due) <= now]


async def _seen(run: Run, record: ActionRecord) -> dict[str, object]:
    plan, at = record.plan, run.tick.wall
    newest = run.history(plan.rule.removesuffix(RETURN)).newest
    there = None if run.isolated(plan.rule) else symptom(run.facts, plan.verify, at, newest, record.updated_at)
    word, without = ("unknown", Became.UNKNOWN) if there is None else OUTCOMES[there]
    reading = await _reading(run, record)
    done = reading is not None and bool(plan.desired) and kind_of(plan.action).reached(reading, plan.desired)
    seen: dict[str, Any] = compared(plan, reading, reached=done) if reading is not None else {"happened": {}}
    seen["happened"] = {**seen["happened"], "symptom": word}
    found = with_figures(plan, seen, run.facts.query, at)
    if done:  # a prediction is held against what was done, never against what was left undone
        right = seen["as_predicted"] is True and found["as_predicted"] is True and there is False
        return {"became": Became.BY_OTHERS, **seen, **found, "as_predicted": right}
    return {"became": without, "happened": found["happened"]}


async def _reading(run: Run, record: ActionRecord) -> Reading | None:
    if not record.plan.targets:
        return None
    try:
        return await run.actuator.read(record.plan.targets[0])
    except ActionError:
        return None


def _keep(unit: Unit, run: Run, record: ActionRecord, progress: Mapping[str, object]) -> None:
    """With the proposal, in the audit, and in the rule's tally; a new version of the rule starts anew."""
    looked = replace(record, progress={**record.progress, **progress})
    unit.actions.save(looked, reason="looked back", at=run.tick.wall)
    unit.audit.append("engine", "action.looked_back", record.id, progress, at=run.tick.wall)
    plan, became = record.plan, str(progress["became"])
    kept: Mapping[str, Any] = unit.documents.get(FOUND + plan.rule) or {}
    if kept.get("version") != plan.rule_version:
        kept = {"version": plan.rule_version}
    unit.documents.put(FOUND + plan.rule, {**kept, became: int(kept.get(became, 0)) + 1}, at=run.tick.wall)
