"""Back-tests over HTTP: for operators, two at once, with a bound on work and on time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from watchkeeper.access import Permission
from watchkeeper.app.api.guard import needs
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.bounds import Bounds

router = APIRouter(prefix="/api/wk", dependencies=[Depends(needs(Permission.TEST_RULES))])

#: Back-tests that run at once; each keeps one core busy.
AT_ONCE = 2
#: Seconds a caller waits before asking again when all are taken.
RETRY_SECONDS = 10


class Turns:
    """So many at once; the next one is refused instead of kept waiting."""

    def __init__(self, count: int = AT_ONCE) -> None:
        self._free = threading.Semaphore(count)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises HTTPException 429 when none is free."""
        if not self._free.acquire(blocking=False):
            retry = {"Retry-After": str(RETRY_SECONDS)}
            raise HTTPException(429, f"{AT_ONCE} back-tests are running; ask again when one has ended", headers=retry)
        try:
            yield
        finally:
            self._free.release()


def turns(request: Request) -> Turns:
    found: Turns = request.app.state.turns
    return found


class Asked(BaseModel):
    text: str = Field(max_length=1 << 20)  #: a rule file
    file: str = Field(default="rules.yaml", max_length=400)
    rule: str = Field(default="", max_length=400)  #: name of one rule; empty: every rule of the file
    days: float = Field(default=7.0, gt=0, le=400)


@router.post("/rules/backtest")
def rules_backtest(request: Request, body: Asked, taking: Annotated[Turns, Depends(turns)]) -> dict[str, Any]:
    """How often rules would have fired over the stored history. Changes nothing.

    A plain function: it runs in a thread, beside the engine's loop.
    """
    engine: Engine = request.app.state.engine
    span = timedelta(days=body.days)
    with taking.take():
        rows = engine.judging.backtest(body.text, body.file, body.rule, span, engine.config.zone, bounds=Bounds())
    return {"rules": rows}
