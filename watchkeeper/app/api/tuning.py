"""Tuning: what the signals advise, what people did about it, and whether it helped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.tuning import BY_KIND, Applied, applied, findings, measured, record

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])


class Done(BaseModel):
    """``at``: when it was done; none: now."""

    kind: str = Field(max_length=100)
    labels: Annotated[dict[str, str], Field(min_length=1, max_length=20)]
    what: str = Field(min_length=1, max_length=2000)
    at: datetime | None = None


@router.get("/tuning")
def tuning(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    with engine.state.read() as unit:
        done = applied(unit, now)
    return {
        "now": shapes.moment(now),
        "advice": [
            {
                "kind": one.advice.kind,
                "labels": dict(one.labels),
                "value": shapes.number(one.value),
                "limit": one.advice.limit,
                "unit": one.advice.unit,
                "higher_is_worse": one.advice.higher_is_worse,
                "query": one.advice.query,
            }
            for one in findings(engine, now)
        ],
        "applied": [_applied(engine, one, now) for one in done],
    }


@router.post("/tuning/applied", status_code=201)
def done(
    request: Request, body: Done, caller: Annotated[Principal, Depends(needs(Permission.ACKNOWLEDGE))]
) -> dict[str, str]:
    """Somebody tuned something: from now on it is measured whether it helped."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    if body.kind not in BY_KIND:
        raise HTTPException(422, f"kind: {body.kind[:40]!r} is no advice; there are {', '.join(sorted(BY_KIND))}")
    at = body.at or now
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at > now:
        raise HTTPException(422, "at: lies in the future; record it when it is done")
    one = Applied(kind=body.kind, labels=body.labels, at=at, by=caller.name, what=body.what)
    with engine.state.begin() as unit:
        return {"id": record(unit, one, now)}


def _applied(engine: Engine, one: Applied, now: datetime) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "labels": dict(one.labels),
        "at": shapes.moment(one.at),
        "by": one.by,
        "what": one.what,
        "measures": [
            {
                "name": name,
                "unit": unit,
                "verdict": found.verdict,
                "reason": found.reason,
                "before": shapes.number(found.before),
                "after": shapes.number(found.after),
                "better_by": shapes.number(found.share),
            }
            for name, (found, unit) in measured(engine, one, now).items()
        ],
    }
