"""How likely each service is to fail soon, why, what to do first, and how good such predictions have been."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])


@router.get("/risk")
def risk(request: Request, limit: Annotated[int | None, Query(ge=1)] = None) -> dict[str, Any]:
    """``limit``: so many services, those in trouble and of the highest risk first."""
    engine: Engine = request.app.state.engine
    return {"now": shapes.moment(engine.clock.now()), **engine.foretelling.view(limit)}
