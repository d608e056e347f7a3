"""Remote write in: Prometheus's own path, versions 1.0 and 2.0."""

from __future__ import annotations

from email.message import Message

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from watchkeeper.access import Permission
from watchkeeper.app.api import clients
from watchkeeper.app.api.guard import needs
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.receive import SOURCE, Received
from watchkeeper.errors import StoreError
from watchkeeper.wire.errors import TooLargeError, WireError

router = APIRouter(prefix="/api/v1", dependencies=[Depends(needs(Permission.WRITE_SAMPLES))])

FIRST, SECOND = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"
#: Seconds a sender is asked to wait when the store cannot take samples now.
RETRY_AFTER = "5"
WRITTEN = "X-Prometheus-Remote-Write-{}-Written"


@router.post("/write")
async def write(request: Request) -> Response:
    """Samples, durable before the answer. 4xx: sending again cannot help; 5xx: it can, after ``Retry-After``."""
    engine: Engine = request.app.state.engine
    if clients.unknown(engine, request):
        engine.telemetry.remote_writes.labels("client_certificate").inc()
        return PlainTextResponse(clients.WANTED, status_code=403)
    message = _message(request.headers.get("content-type", ""))
    encoding = request.headers.get("content-encoding", "snappy").strip().lower()
    if message not in (FIRST, SECOND) or encoding != "snappy":
        engine.telemetry.remote_writes.labels("media_type").inc()
        return PlainTextResponse(
            f"send application/x-protobuf with proto={FIRST} or {SECOND}, content-encoding snappy\n", status_code=415
        )
    body, second = await request.body(), message == SECOND
    try:
        received = await run_in_threadpool(engine.receiving.write, body, second=second)
    except WireError as error:
        status = 413 if isinstance(error, TooLargeError) else 400
        return PlainTextResponse(f"{error}\n", status_code=status, headers=_written(None) if second else {})
    except StoreError as error:
        headers = {"Retry-After": RETRY_AFTER, **(_written(None) if second else {})}
        return PlainTextResponse(f"{error}\n", status_code=503, headers=headers)
    finally:
        engine.sources.setdefault(SOURCE, engine.receiving.source)
    return _answer(received, second=second)


def _message(content_type: str) -> str:
    """The protobuf message a content type names; version 1.0's where it names none; empty for other types."""
    parsed = Message()
    parsed["content-type"] = content_type
    if parsed.get_content_type() != "application/x-protobuf":
        return ""
    named = parsed.get_param("proto", FIRST)
    return named if isinstance(named, str) else ""


def _answer(received: Received, *, second: bool) -> Response:
    wrong = dict(received.wrong)
    if second and received.histograms:
        wrong["native_histogram"] = received.histograms
    if not wrong:
        return Response(status_code=204, headers=_written(received) if second else {})
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(wrong.items()))
    text = f"refused: {told}; kept: {received.line.stored + received.line.deduplicated}\n"
    return PlainTextResponse(text, status_code=400, headers=_written(received))


def _written(received: Received | None) -> dict[str, str]:
    """What was kept, samples that were there already among it."""
    samples = 0 if received is None else received.line.stored + received.line.deduplicated
    return {
        WRITTEN.format("Samples"): str(samples),
        WRITTEN.format("Histograms"): "0",
        WRITTEN.format("Exemplars"): "0",
    }
