"""Contingency plans: list, start, drill, what people say of their steps, call off, and the evidence as one file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from remediation.contingency import PlanError, Turn, abort, mark, retry
from remediation.contingency.load import Known
from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.plans_pack import collect, pack, run_body
from watchkeeper.model import Incident, IncidentState, PlanRun
from watchkeeper.store.state import Unit

router = APIRouter(prefix="/api/wk/plans", dependencies=[Depends(read)])

#: Who says what a step came to, and who begins what may lead to effects.
Hand = Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))]
Starter = Annotated[Principal, Depends(needs(Permission.APPROVE_REVERSIBLE))]


class Start(BaseModel):
    reason: str = Field(min_length=1, max_length=2000)
    incident_id: str = Field(default="", max_length=64)
    drill: bool = False


class Note(BaseModel):
    note: str = Field(default="", max_length=2000)


class Again(Note):
    waive: list[Annotated[str, Field(max_length=40)]] = Field(default=[], max_length=8)


@router.get("")
def plans(request: Request, limit: int = 50) -> dict[str, Any]:
    """Plans in force, runs under way, and the newest that are over."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.read() as unit:
        live, drills = unit.plans.live(), unit.plans.last_drills()
        recent = [run for run in unit.plans.recent(min(max(limit, 1), 500)) if run.state.over]
    section = engine.config.plans
    return {
        "plans": [_plan(one, drills.get(name), now) for name, one in engine.planning.known.items()],
        "live": [_run(engine, run, now) for run in live],
        "recent": [_run(engine, run, now) for run in recent],
        "vendors": [one.model_dump() for one in section.vendors],
        "audiences": [one.model_dump() for one in section.audiences],
        "drill_audience": section.drill_audience,
    }


@router.get("/runs/{run_id}")
def run(request: Request, run_id: str) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        found = _found(unit, run_id)
        subjects = [run_id, *(f"{run_id}/{step.name}" for step in found.steps)]
        rows = [row for subject in subjects for row in unit.transitions.of(subject)]
        kept = sorted(unit.plans.has_evidence(run_id))
    timeline = [shapes.transition(row) for row in sorted(rows, key=lambda row: (row.at, row.id))]
    return {**_run(engine, found, engine.clock.now()), "timeline": timeline, "evidence": kept}


