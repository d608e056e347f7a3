"""OTLP's traces come in over HTTP: service pairs become edges of the map and series, whatever order spans come in."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.engines import NOON, engine
from support.otlp import attributes

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.pipeline.receive_traces import CALLS, FAILURES, WAITS, Pairing
from watchkeeper.clock import to_ms
from watchkeeper.model import Edge, Layout, Tick, label, labels
from watchkeeper.wire.otlp_traces import Span

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CATALOGUE = {
    "services": [
        {"name": "shop", "kind": "website", "addresses": ["10.0.0.1:80"]},
        {"name": "pay", "kind": "website", "addresses": ["10.0.0.2:80"]},
        {"name": "orders-db", "kind": "website", "addresses": ["10.0.0.6:5432"]},
    ]
}


def span(kind: int, own: str, parent: str = "", **more: Any) -> dict[str, Any]:
    times = {"startTimeUnixNano": "1000000000", "endTimeUnixNano": "1250000000"}
    ids = {"traceId": TRACE, "spanId": own, **({"parentSpanId": parent} if parent else {})}
    return {"kind": kind, **ids, **times, **more}


def tree(service: str, *spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": attributes({"service.name": service})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [*spans]}]}]}


def client_of(found: Any, role: Role = Role.WRITER) -> TestClient:
    token, _ = create_system_token(found.state, role.value, role, now=NOON)
    return TestClient(create(found), headers={"authorization": f"Bearer {token}"})


CALL = tree("shop", span(3, "00f067aa0ba90201", "00f067aa0ba90200"))
SERVED = tree("pay", span(2, "00f067aa0ba90202", "00f067aa0ba90201", status={"code": 2}))
WHERE = attributes({"server.address": "10.0.0.6", "server.port": {"intValue": "5432"}})
ASKED = tree("pay", span(3, "00f067aa0ba90203", attributes=WHERE))


@pytest.mark.parametrize("order", [(CALL, SERVED, ASKED), (SERVED, ASKED, CALL)])
def test_both_halves_of_a_call_make_an_edge_and_an_address_makes_one_too(
    tmp_path: Path, order: tuple[dict[str, Any], ...]
) -> None:
    with engine(tmp_path, catalogue=CATALOGUE) as found:
        client = client_of(found)
        for body in order:
            answer = client.post("/v1/traces", json=body)
            assert (answer.status_code, answer.json()) == (200, {})
        found.cataloguing._look(NOON)
        assert found.cataloguing.edges() == [Edge("pay", "orders-db", "observed"), Edge("shop", "pay", "observed")]
        rows = {(label(series, "client"), label(series, "server"), label(series, "__name__")): value
                for series, value in found.receiving_traces.pairing.rows()}  # fmt: skip
        assert rows["shop", "pay", CALLS] == rows["shop", "pay", FAILURES] == 1.0
        assert rows["shop", "pay", "traces_service_graph_request_server_seconds_sum"] == 0.25
        assert rows["pay", "orders-db", FAILURES] == 0.0


def test_protobuf_and_gzip_are_taken_and_nonsense_is_refused(tmp_path: Path) -> None:
    with engine(tmp_path, catalogue=CATALOGUE) as found:
        client = client_of(found)
        for said in (CALL, SERVED):
            body = json_format.ParseDict(said, ExportTraceServiceRequest()).SerializeToString()
            headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
            assert client.post("/v1/traces", content=gzip.compress(body), headers=headers).status_code == 200
        assert found.receiving_traces.edges() == [("shop", "pay")]
        assert client.post("/v1/traces", content=b"{", headers={"content-type": "application/json"}).status_code == 400
        assert client.post("/v1/traces", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
        assert client_of(found, Role.VIEWER).post("/v1/traces", json=CALL).status_code == 403


def test_calls_that_somebody_else_counts_are_edges_while_they_grow(tmp_path: Path) -> None:
    with engine(tmp_path, catalogue=CATALOGUE) as found:
        series = (
            labels(CALLS, client="shop", server="pay"),
            labels("istio_requests_total", source_canonical_service="pay", destination_canonical_service="orders-db"),
            labels(CALLS, client="pay", server="shop"),
        )
        layout = Layout(series)
        for minute in range(4):
            at = to_ms(NOON + timedelta(minutes=minute))
            values = np.array([float(minute), float(minute), 7.0])
            found.samples.append(Tick(target="mesh", time_ms=at, layout=layout, values=values))
        found.cataloguing._look(NOON + timedelta(minutes=3))
        assert found.cataloguing.edges() == [Edge("pay", "orders-db", "observed"), Edge("shop", "pay", "observed")]


def test_a_half_that_waits_too_long_is_forgotten_and_a_service_that_calls_itself_is_no_edge() -> None:
    def one(service: str, side: Any, mine: bytes, parent: bytes = b"") -> Span:
        return Span(service=service, side=side, mine=mine, parent=parent, seconds=0.1, failed=False)

    pairing = Pairing(dict)
    pairing.take([one("a", "caller", b"1"), one("a", "called", b"2", b"1")], NOON)
    assert pairing.pairs == {}
    pairing.take([one("a", "caller", b"3")], NOON)
    later = NOON + WAITS + timedelta(seconds=1)
    pairing.take([], later)
    pairing.take([one("b", "called", b"4", b"3")], later)
    assert pairing.pairs == {}
