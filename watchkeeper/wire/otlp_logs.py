"""OTLP's logs as lines: body as text, time and severity as they state them, few attributes as labels."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from watchkeeper.model import Labels, LogBatch, labels
from watchkeeper.wire.errors import TooLargeError
from watchkeeper.wire.otlp_json import JSON, fill

#: Attributes of the resource that become labels of its lines, with their names.
PROMOTED = {
    "service.name": "service", "service.namespace": "service_namespace", "service.instance.id": "instance",
    "host.name": "hostname", "k8s.namespace.name": "namespace", "k8s.pod.name": "pod",
    "k8s.container.name": "container",
    "deployment.environment.name": "environment", "deployment.environment": "environment",
}  # fmt: skip
#: SeverityNumber / 4 as codes of ``SEVERITIES``: trace, debug, info, warn, error, fatal.
_CODES = (1, 1, 2, 3, 4, 5)
#: Lines of one request, values in values, bytes of a value as text.
MOST_LINES, MOST_DEPTH, MOST_TEXT = 100_000, 30, 1 << 20


@dataclass(slots=True)
class _Stream:
    texts: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)


def decode_logs(body: bytes, kind: str, now_ms: int) -> list[LogBatch]:
    """An ExportLogsServiceRequest, one batch for each set of labels. Raises WireError."""
    request = ExportLogsServiceRequest()
    fill(request, body, kind)
    streams: dict[Labels, _Stream] = {}
    count = 0
    for resource in request.resource_logs:
        own = labels(None, _promoted(resource.resource.attributes))
        stream = streams.setdefault(own, _Stream())
        for record in (record for scope in resource.scope_logs for record in scope.log_records):
            count += 1
            if count > MOST_LINES:
                raise TooLargeError(f"the request has more than {MOST_LINES} lines; send fewer at a time")
            stream.texts.append(_text(record))
            stream.times.append((record.time_unix_nano or record.observed_time_unix_nano) // 1_000_000 or now_ms)
            stream.codes.append(_code(record.severity_number, record.severity_text))
    return [
        LogBatch.of(own, stream.texts, stream.times, stream.codes) for own, stream in streams.items() if stream.texts
    ]


def answer_logs(kind: str) -> bytes:
    """An ExportLogsServiceResponse in the form of the request: all lines were taken."""
    return b"{}" if kind == JSON else ExportLogsServiceResponse().SerializeToString()


def _promoted(attributes: Iterable[KeyValue]) -> dict[str, str]:
    found = {PROMOTED[one.key]: _word(_value(one.value, 0)) for one in attributes if one.key in PROMOTED}
    found = {name: value[:200] for name, value in found.items() if value}
    if "service" in found:
        found["job"] = f"{found.get('service_namespace', '')}/{found['service']}".removeprefix("/")
    return found


def _text(record: Any) -> str:
    """The body; attributes and trace follow as key=value, so that they can be asked for."""
    parts = [_word(_value(record.body, 0))]
    pairs: dict[str, Any] = {one.key: _value(one.value, 0) for one in record.attributes}
    if record.trace_id:
        pairs["trace_id"] = _identifier(record.trace_id, 16)
    if record.span_id:
        pairs["span_id"] = _identifier(record.span_id, 8)
    parts += [f"{name}={_quoted(_word(value))}" for name, value in pairs.items()]
    return " ".join(part for part in parts if part)[:MOST_TEXT]


def _identifier(raw: bytes, size: int) -> str:
    """In hexadecimal: as OTLP's JSON writes it, which protobuf's reader takes for base64."""
    return b64encode(raw).decode("ascii").lower() if len(raw) == size * 3 // 2 else raw.hex()


def _code(number: int, text: str) -> int:
    if 1 <= number <= 24:
        return _CODES[(number - 1) // 4]
    words: Mapping[str, int] = {"trace": 1, "debug": 1, "info": 2, "warn": 3, "warning": 3, "error": 4, "fatal": 5}
    return words.get(text.strip().lower(), 0)


def _value(value: AnyValue, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > MOST_DEPTH:
        return ""
    if kind == "array_value":
        return [_value(one, depth + 1) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _value(one.value, depth + 1) for one in value.kvlist_value.values}
    found = getattr(value, kind)
    return found.hex() if isinstance(found, bytes) else found


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    if text and not any(character in text for character in ' "=\n,;|&(){}[]'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
