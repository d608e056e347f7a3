"""OTLP in over HTTP: where exporters send them by default, and where Prometheus takes them."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from typing import Protocol, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from watchkeeper.access import Permission
from watchkeeper.app.api.guard import needs
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.receive_logs import SOURCE as LOGS
from watchkeeper.app.pipeline.receive_otlp import SOURCE
from watchkeeper.app.pipeline.receive_traces import SOURCE as TRACES
from watchkeeper.errors import StoreError
from watchkeeper.wire.errors import TooLargeError, WireError
from watchkeeper.wire.otlp_json import JSON, PROTOBUF, answer, status
from watchkeeper.wire.otlp_logs import answer_logs
from watchkeeper.wire.otlp_traces import answer_spans

router = APIRouter(dependencies=[Depends(needs(Permission.WRITE_SAMPLES))])

#: google.rpc.Code of what is answered: INVALID_ARGUMENT, UNAVAILABLE.
INVALID, UNAVAILABLE = 3, 14
#: Seconds an exporter is asked to wait when the store cannot take samples now.
RETRY_AFTER = "5"

Taken = TypeVar("Taken", covariant=True)


@router.post("/v1/metrics")
@router.post("/api/v1/otlp/v1/metrics")
async def metrics(request: Request) -> Response:
    """Samples, durable before the answer. 4xx: sending again cannot help; 503: it can, after ``Retry-After``."""
    inlet = _engine(request).receiving_otlp
    return await _taken(request, SOURCE, inlet, lambda kind, taken: answer(kind, taken.refused, taken.words))


@router.post("/v1/logs")
async def logs(request: Request) -> Response:
    """Lines, masked and durable before the answer; answers as ``metrics`` does."""
    return await _taken(request, LOGS, _engine(request).receiving_logs, lambda kind, _: answer_logs(kind))


@router.post("/v1/traces")
async def traces(request: Request) -> Response:
    """Who calls whom; answers as ``metrics`` does."""
    return await _taken(request, TRACES, _engine(request).receiving_traces, lambda kind, _: answer_spans(kind))


class _Inlet(Protocol[Taken]):
    """What takes one kind of signal in."""

    @property
    def source(self) -> Source: ...

    def write(self, body: bytes, *, kind: str, gzipped: bool) -> Taken:
        """Raises WireError, StoreError."""


async def _taken(
    request: Request, name: str, inlet: _Inlet[Taken], answered: Callable[[str, Taken], bytes]
) -> Response:
    """Hand a body on; the answer to it, or google.rpc.Status. The source of that name is listed from now on."""
    engine = _engine(request)
    kind, encoding = _kind(request), request.headers.get("content-encoding", "identity").strip().lower()
    if kind not in (PROTOBUF, JSON) or encoding not in ("identity", "", "gzip"):
        engine.telemetry.otlp_requests.labels("media_type").inc()
        said = f"send {PROTOBUF} or {JSON}, content-encoding gzip or none"
        return _status(PROTOBUF if kind not in (PROTOBUF, JSON) else kind, 415, INVALID, said)
    body = await request.body()
    try:
        taken = await run_in_threadpool(inlet.write, body, kind=kind, gzipped=encoding == "gzip")
    except WireError as error:
        return _status(kind, 413 if isinstance(error, TooLargeError) else 400, INVALID, str(error))
    except StoreError as error:
        return _status(kind, 503, UNAVAILABLE, str(error))
    finally:
        engine.sources.setdefault(name, inlet.source)
    return Response(answered(kind, taken), media_type=kind)


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _kind(request: Request) -> str:
    parsed = Message()
    parsed["content-type"] = request.headers.get("content-type", "")
    return parsed.get_content_type()


def _status(kind: str, code: int, grpc: int, words: str) -> Response:
    headers = {"Retry-After": RETRY_AFTER} if code == 503 else {}
    return Response(status(kind, grpc, words), status_code=code, media_type=kind, headers=headers)
