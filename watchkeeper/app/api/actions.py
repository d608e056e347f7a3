"""Actions: plans, verdicts, approvals, the kill switch, the audit."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from watchkeeper.access import Permission, Principal, require
from watchkeeper.access.guard import RECENT
from watchkeeper.app.api import environments, shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.errors import AccessError, ActionError
from watchkeeper.model import ActionState

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])


class Word(BaseModel):
    plan_hash: str = Field(min_length=64, max_length=64)
    reason: str = Field(default="", max_length=2000)


class Reason(BaseModel):
    reason: str = Field(min_length=1, max_length=500)


class Judgement(BaseModel):
    verdict: Literal["right", "wrong", "harmful"]


class Asked(BaseModel):
    """``waive``: gates that a person may set aside with the written reason."""

    reason: str = Field(min_length=1, max_length=2000)
    waive: list[Literal["confirmed", "flapping", "cooldown", "budget"]] = Field(default_factory=list)
    incident_id: str = Field(default="", max_length=100)


class Switch(BaseModel):
    on: bool
    reason: str = Field(min_length=1, max_length=500)


@router.get("/actions")
def actions(request: Request, limit: int = 200) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        rows = unit.actions.recent(engine.clock.now() - timedelta(days=400), limit=min(max(limit, 1), 1000))[::-1]
        found = [engine.remediation.shape(unit, row) for row in rows]
        declared = engine.remediation.declarations(unit)
    rules = sorted(one.name for one in engine.judging.book.remedies)
    return {"actions": found, "kill_switch": engine.kill_switch(), "declarations": declared, "rules": rules}


@router.get("/actions/{action_id}")
def action(request: Request, action_id: str) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        row = unit.actions.get(action_id)
        if row is None:
            raise HTTPException(404, f"there is no action {action_id}")
        timeline = [shapes.transition(one) for one in unit.transitions.of(action_id)]
        return {**engine.remediation.shape(unit, row), "timeline": timeline}


@router.post("/actions/{action_id}/approve")
def approve(
    request: Request,
    action_id: str,
    body: Word,
    caller: Annotated[Principal, Depends(needs(Permission.APPROVE_REVERSIBLE))],
) -> dict[str, Any]:
    return _say(request.app.state.engine, action_id, body, caller, "approve")


@router.post("/actions/{action_id}/reject")
def reject(
    request: Request,
    action_id: str,
    body: Word,
    caller: Annotated[Principal, Depends(needs(Permission.APPROVE_REVERSIBLE))],
) -> dict[str, Any]:
    return _say(request.app.state.engine, action_id, body, caller, "reject")


def _say(
    engine: Engine, action_id: str, body: Word, caller: Principal, verdict: Literal["approve", "reject"]
) -> dict[str, Any]:
    """One person's word, bound to the plan as it was read; the next step of the action obeys it."""
    with engine.state.read() as unit:
        row = unit.actions.get(action_id)
    if row is None:
        raise HTTPException(404, f"there is no action {action_id}")
    if row.state != ActionState.AWAITING_APPROVAL:
        raise HTTPException(409, f"action {action_id} is {row.state}, not waiting for approval")
    if body.plan_hash != row.plan.digest():
        raise HTTPException(409, "the plan changed since you read it; look again")
    now = engine.clock.now()
    typed = caller.authenticated_at
    try:
        engine.remediation.remediator.people.approve(
            action_id,
            caller.name,
            verdict,
            body.reason,
            body.plan_hash,
            now,
            admin=Permission.APPROVE_RISKY in caller.permissions,
            reauthenticated=typed is not None and now - typed <= RECENT,
        )
    except AccessError as error:
        raise HTTPException(403, str(error)) from None
    return {"action": action_id, "verdict": verdict}


@router.post("/rules/{rule}/request", status_code=201)
async def ask(
    request: Request,
    rule: str,
    body: Asked,
    caller: Annotated[Principal, Depends(needs(Permission.APPROVE_REVERSIBLE))],
) -> dict[str, str]:
    """A person asks for a rule's action: the same gates, and somebody else approves what the table says."""
    engine: Engine = request.app.state.engine
    if rule not in {one.name for one in engine.judging.book.remedies}:
        raise HTTPException(404, f"there is no remediation rule {rule!r}")
    try:
        found = await engine.remediation.request(
            rule, caller.name, body.reason, waive=body.waive, incident_id=body.incident_id
        )
    except ActionError as error:
        raise HTTPException(409, str(error)) from None
    except AccessError as error:
        raise HTTPException(422, str(error)) from None
    return {"action": found}


@router.post("/rules/{rule}/rehearse")
async def rehearse(
    request: Request, rule: str, _caller: Annotated[Principal, Depends(needs(Permission.MANAGE_RULES))]
) -> dict[str, Any]:
    """Try a rule's action and its way back on the test target; until then it counts as class A4."""
    engine: Engine = request.app.state.engine
    await engine.remediation.remediator.rehearse(engine.clock.now(), rule)
    return {"rehearsed": rule}


@router.post("/rules/{rule}/declare")
def declare(
    request: Request, rule: str, body: Reason, caller: Annotated[Principal, Depends(needs(Permission.MANAGE_RULES))]
) -> dict[str, Any]:
    """``mode: auto`` on this person's word, for 90 days or until a rollback."""
    engine: Engine = request.app.state.engine
    if rule not in {one.name for one in engine.judging.book.remedies}:
        raise HTTPException(404, f"there is no remediation rule {rule!r}")
    until = engine.remediation.remediator.people.declare(rule, caller.name, body.reason, engine.clock.now())
    return {"rule": rule, "expires_at": shapes.moment(until)}


@router.post("/actions/{action_id}/judge")
def judge(
    request: Request,
    action_id: str,
    body: Judgement,
    caller: Annotated[Principal, Depends(needs(Permission.APPROVE_REVERSIBLE))],
) -> dict[str, Any]:
    """Was a dry-run's proposal right? Counted once, towards graduation."""
    engine: Engine = request.app.state.engine
    try:
        engine.remediation.remediator.people.judge(action_id, caller.name, body.verdict, engine.clock.now())
    except AccessError as error:
        raise HTTPException(409, str(error)) from None
    return {"action": action_id, "verdict": body.verdict}


@router.post("/kill-switch")
def kill_switch(request: Request, body: Switch, caller: Annotated[Principal, Depends(read)]) -> dict[str, Any]:
    """Any operator sets it; only an admin clears it."""
    engine: Engine = request.app.state.engine
    permission = Permission.KILL_SWITCH_SET if body.on else Permission.KILL_SWITCH_CLEAR
    require(caller, permission)
    environments.check(request, caller, permission)
    engine.set_kill_switch(on=body.on, by=caller.name, reason=body.reason)
    return engine.kill_switch()
