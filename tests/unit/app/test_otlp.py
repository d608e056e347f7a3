"""OTLP's metrics in over HTTP, by the specification: durable when 200 is said, every refusal named and counted."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from starlette.testclient import TestClient
from support.engines import NOON, engine
from support.otlp import SHOP, gauge, point, request, total
from support.remote_write import sender
from support.samples import EVER

from watchkeeper.access.roles import Role
from watchkeeper.app.engine import Engine
from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.model import format_series
from watchkeeper.wire.messages import parse

NOW = int(NOON.timestamp()) * 1_000_000_000
PATHS = ("/v1/metrics", "/api/v1/otlp/v1/metrics")
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    with engine(tmp_path) as found:
        yield found


@pytest.fixture
def client(house: Engine) -> TestClient:
    return sender(house)


def stored(house: Engine) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for matrix in house.samples.select([], *EVER):
        for row, series in enumerate(matrix.series):
            found.setdefault(format_series(series), []).extend(matrix.values[row, matrix.present[row]].tolist())
    return found


def ledger(house: Engine) -> tuple[int, int, int, dict[str, int]]:
    told = house.telemetry.ledger()
    assert told["received"] == told["stored"] + told["deduplicated"] + sum(told["rejected"].values())
    assert told["in_flight"] == 0
    return told["received"], told["stored"], told["deduplicated"], told["rejected"]


def requests(house: Engine, outcome: str) -> float:
    return float(house.telemetry.otlp_requests.labels(outcome)._value.get())


def body(*metrics: Any, **more: Any) -> bytes:
    return request(*(metrics or (gauge("g", point(at=NOW)),)), **more)


def as_json(raw: bytes) -> bytes:
    return json.dumps(json_format.MessageToDict(ExportMetricsServiceRequest.FromString(raw))).encode()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", ["protobuf", "json"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_what_is_exported_is_durable_when_200_is_said(
    house: Engine, client: TestClient, path: str, form: str, packed: bool
) -> None:
    raw = body(total("hits", point(7.0, at=NOW)), resource=SHOP)
    raw, headers = (raw, PROTOBUF) if form == "protobuf" else (as_json(raw), JSON)
    sent = {**headers, "content-encoding": "gzip"} if packed else headers
    answer = client.post(path, content=gzip.compress(raw) if packed else raw, headers=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (200, headers["content-type"])
    assert answer.content == (b"" if form == "protobuf" else b"{}")
    assert stored(house) == {
        'hits_total{instance="a-1",job="shop/cart"}': [7.0],
        'target_info{host_name="h1",instance="a-1",job="shop/cart"}': [1.0],
    }
    assert house.samples.durable_sequence == house.samples.stats()["sequence"]
    assert ledger(house) == (2, 2, 0, {})
    assert (house.sources["otlp"].state, house.sources["otlp"].stored) == ("up", 2)


def test_the_same_request_again_doubles_nothing(house: Engine, client: TestClient) -> None:
    for _ in range(2):
        assert client.post(PATHS[0], content=body(), headers=PROTOBUF).content == b""
    assert stored(house) == {"g": [1.0]}
    assert ledger(house) == (2, 1, 1, {})


def test_what_is_refused_is_named_counted_and_takes_nothing_with_it(house: Engine, client: TestClient) -> None:
    late = point(at=NOW + int(timedelta(hours=1).total_seconds() * 1e9))
    raw = body(
        gauge("g", point(at=NOW), late),
        total("d", point(at=NOW), point(at=NOW), temporality=1),
        {"name": "e", "exponentialHistogram": {"dataPoints": [{"count": "1"}]}},
    )
    answer = client.post(PATHS[0], content=raw, headers=PROTOBUF)
    assert answer.status_code == 200
    said = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert said.rejected_data_points == 4
    for words in ("2 delta_temporality", "set the exporter to cumulative", "exponential_histogram", "1 samples future"):
        assert words in said.error_message
    assert stored(house) == {"g": [1.0]}
    assert ledger(house) == (5, 1, 0, {"delta_temporality": 2, "exponential_histogram": 1, "future": 1})
    told = client.post(PATHS[0], content=as_json(raw), headers=JSON).json()
    assert told["partialSuccess"]["rejectedDataPoints"] == "4"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_only_a_token_that_may_write_writes(house: Engine, client: TestClient, path: str, role: Role | None) -> None:
    asked = sender(house, role) if role else client
    if role is None:
        del asked.headers["authorization"]
    assert asked.post(path, content=body(), headers=PROTOBUF).status_code == (403 if role else 401)
    assert stored(house) == {}


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "text/plain"}, {**PROTOBUF, "content-encoding": "zstd"}, {**JSON, "content-encoding": "br"}],
    ids=str,
)
def test_a_form_that_is_not_spoken_is_415(house: Engine, client: TestClient, headers: dict[str, str]) -> None:
    assert client.post(PATHS[0], content=body(), headers=headers).status_code == 415
    assert requests(house, "media_type") == 1


def test_a_content_type_may_carry_its_character_set(client: TestClient) -> None:
    sent = {"content-type": "application/json; charset=utf-8"}
    assert client.post(PATHS[0], content=as_json(body()), headers=sent).status_code == 200


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"\xff\xff", PROTOBUF),
        (b"{", JSON),
        (b"no gzip", {**PROTOBUF, "content-encoding": "gzip"}),
        (gzip.compress(b"\x0a\x05abc", mtime=0), {**PROTOBUF, "content-encoding": "gzip"}),
        (gzip.compress(body(), mtime=0)[:-9], {**PROTOBUF, "content-encoding": "gzip"}),
    ],
    ids=repr,
)
def test_what_cannot_be_read_is_400_with_a_status_in_the_senders_form(
    house: Engine, client: TestClient, content: bytes, headers: dict[str, str]
) -> None:
    answer = client.post(PATHS[0], content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == headers["content-type"]
    if headers is JSON:
        assert (answer.json()["code"], "OTLP" in answer.json()["message"]) == (3, True)
    else:
        assert (parse("Status", answer.content).code, len(parse("Status", answer.content).message) > 10) == (3, True)
    assert requests(house, "malformed") == 1


def test_a_bomb_is_413_and_costs_no_more_memory_than_may_be_sent(house: Engine, client: TestClient) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))
    empties = gzip.compress(b"\x0a\x00" * (1 << 20))
    client.post(PATHS[0], content=body(), headers=PROTOBUF)
    tracemalloc.start()
    try:
        for content in (bomb, empties):
            answer = client.post(PATHS[0], content=content, headers={**PROTOBUF, "content-encoding": "gzip"})
            assert answer.status_code == 413
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert requests(house, "too_large") == 2


@pytest.mark.parametrize(("error", "outcome"), [(StoreFullError("full"), "disk_full"), (StoreError("broken"), None)])
def test_a_store_that_takes_nothing_is_503_and_asked_again_later(
    house: Engine, client: TestClient, monkeypatch: pytest.MonkeyPatch, error: StoreError, outcome: str | None
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(house.samples, "push_numbered", refuse)
    answer = client.post(PATHS[0], content=body(), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert parse("Status", answer.content).code == 14
    assert outcome is None or requests(house, outcome) == 1
    assert house.telemetry.in_flight._value.get() == 0


def test_settings_of_the_file_are_followed(tmp_path: Path) -> None:
    with engine(tmp_path, otlp={"promote_resource_attributes": ["host.name"], "promote_scope_metadata": True}) as house:
        raw = body(resource={"host.name": "h1"}, scope={"name": "lib"})
        assert sender(house).post(PATHS[0], content=raw, headers=PROTOBUF).status_code == 200
        assert list(stored(house)) == ['g{host_name="h1",otel_scope_name="lib",otel_scope_schema_url="https://s/1"}']


def test_what_is_said_about_a_metric_is_asked_by_the_metadata_route(house: Engine, client: TestClient) -> None:
    client.post(PATHS[0], content=body({**total("c", point(at=NOW), unit="By"), "description": "d"}), headers=PROTOBUF)
    told = client.get("/api/v1/metadata").json()["data"]
    assert told["c_bytes_total"] == [{"type": "counter", "help": "d", "unit": "By"}]
