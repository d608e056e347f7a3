"""OTLP's traces as spans: of each no more than what says which service called which, how long and whether it failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from watchkeeper.wire.errors import TooLargeError
from watchkeeper.wire.otlp_json import JSON, fill

Side = Literal["caller", "called", "inside"]
#: SpanKind: server and consumer are called, client and producer call.
SIDES: Mapping[int, Side] = {2: "called", 3: "caller", 4: "caller", 5: "called"}
#: Spans of one request, and bytes of a name.
MOST_SPANS, MOST_NAME = 100_000, 200
FAILED = 2


@dataclass(frozen=True, slots=True)
class Span:
    service: str
    side: Side
    mine: bytes  #: trace and span id
    parent: bytes  #: trace and parent's id; empty where it has none
    seconds: float
    failed: bool
    peer: str = ""  #: name of whom it calls, where the span says so
    address: str = ""  #: host:port of whom it calls


def decode_spans(body: bytes, kind: str) -> list[Span]:
    """The spans of an ExportTraceServiceRequest that call or are called. Raises WireError."""
    request = ExportTraceServiceRequest()
    fill(request, body, kind)
    found, count = list[Span](), 0
    for resource in request.resource_spans:
        service = _of(resource.resource.attributes).get("service.name", "")[:MOST_NAME]
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            count += 1
            if count > MOST_SPANS:
                raise TooLargeError(f"the request has more than {MOST_SPANS} spans; send fewer at a time")
            if service and span.kind in SIDES:
                found.append(_span(service, span))
    return found


def answer_spans(kind: str) -> bytes:
    """An ExportTraceServiceResponse in the form of the request: all spans were taken."""
    return b"{}" if kind == JSON else ExportTraceServiceResponse().SerializeToString()


def _span(service: str, span: Any) -> Span:
    said = _of(span.attributes) if SIDES[span.kind] == "caller" else {}
    place = said.get("server.address") or said.get("net.peer.name") or said.get("network.peer.address") or ""
    port = said.get("server.port") or said.get("net.peer.port") or said.get("network.peer.port") or ""
    return Span(
        service=service,
        side=SIDES[span.kind],
        mine=span.trace_id + span.span_id,
        parent=span.trace_id + span.parent_span_id if span.parent_span_id else b"",
        seconds=max(0, span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        failed=span.status.code == FAILED,
        peer=said.get("peer.service", "")[:MOST_NAME],
        address=f"{place}:{port}"[:MOST_NAME] if place and port else "",
    )


def _of(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Texts and whole numbers as text."""
    found = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        if kind in ("string_value", "int_value"):
            found[one.key] = str(getattr(one.value, kind))
    return found
