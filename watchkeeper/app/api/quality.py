"""Quality: how good both providers of every dual link are, and why."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from remediation.book import LINK_KEY, PIN_KEY
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])


@router.get("/quality")
def quality(request: Request) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    with engine.state.read() as unit:
        kept = {link.name: unit.documents.get(LINK_KEY + link.name) or {} for link in engine.rating.links}
        pinned = {link.name: unit.documents.get(PIN_KEY + link.name) or None for link in engine.rating.links}
    now = engine.clock.now()
    views = engine.rating.views(now, lambda link: str(kept[link].get("side", "primary")))
    phases = {link.name: engine.remediation.remediator.phase(link.name).value for link in engine.rating.links}
    rows = [{**view, "phase": phases[view["link"]], "pinned": pinned[view["link"]]} for view in views]
    return {"now": now.isoformat(), "links": rows}
