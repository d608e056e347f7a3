"""What keeps actions safe, in figures: gates, budgets, breakers, switch, leader, audit, and how much needs nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from remediation import book
from remediation.breakers import open_breakers
from remediation.gates import GATES
from remediation.gates.limits import DAY
from remediation.hindsight import hindsights
from remediation.judgement import RECORD_OF, automation, foresight, record_fix
from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.model import ActionState
from watchkeeper.store.state import Transition, Unit

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: States an action ends in when a gate says no.
REFUSED = (ActionState.SUPPRESSED, ActionState.ABORTED, ActionState.REJECTED, ActionState.EXPIRED)
#: Transitions that are counted at most.
MOST = 100_000


class Fix(BaseModel):
    service: str = Field(default="", max_length=200)
    what: str = Field(min_length=1, max_length=2000)


@router.get("/safety")
def safety(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.read() as unit:
        refusals = unit.transitions.since(now - RECORD_OF, "action", limit=MOST)
        done, row, digest = automation(unit, now), *unit.audit.head()
        return {
            "days": RECORD_OF.days,
            "gates": _gates(refusals),
            "budgets": _budgets(engine, unit, now),
            "breakers": _breakers(engine, unit, now),
            "automation": {**asdict(done), "rate": done.rate},
            "foresight": [{"rule": rule, **asdict(found)} for rule, found in foresight(unit, now).items()],
            "hindsight": [{"rule": rule, **asdict(found)} for rule, found in hindsights(unit).items()],
            "audit": {"rows": row, "head": digest},
            "kill_switch": engine.kill_switch(),
            "leader": _leader(engine),
        }


@router.post("/fixes", status_code=201)
def fix(
    request: Request, body: Fix, caller: Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))]
) -> dict[str, str]:
    """A person mended something without Watchkeeper; it counts against the share of automatic effects."""
    engine: Engine = request.app.state.engine
    with engine.state.begin() as unit:
        return {"fix": record_fix(unit, caller.name, body.service, body.what, engine.clock.now())}


def _gates(moves: Iterable[Transition]) -> list[dict[str, Any]]:
    """Every gate in order, with how often it said no, when last and why."""
    found: dict[str, dict[str, Any]] = {
        name: {"gate": name, "refused": 0, "last_at": None, "last_reason": ""} for name, _ in GATES
    }
    for move in moves:
        gate, _, reason = move.reason.partition(": ")
        if move.new_state in (ActionState.REJECTED, ActionState.EXPIRED):
            gate, reason = "approval", move.reason
        if move.new_state in REFUSED and gate in found:
            row = found[gate]
            row |= {"refused": row["refused"] + 1, "last_at": shapes.moment(move.at), "last_reason": reason}
    return list(found.values())


def _budgets(engine: Engine, unit: Unit, now: datetime) -> list[dict[str, Any]]:
    settings, steady = engine.remediation.remediator.settings, now - engine.remediation.remediator.people.skew
    started = [one for one in book.effects(unit, steady, settings) if one.operation == "execute"]
    recent = [one for one in started if steady - one.at < settings.budgets.window and not one.link]
    switches = sum(one.direction.startswith("switch:") for one in recent)
    return [
        _budget("actions", len(recent), settings.budgets.actions, settings.budgets.window),
        _budget("failovers", switches, settings.budgets.failovers, settings.budgets.window),
        _budget("per_day", len(started), settings.budgets.per_day, DAY),
    ]


def _budget(name: str, used: int, limit: int, window: timedelta) -> dict[str, Any]:
    return {"name": name, "used": used, "limit": limit, "window_seconds": window.total_seconds()}


def _breakers(engine: Engine, unit: Unit, now: datetime) -> list[dict[str, str]]:
    """Those that are not closed."""
    remediator = engine.remediation.remediator
    options, steady = remediator.settings.breakers, now - remediator.people.skew
    ended = book.ended(unit, steady, options.window)
    found: dict[str, str] = {}
    for rule in engine.judging.book.remedies:
        states = open_breakers(ended, steady, rule.name, rule.target, options)
        found |= {scope: str(state) for scope, state in states.items()}
    return [{"scope": scope, "state": state} for scope, state in sorted(found.items())]


def _leader(engine: Engine) -> dict[str, Any]:
    """``alone``: no other engine can be on this database."""
    return {"alone": engine.leads.lease is None, "leads": engine.leads(), "token": engine.leads.token}