@router.get("/runs/{run_id}/pack")
def download(request: Request, run_id: str) -> Response:
    """The evidence as a ZIP: what was kept at the beginning and at the end, or what is known now."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.read() as unit:
        found = _found(unit, run_id)
        evidence = unit.plans.evidence(run_id)
    current = {} if "end" in evidence else collect(engine, found, "now", now)
    content = pack(found, Turn.of(found, now).plan, evidence, current)
    headers = {"content-disposition": f'attachment; filename="{run_id}.zip"'}
    return Response(content, media_type="application/zip", headers=headers)


@router.post("/{plan}/start", status_code=201)
def start(request: Request, plan: str, body: Start, caller: Starter) -> dict[str, Any]:
    """Begin by hand, for an open incident or for none, or as a drill."""
    engine: Engine = request.app.state.engine
    if plan not in engine.planning.known:
        raise HTTPException(404, f"there is no plan {plan!r}")
    if body.drill and body.incident_id:
        raise HTTPException(400, "a drill belongs to no incident")
    incident = _incident(engine, body.incident_id)
    try:
        run_id = engine.planning.begin(
            plan, engine.clock.now(), by=caller.name, reason=body.reason, incident=incident, drill=body.drill
        )
    except PlanError as error:
        raise HTTPException(409, str(error)) from None
    return {"run": run_id, "drill": body.drill}


@router.post("/runs/{run_id}/steps/{step}/retry")
def again(request: Request, run_id: str, step: str, body: Again, caller: Starter) -> dict[str, Any]:
    """Have the machine try a step again that it could not do: same gates, of which a person may waive some."""
    return _act(request, run_id, lambda _unit, turn: retry(turn, step, body.note, caller.name, body.waive))


@router.post("/runs/{run_id}/steps/{step}/{verdict}")
def say(
    request: Request, run_id: str, step: str, verdict: Literal["done", "failed", "skip"], body: Note, caller: Hand
) -> dict[str, Any]:
    """What the step that is being taken came to."""

    def change(unit: Unit, turn: Turn) -> None:
        current = turn.current()
        action = unit.actions.get(current.action_id) if current and current.action_id else None
        mark(turn, step, verdict, body.note, caller.name, action)

    return _act(request, run_id, change)


@router.post("/runs/{run_id}/abort")
def call_off(request: Request, run_id: str, body: Note, caller: Hand) -> dict[str, Any]:
    return _act(request, run_id, lambda _unit, turn: abort(turn, body.note, caller.name))


def _act(request: Request, run_id: str, change: Any) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        _found(unit, run_id)
    now = engine.clock.now()
    try:
        return _run(engine, engine.planning.act(run_id, now, change), now)
    except PlanError as error:
        raise HTTPException(409, str(error)) from None


def _found(unit: Unit, run_id: str) -> PlanRun:
    found = unit.plans.get(run_id)
    if found is None:
        raise HTTPException(404, f"there is no run {run_id!r} of a plan")
    return found


def _incident(engine: Engine, incident_id: str) -> Incident | None:
    if not incident_id:
        return None
    with engine.state.read() as unit:
        found = unit.incidents.get(incident_id)
    if found is None:
        raise HTTPException(404, f"there is no incident {incident_id}")
    if found.state is IncidentState.RESOLVED:
        raise HTTPException(409, f"incident {incident_id} is resolved already")
    return found


def _plan(known: Known, drilled: datetime | None, now: datetime) -> dict[str, Any]:
    plan = known.plan
    expected = plan.drill_every
    age = (now - drilled).total_seconds() if drilled else None
    return {
        "name": plan.name,
        "title": plan.title or plan.name,
        "title_en": plan.title_en,
        "owner": plan.owner,
        "version": known.version,
        "file": known.file,
        "line": known.line,
        "trigger": {**plan.trigger.model_dump(exclude={"lasting"}), "lasting_seconds": _seconds(plan.trigger.lasting)},
        "by_hand": plan.trigger.by_hand,
        "target_seconds": _seconds(plan.recovery.target),
        "steps": [{**step.model_dump(exclude={"limit"}), "limit_seconds": _seconds(step.limit)} for step in plan.steps],
        "notices": [notice.model_dump() for notice in plan.notices],
        "drilled_at": shapes.moment(drilled),
        "drill_age_seconds": age,
        "drill_every_seconds": _seconds(expected),
        "drill_overdue": expected is not None and (age is None or age > expected.total_seconds()),
    }


def _seconds(length: Any) -> float | None:
    return None if length is None else length.total_seconds()


def _run(engine: Engine, run: PlanRun, now: datetime) -> dict[str, Any]:
    """A run with its clock, and what its steps say in the plan that it began with."""
    plan = Turn.of(run, now).plan
    until = run.recovered_at or run.ended_at or now
    target = (run.due_at - run.clock_at).total_seconds()
    elapsed = (until - run.clock_at).total_seconds()
    current = next((step.name for step in run.steps if not step.state.over), "")
    body = run_body(run)
    with engine.state.read() as unit:
        states = {one.action_id: unit.actions.get(one.action_id) for one in run.steps if one.action_id}
    for step in body["steps"]:
        wanted, record = plan.step(step["name"]), states.get(step["action_id"])
        step |= {**wanted.model_dump(exclude={"limit"}), "limit_seconds": _seconds(wanted.limit)}
        step["action_state"] = str(record.state) if record else ""
    return {
        **{name: value for name, value in body.items() if name != "definition"},
        "title": plan.title or plan.name,
        "title_en": plan.title_en,
        "owner": plan.owner,
        "current": "" if run.state.over else current,
        "clock": {
            "elapsed_seconds": elapsed,
            "target_seconds": target,
            "running": run.recovered_at is None and not run.state.over,
            "late": elapsed > target,
        },
    }
