"""Quality: how good both providers of every dual link are, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request

from remediation.book import LINK_KEY, PIN_KEY
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])


@router.get("/quality")
def quality(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    return {"now": now.isoformat(), "links": rated(engine, now)}


def rated(engine: Engine, now: datetime) -> list[dict[str, Any]]:
    """Every link with its providers as they were rated last, the state of its circuit and a person's pin."""
    names = [link.name for link in engine.rating.links]
    with engine.state.read() as unit:
        kept = {name: unit.documents.get(LINK_KEY + name) or {} for name in names}
        pinned = {name: unit.documents.get(PIN_KEY + name) or None for name in names}
    views = engine.rating.views(now, lambda link: str(kept[link].get("side", "primary")))
    phases = {name: engine.remediation.remediator.phase(name).value for name in names}
    return [{**view, "phase": phases[view["link"]], "pinned": pinned[view["link"]]} for view in views]
