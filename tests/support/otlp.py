"""Requests of OTLP as exporters make them: JSON's words, protobuf's bytes."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

Tree = dict[str, Any]

AT = 1_700_000_000_000_000_000
SHOP = {"service.name": "cart", "service.namespace": "shop", "service.instance.id": "a-1", "host.name": "h1"}


def attributes(pairs: Tree) -> list[Tree]:
    return [
        {"key": key, "value": value if isinstance(value, dict) else {"stringValue": value}}
        for key, value in pairs.items()
    ]


def request(*metrics: Tree, resource: Tree | None = None, scope: Tree | None = None) -> bytes:
    tree = {
        "resourceMetrics": [
            {
                "resource": {"attributes": attributes(resource or {})},
                "scopeMetrics": [{"scope": scope or {}, "schemaUrl": "https://s/1", "metrics": list(metrics)}],
            }
        ]
    }
    return json_format.ParseDict(tree, ExportMetricsServiceRequest()).SerializeToString()


def point(value: float | None = 1.0, at: int = AT, **more: Any) -> Tree:
    own = {"attributes": attributes(more.pop("attributes", {})), "timeUnixNano": str(at), **more}
    return own if value is None else {**own, "asDouble": value}


def gauge(name: str, *points: Tree, unit: str = "") -> Tree:
    return {"name": name, "unit": unit, "gauge": {"dataPoints": list(points) or [point()]}}


def total(name: str, *points: Tree, unit: str = "", temporality: int = 2, monotonic: bool = True) -> Tree:
    data = {"dataPoints": list(points) or [point()], "aggregationTemporality": temporality, "isMonotonic": monotonic}
    return {"name": name, "unit": unit, "sum": data}
