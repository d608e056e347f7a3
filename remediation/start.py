"""The first record of an action: observed by a rule, or asked for by a person."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper.errors import ActionError
from watchkeeper.model import ActionRecord, ActionState, Observation, RemedyRule

from . import book
from .links import RETURN
from .plan import make_plan
from .run import AGAIN, Run, write
from .survey import EMPTY

if TYPE_CHECKING:
    from watchkeeper.store.state.repositories import Unit

#: Actions that began longer ago are over, and over for longer than any ``retry_after``.
LOOK_BACK = timedelta(hours=1)


def held_back(unit: Unit, run: Run, rule: RemedyRule) -> bool:
    """True while the rule has an action under way, or was refused less than ``retry_after`` ago."""
    if any(record.plan.rule == rule.name for record in unit.actions.active()):
        return True
    earlier = unit.actions.of_rule(rule.name, run.tick.wall - LOOK_BACK)
    trusted = not run.isolated(rule.name)
    ends = [one.progress.get("ended_at") for one in earlier if not (trusted and one.progress.get(AGAIN))]
    return any(end and run.tick.now - datetime.fromisoformat(str(end)) < run.settings.retry_after for end in ends)


def first_record(unit: Unit, run: Run, rule: RemedyRule) -> ActionRecord | None:
    """None while the rule is held back."""
    if held_back(unit, run, rule):
        return None
    incident = run.incident(rule)
    newest = run.history(rule.name).newest
    assert newest is not None  # a bad observation brought us here
    record = make_record(unit, rule, newest, run, incident_id=incident.id if incident else "", requester=rule.name)
    write(unit, record, None, newest.reason or f"{rule.when} is bad", run.tick.wall, {"observers": newest.observers})
    return record


def asked_record(
    unit: Unit, run: Run, rule: RemedyRule, user: str, reason: str, waive: Collection[str], incident_id: str = ""
) -> str:
    """A record that somebody asked for, with what they waived and why. ``incident_id``: for this open incident."""
    if any(record.plan.rule == rule.name for record in unit.actions.active()):
        raise ActionError(f"rule {rule.name} has an action under way already")
    incident = next((one for one in run.facts.incidents if one.id == incident_id), None) or run.incident(rule)
    seen = run.history(rule.name).newest or Observation(rule=rule.name, at=run.tick.wall, bad=None)
    seen = replace(seen, reason=f"{user}: {reason}")
    waived = {"waived": sorted(waive), "waived_why": reason}
    record = make_record(
        unit, rule, seen, run, incident_id=incident.id if incident else "", requester=user, more=waived
    )
    write(unit, record, None, seen.reason, run.tick.wall, waived, actor=user)
    return record.id


def make_record(
    unit: Unit,
    rule: RemedyRule,
    newest: Observation,
    run: Run,
    *,
    incident_id: str,
    requester: str,
    more: Mapping[str, object] | None = None,
) -> ActionRecord:
    incident = next((each for each in run.facts.incidents if each.id == incident_id), None)
    severity = incident.severity.value if incident else _severity(unit, rule, run)
    action_id = unit.actions.new_id()
    planned = make_plan(_untargeted(rule), newest, EMPTY, run.settings, incident_id)
    return ActionRecord(
        id=action_id,
        state=ActionState.OBSERVED,
        plan=planned.plan,
        created_at=run.tick.wall,
        updated_at=run.tick.wall,
        requester=requester,
        correlation_id=incident.correlation_id if incident and incident.correlation_id else action_id,
        progress={"severity": severity, "why": newest.reason, **(more or {})},
    )


def _severity(unit: Unit, rule: RemedyRule, run: Run) -> str:
    """Of what belongs to no incident; a way back has that of the switch it takes back, whose incident is over."""
    inherited = book.switched_for(unit, rule.link) if rule.name.endswith(RETURN) else None
    return inherited or run.settings.default_severity


def _untargeted(rule: RemedyRule) -> RemedyRule:
    """Nothing is resolved before the symptom is confirmed."""
    return replace(rule, target="")
