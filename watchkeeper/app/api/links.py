"""Dual links and ladders: who serves, what the way back waits for, every switch so far; a person's pin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from remediation import book
from remediation.links import LinkState
from remediation.settings import Link
from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import quality, shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.errors import QueryError
from watchkeeper.model import ActionRecord, Ladder, LadderLevel
from watchkeeper.store.state import Unit

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Switches and steps are told of so long, and so many.
LOOK_BACK, MOST = timedelta(days=90), 30


class Pin(BaseModel):
    """``side`` empty: no longer pinned."""

    side: Literal["primary", "backup", ""]
    reason: str = Field(min_length=1, max_length=500)


@router.get("/links")
def links(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    rated = {row["link"]: row for row in quality.rated(engine, now)}
    remediator = engine.remediation.remediator
    with engine.state.read() as unit:
        done = unit.actions.effective(now - LOOK_BACK)[::-1]
        found = [_link(engine, unit, link, done, now) for link in remediator.settings.links]
    ladders = [_ladder(engine, ladder, done, now) for ladder in engine.judging.book.ladders]
    return {
        "now": shapes.moment(now),
        "links": [{**rated[row["link"]], **row} for row in found],
        "ladders": ladders,
    }


@router.post("/links/{link}/pin")
def pin(
    request: Request,
    link: str,
    body: Pin,
    caller: Annotated[Principal, Depends(needs(Permission.APPROVE_REVERSIBLE))],
) -> dict[str, Any]:
    """Keep a dual link on a side, whatever its probes say, or let it go again."""
    engine: Engine = request.app.state.engine
    people, now = engine.remediation.remediator.people, engine.clock.now()
    if body.side:
        people.pin(link, body.side, caller.name, body.reason, now)
    else:
        people.unpin(link, caller.name, body.reason, now)
    return {"link": link, "side": body.side}


# --- dual links ------------------------------------------------------------------------------------------------------


def _link(engine: Engine, unit: Unit, link: Link, done: Sequence[ActionRecord], now: datetime) -> dict[str, Any]:
    remediator = engine.remediation.remediator
    settings, steady = remediator.settings, now - remediator.people.skew
    switches, flaps = book.link_counts(unit, link.name)
    seen = book.seen_of(unit, link.target) or book.Seen()
    recent = [moment for moment in seen.changes if steady - moment < settings.flap_window]
    rules = [rule for rule in engine.judging.book.remedies if rule.link == link.name]
    since = remediator.link_state(link.name).since
    return {
        "link": link.name,
        "target": link.target,
        "costs": {"primary": link.primary_cost, "backup": link.backup_cost},
        "since": shapes.moment(since + remediator.people.skew) if since else None,
        "switches": switches,
        "flaps": flaps,
        "flapping": {
            "changes": len(recent),
            "limit": link.budget + settings.flap_changes,
            "window_seconds": settings.flap_window.total_seconds(),
        },
        "way_back": way_back(link, remediator.link_state(link.name), steady),
        "rules": [{"name": rule.name, "mode": rule.mode, "declared": book.declared(unit, rule.name, steady)}
                  for rule in rules],
        "history": [_switch(one) for one in done if one.plan.evidence.get("link") == link.name][:MOST],
    }  # fmt: skip


def way_back(link: Link, state: LinkState, now: datetime) -> dict[str, Any]:
    """What must pass before the primary serves again; None where that is not known or does not apply."""
    dwelt = link.dwell if state.since is None else now - state.since
    half = None if state.half_open_since is None else max(link.hold - (now - state.half_open_since), timedelta(0))
    return {
        "dwell_seconds": link.dwell.total_seconds(),
        "dwell_left_seconds": max((link.dwell - dwelt).total_seconds(), 0.0),
        "good_in_a_row": sum(1 for _ in takewhile(lambda good: good is True, reversed(state.primary))),
        "good_needed": link.return_good,
        "hold_seconds": link.hold.total_seconds(),
        "half_open_left_seconds": None if half is None else half.total_seconds(),
        "primary_probes": list(state.primary),
        "backup_probes": list(state.backup),
    }


def _switch(record: ActionRecord) -> dict[str, Any]:
    impact: Any = record.plan.evidence.get("impact") or {}
    return {
        "action": record.id,
        "at": record.progress.get("effect_wall") or shapes.moment(record.created_at),
        "to": str(impact.get("direction", "")).removeprefix("switch:"),
        "rule": record.plan.rule,
        "state": record.state,
        "reason": record.plan.reason,
    }


# --- ladders ---------------------------------------------------------------------------------------------------------


def _ladder(engine: Engine, ladder: Ladder, done: Sequence[ActionRecord], now: datetime) -> dict[str, Any]:
    level = _value(engine, f"max({ladder.level})", now)
    known = level is not None and level.is_integer() and 0 <= level < len(ladder.levels)
    steps = set(ladder.steps)
    whole = sum((one.timeout for one in ladder.levels), timedelta(0))
    return {
        "ladder": ladder.name,
        "service": ladder.service,
        "target": ladder.target,
        "mode": ladder.mode,
        "level": int(level) if known and level is not None else None,
        "budget_seconds": ladder.budget.total_seconds() or None,
        "time_seconds": whole.total_seconds(),
        "dwell_seconds": ladder.dwell.total_seconds(),
        "levels": [_level(engine, one, now) for one in ladder.levels],
        "history": [_step(one) for one in done if one.plan.rule in steps][:MOST],
    }


def _level(engine: Engine, level: LadderLevel, now: datetime) -> dict[str, Any]:
    """``entered`` and ``left``: whether the condition holds now; None when it cannot be known or there is none."""
    return {
        "place": level.place,
        "name": level.name,
        "timeout_seconds": level.timeout.total_seconds(),
        "state": dict(level.state),
        "enter": level.enter,
        "leave": level.leave,
        "entered": _holds(engine, level.enter, now),
        "left": _holds(engine, level.leave, now),
    }


def _step(record: ActionRecord) -> dict[str, Any]:
    return {**_switch(record), "to": record.plan.rule.rpartition(":")[2]}


def _holds(engine: Engine, expr: str, now: datetime) -> bool | None:
    """A condition in PromQL: it holds while it answers something other than 0."""
    if not expr:
        return None
    try:
        values = [value for _, value in engine.remediation.ask(expr, now)]
    except QueryError:
        return None
    return None if any(math.isnan(value) for value in values) else any(value != 0 for value in values)


def _value(engine: Engine, expr: str, now: datetime) -> float | None:
    try:
        values = [value for _, value in engine.remediation.ask(expr, now)]
    except QueryError:
        return None
    return values[0] if len(values) == 1 and math.isfinite(values[0]) else None
