"""Metrics of short jobs in, by the Pushgateway's paths: PUT, POST and DELETE /metrics/job/<job>{/<label>/<value>}."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from watchkeeper.access import Permission
from watchkeeper.app.api.guard import needs
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import schedule_source
from watchkeeper.app.pipeline.pushing import SOURCE
from watchkeeper.errors import StoreError
from watchkeeper.wire import gzip
from watchkeeper.wire.errors import TooLargeError, WireError

router = APIRouter(dependencies=[Depends(needs(Permission.WRITE_SAMPLES))])

#: Bytes a push may unpack to.
MOST_BYTES = 16 << 20
#: Seconds a job is asked to wait when nothing can be kept now.
RETRY_AFTER = "5"


@router.put("/metrics/{path:path}")
@router.post("/metrics/{path:path}")
@router.delete("/metrics/{path:path}")
async def push(request: Request, path: str) -> Response:
    """Kept when 200 (202 after DELETE) is said, and a series from the next reading on, until replaced or deleted."""
    engine: Engine = request.app.state.engine
    try:
        if request.method == "DELETE":
            await run_in_threadpool(engine.pushing.delete, path)
            return Response(status_code=202)
        body = _unpacked(request, await request.body())
        await run_in_threadpool(engine.pushing.push, path, body, replace=request.method == "PUT")
    except WireError as error:
        engine.telemetry.pushes.labels(error.reason).inc()
        return PlainTextResponse(f"{error}\n", status_code=413 if isinstance(error, TooLargeError) else 400)
    except StoreError as error:
        return PlainTextResponse(f"{error}\n", status_code=503, headers={"Retry-After": RETRY_AFTER})
    engine.telemetry.pushes.labels("ok").inc()
    if SOURCE not in engine.sources:
        engine.sources[SOURCE] = engine.pushing.source
        schedule_source(engine, engine.pushing.source, engine.clock.now())
    return Response(status_code=200)


def _unpacked(request: Request, body: bytes) -> bytes:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if "protobuf" in request.headers.get("content-type", ""):
        raise WireError("send Prometheus's text, not protobuf", reason="media_type")
    if encoding == "gzip":
        return gzip.unpack(body, MOST_BYTES)
    if encoding not in ("", "identity"):
        raise WireError("send gzip or no content-encoding", reason="media_type")
    return body
