"""A count that moves when users or sessions change, so that a dashboard of a thousand readers need not ask for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from watchkeeper.access import Principal
from watchkeeper.app.api.guard import UNSAFE, read

router = APIRouter(prefix="/api/wk")


async def counted(request: Request) -> AsyncIterator[None]:
    """A dependency of everything that may change who may do what. Counts afterwards, whatever came of it."""
    try:
        yield
    finally:
        if request.method in UNSAFE:
            request.app.state.access_changes += 1


@router.get("/session/changes")
def changes(request: Request, _caller: Annotated[Principal, Depends(read)]) -> dict[str, str]:
    """Differs from the last answer when any user or session was changed since, or the engine was started again."""
    engine = request.app.state.engine
    return {"changes": f"{engine.started_at.isoformat()}/{request.app.state.access_changes}"}
