"""Risks of users, addresses, machines and services, for pages and for systems that decide about access."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from detectors.entities import Kind, Standing
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.entity_advice import ADVISED, ORDER, advice
from watchkeeper.clock import from_ms
from watchkeeper.store.state.repositories.audit import AuditRow, Wanted

router = APIRouter(prefix="/api/wk/security", dependencies=[Depends(read)])

#: Rows of the audit among which advice is looked for.
NEWEST = 2000


@router.get("/entities")
def entities(
    request: Request,
    kind: str = "",
    least: Annotated[float, Query(ge=0, le=100)] = 1.0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Whose risk is at least ``least``, the highest first; what was advised lately."""
    engine: Engine = request.app.state.engine
    if kind:
        _kind(kind)
    rows = [_shape(engine, one, usual) for one, usual in engine.entities.risks(least) if kind in ("", one.entity.kind)]
    with engine.state.read() as unit:
        told = [_told(row) for row in unit.audit.newest(NEWEST, Wanted(action="advise")) if row.action == "advise"]
    return {
        "enabled": engine.entities.enabled,
        "known": engine.entities.counts(),
        "entities": rows[:limit],
        "more": max(len(rows) - limit, 0),
        "advised": told[:limit],
    }


@router.get("/entities/{kind}/{name:path}")
def entity(request: Request, kind: str, name: str) -> dict[str, Any]:
    """One entity. Of one that was never seen the risk is null and the advice ``unknown``."""
    engine: Engine = request.app.state.engine
    found = engine.entities.standing(_kind(kind), name) if engine.entities.enabled else None
    if found is None:
        return {"kind": kind, "entity": name, "known": False, "risk": None, "advice": "unknown", "reasons": []}
    return {"known": True, **_shape(engine, *found)}


def _kind(word: str) -> Kind:
    for kind in get_args(Kind):
        if kind == word:
            found: Kind = kind
            return found
    raise HTTPException(400, f"there is no kind {word!r}; write one of {', '.join(get_args(Kind))}")


def _shape(engine: Engine, standing: Standing, usual: dict[str, Any]) -> dict[str, Any]:
    one = standing.entity
    before = engine.entities.decisions.standing.get((one.kind, one.name), ORDER[0])
    return {
        "kind": one.kind,
        "entity": one.name,
        "service": one.service,
        "risk": round(standing.risk, 1),
        "advice": advice(standing.risk, engine.entities.options, before) if one.kind in ADVISED else "",
        "first_seen": _moment(one.first),
        "last_seen": _moment(one.last),
        "acts": one.acts,
        "refused": one.refused,
        "reasons": [
            {"reason": why.name, "points": round(left, 1), "at": _moment(why.at), "detail": shapes.plain(why.detail)}
            for why, left in standing.reasons
        ],
        "usual": shapes.plain(usual),
    }


def _told(row: AuditRow) -> dict[str, Any]:
    kind, _, name = row.subject.partition("/")
    return {"at": shapes.moment(row.at), "kind": kind, "entity": name, **shapes.plain(row.detail)}


def _moment(seconds: float) -> str | None:
    return shapes.moment(from_ms(round(seconds * 1000)))
