"""OTLP in JSON, and its answers in either form."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, EncodeError, Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from watchkeeper.wire.errors import TooLargeError, WireError
from watchkeeper.wire.messages import build

#: JSON is unfolded whole: three characters can become an object of a hundred bytes.
MOST_BYTES = 4 << 20
#: Values in values; protobuf's own limit.
MOST_DEPTH = 100
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def tree_of(body: bytes) -> dict[str, Any]:
    """What a JSON body says, safe for the protobuf runtime. Raises WireError, ValueError, RecursionError."""
    if len(body) > MOST_BYTES:
        raise TooLargeError(f"JSON of more than {MOST_BYTES >> 20} MiB is not taken; send protobuf")
    tree: Any = json.loads(body.decode())
    if b"\\u" in body:
        json.dumps(tree, ensure_ascii=False).encode()  # half a character must not get to the protobuf runtime
    if not isinstance(tree, dict):
        raise WireError("the body is no OTLP request: it must be a JSON object")
    return tree


def fill(request: Message, body: bytes, kind: str) -> None:
    """Fill the request by a body of that kind. Raises WireError."""
    try:
        if kind == JSON:
            json_format.ParseDict(tree_of(body), request, ignore_unknown_fields=True, max_recursion_depth=MOST_DEPTH)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.Error, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise WireError(f"the body is no OTLP request: {str(error)[:300]}") from None


def to_protobuf(body: bytes) -> bytes:
    """The same request as protobuf. Raises WireError."""
    try:
        tree = tree_of(body)
        request = ExportMetricsServiceRequest()
        json_format.ParseDict(tree, request, ignore_unknown_fields=True, max_recursion_depth=MOST_DEPTH)
        return request.SerializeToString()
    except (ValueError, RecursionError, TypeError, AttributeError, json_format.Error, EncodeError) as error:
        raise WireError(f"the body is no OTLP request in JSON: {str(error)[:300]}") from None


def answer(kind: str, refused: int, words: str) -> bytes:
    """An ExportMetricsServiceResponse in the form of the request; ``refused`` points are named, none are left out."""
    message = ExportMetricsServiceResponse()
    if refused:
        message.partial_success.rejected_data_points = refused
    if words:
        message.partial_success.error_message = words
    if kind == JSON:
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()
    return message.SerializeToString()


def status(kind: str, code: int, words: str) -> bytes:
    """A google.rpc.Status, which is how OTLP says what was wrong with a whole request."""
    if kind == JSON:
        return json.dumps({"code": code, "message": words}, ensure_ascii=False).encode()
    return build("Status", code=code, message=words.encode())
