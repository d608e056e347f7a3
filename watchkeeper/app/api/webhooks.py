"""Webhooks in: no session and no token, but a signature or secret of each sender's own (docs/events.md)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.events import delivered
from watchkeeper.asgi import too_large
from watchkeeper.errors import AccessError, WatchkeeperError
from watchkeeper.wire.errors import WireError

router = APIRouter(prefix="/api/wk")

#: Nobody is known before the body was read, so little of it is.
MAX_BODY = 1 << 20


class BadDeliveryError(WatchkeeperError):
    """A delivery of a known sender that cannot be read."""


@router.post("/webhooks/{name}")
async def take(request: Request, name: str) -> dict[str, Any]:
    """``{"added", "repeated"}``. 401: not signed; 413 over 1 MiB; 422: signed, and not understood."""
    engine: Engine = request.app.state.engine
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            engine.telemetry.webhooks.labels("unknown", "too_large").inc()
            raise too_large(MAX_BODY)
    headers = {key.lower(): value for key, value in request.headers.items()}
    try:
        added, told = await run_in_threadpool(delivered, engine, name, headers, bytes(body), engine.clock.now())
    except AccessError:
        raise AccessError("no such webhook, or the delivery is not signed as docs/events.md says") from None
    except WireError as error:
        raise BadDeliveryError(str(error)) from None
    return {"added": [one.id for one in added], "repeated": told - len(added)}
