"""Scaling: every pool with its number, and for each rule what it looks at, wants, waits for and decided last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request

from remediation import book
from remediation.gates.limits import rest_of
from remediation.outlook import outlook
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine
from watchkeeper.model import ActionRecord, RemedyRule
from watchkeeper.store.state import Unit

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Decisions are told of so long, and so many of a pool.
LOOK_BACK, MOST = timedelta(days=30), 20


@router.get("/scaling")
def scaling(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    rules: dict[str, list[RemedyRule]] = {}
    for rule in engine.judging.book.remedies:
        if rule.scale is not None:
            rules.setdefault(rule.target, []).append(rule)
    with engine.state.read() as unit:
        pools = [_pool(engine, unit, target, mine, now) for target, mine in sorted(rules.items())]
    return {"now": shapes.moment(now), "pools": pools, "kill_switch": engine.kill_switch()}


def _pool(engine: Engine, unit: Unit, target: str, rules: Sequence[RemedyRule], now: datetime) -> dict[str, Any]:
    remediator = engine.remediation.remediator
    steady = now - remediator.people.skew
    spec = remediator.settings.target(target) or {}
    read_at, reading, problem = remediator.last_read(target)
    running = reading.capacity.get("total") if reading else None
    recent = [one for rule in rules for one in unit.actions.of_rule(rule.name, now - LOOK_BACK)]
    recent.sort(key=lambda one: (one.created_at, one.id), reverse=True)
    seen = book.seen_of(unit, target) or book.Seen()
    hands_off = None if seen.foreign_at is None else remediator.settings.foreign_hold - (steady - seen.foreign_at)
    return {
        "target": target,
        "kind": spec.get("kind", ""),
        "services": sorted({rule.service for rule in rules} - {""}),
        "running": running,
        "healthy": reading.capacity.get("healthy") if reading else None,
        "floor": spec.get("floor"),
        "ceiling": spec.get("ceiling"),
        "read_at": shapes.moment(read_at),
        "problem": problem,
        "foreign_at": shapes.moment(seen.foreign_at + remediator.people.skew) if seen.foreign_at else None,
        "hands_off_seconds": max(hands_off.total_seconds(), 0.0) if hands_off else None,
        "rules": [_rule(engine, unit, rule, running, now) for rule in rules],
        "decisions": [_decision(one) for one in recent[:MOST]],
    }


def _rule(engine: Engine, unit: Unit, rule: RemedyRule, running: float | None, now: datetime) -> dict[str, Any]:
    remediator = engine.remediation.remediator
    settings, steady = remediator.settings, now - remediator.people.skew
    scale = rule.scale
    assert scale is not None  # only these are asked for
    idle = remediator.idle_since(rule.name)
    waits = settings.scale_in_after - (steady - idle) if scale.direction == "in" and idle is not None else None
    effects = [one for one in book.effects(unit, steady, settings) if one.target == rule.target]
    last = max(effects, key=lambda one: one.at, default=None)
    rest = rest_of(rule, settings, last.direction if last else "", scale.direction)
    rests = rest - (steady - last.at) if last else timedelta(0)
    return {
        "rule": rule.name,
        "mode": rule.mode,
        "declared": book.declared(unit, rule.name, steady),
        "direction": scale.direction,
        "min": scale.min,
        "max": scale.max,
        "step": scale.step,
        "per_worker": scale.per_worker,
        "tolerance": scale.tolerance,
        "load_query": scale.load,
        "forecast_query": scale.forecast,
        "cooldown_seconds": rest.total_seconds(),
        "cooldown_left_seconds": max(rests.total_seconds(), 0.0),
        "idle_left_seconds": None if waits is None else max(waits.total_seconds(), 0.0),
        "stabilisation_seconds": settings.scale_in_after.total_seconds() if scale.direction == "in" else None,
        **shapes.plain(outlook(rule, scale, running, engine.remediation.ask, now, settings.scale_in_after).view()),
    }


def _decision(record: ActionRecord) -> dict[str, Any]:
    """The number it wanted, from how many, by which load, and how it ended."""
    counted: Any = record.plan.evidence.get("scale") or {}
    verdicts: Any = record.progress.get("verdicts") or []
    refusal = next((one for one in verdicts if not one["passed"]), None)
    return {
        "action": record.id,
        "at": shapes.moment(record.created_at),
        "rule": record.plan.rule,
        "state": record.state,
        "reason": f"{refusal['gate']}: {refusal['reason']}" if refusal else record.plan.reason,
        "scale": shapes.plain(counted),
        "requester": record.requester,
    }
