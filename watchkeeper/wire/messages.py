"""Messages as the protobuf runtime knows them, described here so that no compiler is needed.

They are Prometheus's, and the frame of OTLP's. What is only carried on is declared as bytes: the runtime then cuts it
out without looking into it. Values are declared as fixed64 so that the bits of a staleness marker stay what they are.
Field numbers: prometheus/prompb/remote.proto, types.proto and io/prometheus/write/v2/types.proto;
opentelemetry/proto/metrics/v1/metrics.proto; google/rpc/status.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from watchkeeper.wire.errors import WireError

_Field = descriptor_pb2.FieldDescriptorProto
#: field name -> (number, type, repeated)
Fields = Mapping[str, tuple[int, "_Field.Type.ValueType", bool]]

_BYTES, _INT, _UINT, _BITS = _Field.TYPE_BYTES, _Field.TYPE_INT64, _Field.TYPE_UINT32, _Field.TYPE_FIXED64
_MESSAGES: Mapping[str, Fields] = {
    "Write": {"timeseries": (1, _BYTES, True), "metadata": (3, _BYTES, True)},
    "Series": {
        "labels": (1, _BYTES, True),
        "samples": (2, _BYTES, True),
        "exemplars": (3, _BYTES, True),
        "histograms": (4, _BYTES, True),
    },
    "Label": {"name": (1, _BYTES, False), "value": (2, _BYTES, False)},
    "Sample": {"value": (1, _BITS, False), "timestamp": (2, _INT, False)},
    "About": {
        "type": (1, _INT, False),
        "family": (2, _BYTES, False),
        "help": (4, _BYTES, False),
        "unit": (5, _BYTES, False),
    },
    "Write2": {"symbols": (4, _BYTES, True), "timeseries": (5, _BYTES, True)},
    "Series2": {
        "refs": (1, _UINT, True),
        "samples": (2, _BYTES, True),
        "histograms": (3, _BYTES, True),
        "exemplars": (4, _BYTES, True),
        "about": (5, _BYTES, False),
    },
    "About2": {"type": (1, _INT, False), "help": (3, _UINT, False), "unit": (4, _UINT, False)},
    # the frame of OTLP's metrics; what lies in it is read by OTLP's own messages
    "OtlpRequest": {"resource_metrics": (1, _BYTES, True)},
    "OtlpResource": {"resource": (1, _BYTES, False), "scope_metrics": (2, _BYTES, True)},
    "OtlpScope": {"scope": (1, _BYTES, False), "metrics": (2, _BYTES, True), "schema_url": (3, _BYTES, False)},
    "OtlpMetric": {
        "name": (1, _BYTES, False),
        "description": (2, _BYTES, False),
        "unit": (3, _BYTES, False),
        "gauge": (5, _BYTES, False),
        "sum": (7, _BYTES, False),
        "histogram": (9, _BYTES, False),
        "exponential_histogram": (10, _BYTES, False),
        "summary": (11, _BYTES, False),
    },
    "OtlpData": {"points": (1, _BYTES, True), "temporality": (2, _INT, False), "monotonic": (3, _INT, False)},
    "Status": {"code": (1, _INT, False), "message": (2, _BYTES, False)},
}


def _describe() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="watchkeeper_wire.proto", package="watchkeeper_wire", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for word, (number, kind, repeated) in fields.items():
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            message.field.add(name=word, number=number, type=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"watchkeeper_wire.{name}") for name in _MESSAGES}
    return {name: message_factory.GetMessageClass(one) for name, one in found.items()}


_CLASSES = _describe()


def parse(name: str, data: bytes) -> Any:
    """A message of this name. Raises WireError."""
    try:
        return _CLASSES[name].FromString(data)
    except DecodeError:
        raise WireError(f"the body is no protobuf message of the kind: {name} cannot be read") from None


def build(kind: str, /, **fields: Any) -> bytes:
    """The bytes of a message of this name."""
    return _CLASSES[kind](**fields).SerializeToString()
