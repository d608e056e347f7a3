"""OTLP's logs come in over HTTP: lines with their own times, severities and labels, masked, durable, found."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from support.engines import NOON, engine
from support.otlp import SHOP, attributes

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.clock import to_ms
from watchkeeper.wire.otlp_logs import MOST_LINES

AT = to_ms(NOON) * 1_000_000


def tree(*records: dict[str, Any]) -> dict[str, Any]:
    return {"resourceLogs": [{"resource": {"attributes": attributes(SHOP)}, "scopeLogs": [{"logRecords": [*records]}]}]}


def record(text: Any, **more: Any) -> dict[str, Any]:
    body = {"stringValue": text} if isinstance(text, str) else text
    return {"timeUnixNano": str(AT), "body": body, **more}


def client_of(found: Any, role: Role) -> TestClient:
    token, _ = create_system_token(found.state, role.value, role, now=NOON)
    return TestClient(create(found), headers={"authorization": f"Bearer {token}"})


RECORDS = tree(
    record("login password=hunter2", severityNumber=17, attributes=attributes({"http.route": "/a b", "user": "bob"})),
    record({"kvlistValue": {"values": attributes({"n": {"intValue": "5"}})}}, severityText="WARN"),
    record("no time", timeUnixNano="0", traceId="4bf92f3577b34da6a3ce929d0e0e4736", spanId="00F067AA0BA902B7"),
)
PROTOBUF = json_format.ParseDict(
    tree(record("login password=hunter2", severityNumber=17, attributes=attributes({"user": "bob"}))),
    ExportLogsServiceRequest(),
).SerializeToString()


def test_lines_in_json_are_kept_with_all_they_say(tmp_path: Path) -> None:
    with engine(tmp_path) as found:
        answer = client_of(found, Role.WRITER).post("/v1/logs", json=RECORDS)
        assert (answer.status_code, answer.json()) == (200, {})
        asked = client_of(found, Role.VIEWER).get("/api/wk/logs", params={"service": "cart"}).json()["lines"]
        assert sorted((line["severity"], line["time_ms"]) for line in asked) == [
            ("", to_ms(NOON)), ("error", to_ms(NOON)), ("warning", to_ms(NOON)),
        ]  # fmt: skip
        text = next(line for line in asked if line["severity"] == "error")
        assert text["text"] == 'login password=[masked:secret] http.route="/a b" user=bob'
        assert text["labels"] == {
            "service": "cart", "service_namespace": "shop", "instance": "a-1", "hostname": "h1", "job": "shop/cart",
        }  # fmt: skip
        assert "no time trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7" in {
            line["text"] for line in asked
        }
        assert found.sources["otlp_logs"].state == "up"


def test_protobuf_and_gzip_are_the_same_lines(tmp_path: Path) -> None:
    with engine(tmp_path) as found:
        writer, headers = client_of(found, Role.WRITER), {"content-type": "application/x-protobuf"}
        assert writer.post("/v1/logs", content=PROTOBUF, headers=headers).content == b""
        packed = {**headers, "content-encoding": "gzip"}
        assert writer.post("/v1/logs", content=gzip.compress(PROTOBUF), headers=packed).status_code == 200
        lines = client_of(found, Role.VIEWER).get("/api/wk/logs", params={"query": "user=bob"}).json()["lines"]
        assert len(lines) == 2


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"\xff\xff", "application/x-protobuf", 400),
        (b"[]", "application/json", 400),
        (b'{"resourceLogs": 5}', "application/json", 400),
        (b"{" * 5000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (json.dumps(tree(*[{}] * (MOST_LINES + 1))).encode(), "application/json", 413),
    ],
)
def test_what_cannot_be_read_is_refused_whole(tmp_path: Path, content: bytes, kind: str, status: int) -> None:
    with engine(tmp_path) as found:
        answer = client_of(found, Role.WRITER).post("/v1/logs", content=content, headers={"content-type": kind})
        assert answer.status_code == status
        assert client_of(found, Role.VIEWER).get("/api/wk/logs").json()["lines"] == []


def test_whoever_may_only_read_sends_nothing(tmp_path: Path) -> None:
    with engine(tmp_path) as found:
        assert client_of(found, Role.VIEWER).post("/v1/logs", json=RECORDS).status_code == 403
