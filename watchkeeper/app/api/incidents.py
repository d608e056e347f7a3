"""Incidents: list, one with its whole story, acknowledge, note; silences; explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import environments, shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.explain import explain, words_of
from watchkeeper.app.explain_lines import cause_line, change_line, group_line
from watchkeeper.app.pipeline.blame import changes_before, changes_known
from watchkeeper.app.pipeline.causes import causes_of
from watchkeeper.app.pipeline.odd_groups import odd_groups
from watchkeeper.config.types import parse_duration
from watchkeeper.model import IncidentState, Matcher, MatchOp
from watchkeeper.promql.matching import matches
from watchkeeper.promql.written import measured
from watchkeeper.store.state import Transition
from watchkeeper.store.state.repositories.incidents import Silence

if TYPE_CHECKING:
    from dashboard.i18n import Words

#: Nobody remembers a longer one.
LONGEST_SILENCE = timedelta(days=366)

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])


class Note(BaseModel):
    note: str = Field(default="", max_length=2000)


class Text(BaseModel):
    text: str = Field(min_length=1, max_length=2000)


LabelName = Annotated[str, Field(max_length=200)]
LabelValue = Annotated[str, Field(max_length=4000)]


class NewSilence(BaseModel):
    matchers: list[tuple[LabelName, Literal["=", "!=", "=~", "!~"], LabelValue]] = Field(min_length=1, max_length=20)
    duration: str = "1h"
    comment: str = Field(min_length=1, max_length=500)


@router.get("/incidents")
def incidents(request: Request, state: Literal["open", "all"] = "open", limit: int = 200) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        rows = unit.incidents.open()[::-1]
        if state == "all":
            rows = unit.incidents.recent(engine.clock.now() - timedelta(days=400), min(max(limit, 1), 1000))
        found = [
            shapes.incident(row, alerts=len(row.alert_ids), actions=unit.actions.count_of_incident(row.id))
            | {"changes": changes_known(engine, row)}
            for row in rows[: max(limit, 1)]
        ]
    return {"incidents": found}


@router.get("/incidents/{incident_id}")
def incident(request: Request, incident_id: str) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        row = unit.incidents.get(incident_id)
        if row is None:
            raise HTTPException(404, f"there is no incident {incident_id}")
        alerts = unit.alerts.of_incident(incident_id)
        actions = unit.actions.of_incident(incident_id)
        runs = unit.plans.of_incident(incident_id)
        subjects = [incident_id, *(one.id for one in alerts), *(one.id for one in actions)]
        subjects += [subject for run in runs for subject in (run.id, *(f"{run.id}/{step.name}" for step in run.steps))]
        timeline = sorted((one for subject in subjects for one in unit.transitions.of(subject)), key=_order)
        deliveries = [one for subject in subjects for one in unit.outbox.of_subject(subject)]
        deliveries.sort(key=lambda one: (one.finished_at or one.created_at, one.id))
        shown = [engine.remediation.shape(unit, one) for one in actions]
        before = changes_before(engine, unit, row)
        said = {one.id: next(iter(unit.feedback.words_on(one.id)[-1:]), None) for one in alerts}
    return {
        "incident": shapes.incident(row, alerts=len(alerts), actions=len(actions)),
        "alerts": [
            {**shapes.alert(one), "measured": measured(one.expr), "word": shapes.record(said[one.id])} for one in alerts
        ],
        "timeline": [shapes.transition(one) for one in timeline],
        "actions": shown,
        "changes": before,
        "plans": [{"id": run.id, "plan": run.plan, "state": run.state} for run in runs],
        "deliveries": sorted((shapes.delivery(one) for one in deliveries), key=lambda one: str(one["at"])),
    }


@router.get("/incidents/{incident_id}/causes")
def causes(request: Request, incident_id: str) -> dict[str, Any]:
    """Where it began: ranked services with the evidence for each."""
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        row = unit.incidents.get(incident_id)
        if row is None:
            raise HTTPException(404, f"there is no incident {incident_id}")
        return {"causes": causes_of(engine, unit, row), "groups": odd_groups(engine, row)}


def _order(row: Transition) -> tuple[datetime, int]:
    return row.at, row.id


@router.post("/incidents/{incident_id}/acknowledge")
def acknowledge(
    request: Request,
    incident_id: str,
    body: Note,
    caller: Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))],
) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.begin() as unit:
        row = unit.incidents.get(incident_id)
        if row is None:
            raise HTTPException(404, f"there is no incident {incident_id}")
        if row.state != IncidentState.OPENED:
            raise HTTPException(409, f"incident {incident_id} is {row.state} already")
        acknowledged = replace(row, state=IncidentState.ACKNOWLEDGED, acknowledged_at=now, acknowledged_by=caller.name)
        reason = f"acknowledged by {caller.name}" + (f": {body.note}" if body.note else "")
        unit.incidents.save(acknowledged, reason=reason, at=now, actor=caller.name)
        unit.audit.append(caller.name, "acknowledge", incident_id, {"note": body.note}, at=now)
    return {"state": "acknowledged"}


@router.post("/incidents/{incident_id}/note")
def note(
    request: Request,
    incident_id: str,
    body: Text,
    caller: Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))],
) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.begin() as unit:
        row = unit.incidents.get(incident_id)
        if row is None:
            raise HTTPException(404, f"there is no incident {incident_id}")
        unit.transitions.record(
            Transition(
                kind="incident",
                subject_id=incident_id,
                old_state=row.state,
                new_state=row.state,
                at=now,
                reason=body.text,
                actor=caller.name,
                correlation_id=row.correlation_id,
            )
        )
    return {"noted": True}


@router.get("/silences")
def silences(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        rows = unit.incidents.silences(engine.clock.now())
    names = ("id", "matchers", "starts_at", "ends_at", "created_by", "comment")
    return {"silences": [{name: shapes.plain(getattr(row, name)) for name in names} for row in rows]}


@router.post("/silences", status_code=201)
def add_silence(
    request: Request, body: NewSilence, caller: Annotated[Principal, Depends(needs(Permission.SILENCE))]
) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    try:
        length = parse_duration(body.duration)
    except (ValueError, OverflowError) as error:
        raise HTTPException(400, f"duration: {error}") from None
    if not timedelta(0) < length <= LONGEST_SILENCE:
        raise HTTPException(400, f"duration: more than nothing and at most {LONGEST_SILENCE.days} days")
    for name, op, value in body.matchers:
        matches(Matcher(name, MatchOp(op), value), [""])  # a broken pattern kept would stop every later alert
    environments.within(engine, caller, environments.of_matchers(engine, body.matchers), "POST /api/wk/silences")
    with engine.state.begin() as unit:
        silence = Silence(
            id=unit.incidents.new_silence_id(),
            matchers=[list(one) for one in body.matchers],
            starts_at=now,
            ends_at=now + length,
            created_by=caller.name,
            comment=body.comment,
        )
        unit.incidents.add_silence(silence)
        unit.audit.append(caller.name, "silence", silence.id, {"matchers": silence.matchers}, at=now)
    return {"id": silence.id, "ends_at": shapes.moment(silence.ends_at)}


@router.delete("/silences/{silence_id}")
def end_silence(
    request: Request, silence_id: str, caller: Annotated[Principal, Depends(needs(Permission.SILENCE))]
) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.begin() as unit:
        unit.incidents.end_silence(silence_id, now)
        unit.audit.append(caller.name, "end_silence", silence_id, {}, at=now)
    return {"ended": True}


@router.get("/explain/{subject_id}")
def explained(request: Request, subject_id: str, language: Literal["en", "zh-CN"] = "en") -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        found = explain(unit, subject_id, engine.config.zone, language)
        incident = unit.incidents.get(found["incident_id"]) if found else None
        if found is not None and incident is not None:
            found["changes"] = changes_before(engine, unit, incident)
            found["causes"] = causes_of(engine, unit, incident)
            found["groups"] = odd_groups(engine, incident)
            found["text"] = [*_before_the_chain(found, words_of(language, engine.config.zone)), *found["text"]]
    if found is None:
        raise HTTPException(
            404, f"nothing is known about {subject_id!r}; ids look like alert-7, inc-3, act-12 or plan-2"
        )
    return found


def _before_the_chain(found: Mapping[str, Any], words: Words) -> list[str]:
    causes = [cause_line(words, place, one) for place, one in enumerate(found["causes"], 1)]
    groups = [group_line(words, one) for one in found["groups"]]
    return causes + groups + [change_line(words, one) for one in found["changes"]]
