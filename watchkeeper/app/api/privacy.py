"""One person's data erased, by an administrator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from watchkeeper.access import Permission, Principal
from watchkeeper.app.api.guard import needs
from watchkeeper.app.engine import Engine
from watchkeeper.app.erasing import erase, plain
from watchkeeper.person import Person

router = APIRouter(prefix="/api/wk/privacy")
Admin = Annotated[Principal, Depends(needs(Permission.MANAGE_USERS))]


class Erasure(BaseModel):
    words: list[str] = Field(min_length=1, max_length=20)
    reason: str = Field(min_length=1, max_length=500)
    confirm: bool = False


@router.post("/erase")
def erased(request: Request, body: Erasure, caller: Admin) -> dict[str, Any]:
    """Counts of what names the person, and of what cannot be erased; with ``confirm`` it is erased."""
    engine: Engine = request.app.state.engine
    now = engine.clock.now()
    report = erase(
        engine, Person(body.words), reason=body.reason, caller=caller.name, dry_run=not body.confirm, now=now
    )
    return plain(report)
