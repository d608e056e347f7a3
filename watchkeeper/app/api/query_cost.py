"""What a question would cost, for people who write one and for pages that warn before they ask."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from watchkeeper.app.api.guard import read
from watchkeeper.app.api.prometheus.times import LATEST_SECONDS
from watchkeeper.app.engine import Engine
from watchkeeper.errors import QueryError

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Milliseconds since 1970.
Moment = Annotated[int, Query(ge=0, le=round(LATEST_SECONDS * 1000))]


@router.get("/query-cost")
def query_cost(request: Request, expr: str, start_ms: Moment, end_ms: Moment, step_ms: Moment = 0) -> dict[str, Any]:
    """Series, samples and points of a question, without asking it."""
    engine: Engine = request.app.state.engine
    if end_ms < start_ms:
        raise HTTPException(422, "end_ms must not be before start_ms")
    try:
        return asdict(engine.promql.cost(expr, start_ms, end_ms, step_ms))
    except QueryError as error:
        raise HTTPException(400, str(error)) from None
