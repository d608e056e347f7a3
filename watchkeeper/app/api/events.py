"""Events: told by whoever may write, and listed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from watchkeeper.access import Permission, Principal
from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import needs, read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.events import told_by
from watchkeeper.model import EventKind
from watchkeeper.wire.hooks.given import Given

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: What is listed without `since`.
RECENT = timedelta(days=30)


class Several(BaseModel):
    events: Annotated[list[Given], Field(min_length=1, max_length=500)]


@router.post("/events", status_code=201)
def tell(
    request: Request, body: Given | Several, caller: Annotated[Principal, Depends(needs(Permission.WRITE_SAMPLES))]
) -> dict[str, Any]:
    """One event, or ``{"events": [..]}``. What was told before under the same ``id`` adds nothing."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    given = body.events if isinstance(body, Several) else [body]
    added = told_by(engine, caller.name, [one.event(None, now=now) for one in given], now)
    return {"added": [one.id for one in added], "repeated": len(given) - len(added)}


@router.get("/events")
def events(
    request: Request,
    kind: Annotated[list[EventKind] | None, Query()] = None,
    service: Annotated[list[str] | None, Query()] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """Newest start first."""
    engine: Engine = request.app.state.engine
    start: datetime = since or engine.clock.now() - RECENT
    with engine.state.read() as unit:
        rows = unit.events.find(since=start, until=until, kinds=kind or (), services=service or (), limit=limit)
    return {"events": [shapes.event(row) for row in rows]}


@router.get("/events/{event_id}")
def event(request: Request, event_id: str) -> dict[str, Any]:
    """One event with what is kept of its payload."""
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        row = unit.events.get(event_id)
    if row is None:
        raise HTTPException(404, f"there is no event {event_id}")
    return {**shapes.event(row), "payload": shapes.plain(row.payload)}
