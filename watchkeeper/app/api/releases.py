"""What is being changed: events with their order, DORA figures, ages against targets, and releases with their gates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request

from analytics.change_calendar import Entry, calendar
from analytics.changes import Deployment, dora
from analytics.releases import GATES, gates, soak
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.events_series import (
    AGES,
    WINDOWS,
    Known,
    config_versions,
    expected,
    out_of_order,
    pass_ratio,
    running_versions,
)  # fmt: skip
from watchkeeper.model import EventKind, EventStatus

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Rows of the lists.
EVENTS, RELEASES = 200, 50
#: How far the calendar looks ahead.
AHEAD = timedelta(days=14)


@router.get("/changes")
def changes(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    known = engine.eventing.read(now)
    config = engine.config
    return {
        "now": shapes.moment(now),
        "events": [
            {**shapes.event(one), "out_of_order": out_of_order(known, config, one)} for one in known.recent[:EVENTS]
        ],
        "dora": {
            name: _figures(engine, known, now, window) for name, window in WINDOWS.items()
        },
        "ages": _ages(engine, known, now),
        "calendar": _calendar(engine, known, now),
        "versions": _versions(known),
        "gates": list(GATES),
        "releases": _releases(engine, known, now),
    }  # fmt: skip


@router.get("/releases/gate")
def gate(request: Request, service: str, environment: str = "", version: str = "", stage: str = "") -> dict[str, Any]:
    """The newest deploy of a service as its metrics judge it; 404: none is known."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    fits = [
        one
        for one in engine.eventing.read(now).folded
        if one.service == service and one.stage == stage and one.status is not EventStatus.PLANNED
        if environment in ("", one.environment) and version in ("", one.version)
    ]
    if not fits:
        raise HTTPException(404, f"no deploy of {service} {version} is known".replace("  ", " "))
    one = max(fits, key=lambda each: each.start)
    about = {"service": one.service, "environment": one.environment, "version": one.version, "status": one.status}
    return {
        **about,
        "start": shapes.moment(one.start),
        "end": shapes.moment(one.end),
        **engine.gating.judge(one, now).shape(),
    }


def judged_gates(engine: Engine, known: Known, one: Deployment, now: datetime) -> dict[str, str]:
    """As told; the gate ``grey``, of which nobody told, as the metrics of the stage ``grey`` say."""
    found = gates(known.recent, one)
    stages = [each for each in known.folded if each.stage == "grey" and each.version == one.version]
    mine = [each for each in stages if each.service == one.service]
    if found["grey"] == "unknown" and mine:
        verdict = engine.gating.judge(mine[-1], now).verdict
        found["grey"] = {"passed": "ok", "failed": "failed", "watching": "running"}.get(verdict, "unknown")
    return found


def _calendar(engine: Engine, known: Known, now: datetime) -> list[dict[str, Any]]:
    """Planned changes, freezes, open windows and maintenance of the next days, by their start."""
    section = engine.config.events
    found = calendar(known.recent, section.windows, now, AHEAD, engine.config.zone)
    pauses = [
        Entry(what="maintenance", title=pause.reason, start=pause.start, end=pause.end, service=one.service or one.name)
        for one in engine.config.objectives.items
        for pause in one.maintenance
        if pause.end > now and pause.start <= now + AHEAD
    ]
    return [
        {
            "what": one.what, "title": one.title, "start": shapes.moment(one.start), "end": shapes.moment(one.end),
            "service": one.service, "environment": one.environment, "id": one.event_id, "link": one.link,
            "wrong": one.wrong, "now": one.start <= now,
        }
        for one in sorted([*found, *pauses], key=lambda one: one.start)
    ]  # fmt: skip


def _versions(known: Known) -> list[dict[str, Any]]:
    """What runs in which environment, of services that are deployed to several; ``differ``: not the same."""
    software, configuration = (
        _by_service(read) for read in (running_versions(known.folded), config_versions(known.recent))
    )
    several = {name for rows in (software, configuration) for name, row in rows.items() if len(row) > 1}
    return [
        {
            "service": name,
            "versions": software.get(name, {}),
            "configurations": configuration.get(name, {}),
            "differ": any(len({*rows.get(name, {}).values()}) > 1 for rows in (software, configuration)),
        }
        for name in sorted(several)
    ]


def _by_service(rows: Mapping[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    """Service -> environment -> version."""
    found: dict[str, dict[str, str]] = {}
    for (service, environment), version in rows.items():
        found.setdefault(service, {})[environment] = version
    return found


def _figures(engine: Engine, known: Known, now: datetime, window: timedelta) -> dict[str, Any]:
    section = engine.config.events
    found = dora(known.recent, known.incidents, now=now, window=window, production=section.production,
                 blame=section.blame)  # fmt: skip
    names = ("deployments", "per_day", "lead_time_seconds", "failure_ratio", "recovery_seconds")
    return {name: getattr(found, name) for name in names}


def _ages(engine: Engine, known: Known, now: datetime) -> list[dict[str, Any]]:
    """Every service with a target or with an event of the kind: what was promised and how old it is."""
    tiers, found = expected(engine.config, engine.cataloguing.services), []
    for kind, (_, field) in AGES.items():
        for service in sorted({*tiers, *known.last[kind]}):
            target = engine.config.events.target(service, tiers.get(service, ""))
            limit = getattr(target, field) if target else None
            last = known.last[kind].get(service)
            if limit is None and last is None:
                continue
            age = None if last is None else now - last.start
            took = last.end - last.start if last is not None and last.end is not None else None
            rto = target.rto if target and kind is EventKind.RESTORE_DRILL else None
            late = limit is not None and (age is None or age > limit)
            slow = rto is not None and took is not None and took > rto
            found.append(
                {
                    "service": service,
                    "kind": kind,
                    "age_seconds": age.total_seconds() if age is not None else None,
                    "target_seconds": limit.total_seconds() if limit is not None else None,
                    "duration_seconds": took.total_seconds() if took is not None else None,
                    "duration_target_seconds": rto.total_seconds() if rto is not None else None,
                    "status": "never" if last is None else "late" if late else "slow" if slow else "good",
                }
            )
    return found


def _releases(engine: Engine, known: Known, now: datetime) -> list[dict[str, Any]]:
    rows = [one for one in known.folded if not one.stage and one.status is not EventStatus.PLANNED]
    return [_release(engine, known, one, now) for one in reversed(rows)][:RELEASES]


def _release(engine: Engine, known: Known, one: Deployment, now: datetime) -> dict[str, Any]:
    tests = [ratio for event in known.recent if (event.service, event.version) == (one.service, one.version)
             if (ratio := pass_ratio(event)) == ratio]  # fmt: skip
    judged = engine.gating.judge(one, now)
    first = soak(one, known.incidents, now, engine.config.events.soak)
    return {
        "service": one.service,
        "environment": one.environment,
        "version": one.version,
        "status": one.status,
        "start": shapes.moment(one.start),
        "end": shapes.moment(one.end),
        "seconds": ((one.end or now) - one.start).total_seconds(),
        "link": one.event.link,
        "tests_ratio": tests[0] if tests else None,
        "gates": judged_gates(engine, known, one, now),
        "metrics": judged.shape(),
        "soak": "roll_back" if first and judged.verdict == "failed" else first,
    }
