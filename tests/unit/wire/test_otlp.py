"""OTLP's metrics as Prometheus's series: the mapping as Prometheus and the OpenTelemetry specification state it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from support.otlp import AT, SHOP, Tree, attributes, gauge, point, request, total

from watchkeeper.model import format_series, is_stale
from watchkeeper.wire import otlp
from watchkeeper.wire.errors import TooLargeError, WireError
from watchkeeper.wire.otlp import Decoded, decode
from watchkeeper.wire.otlp_json import answer, status, to_protobuf
from watchkeeper.wire.otlp_labels import Translation
from watchkeeper.wire.otlp_names import label_name, metric_name


def samples(found: Decoded) -> dict[str, list[tuple[int, float]]]:
    rows: dict[str, list[tuple[int, float]]] = {}
    for code, at, value in zip(found.codes.tolist(), found.times.tolist(), found.values.tolist(), strict=True):
        rows.setdefault(format_series(found.series[code]), []).append((at, value))
    return rows


def values(body: bytes, settings: Translation | None = None) -> dict[str, float]:
    return {name: rows[-1][1] for name, rows in samples(decode(body, settings or Translation())).items()}


@pytest.mark.parametrize(
    ("name", "unit", "kind", "wanted"),
    [
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("http.server.request.count", "{request}", "counter", "http_server_request_count_total"),
        ("system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"),
        ("system.cpu.utilization", "1", "counter", "system_cpu_utilization_total"),
        ("system.network.io", "By", "counter", "system_network_io_bytes_total"),
        ("disk.read.rate", "By/s", "gauge", "disk_read_rate_bytes_per_second"),
        ("broken.metric.speed.km_per_hour", "km/h", "gauge", "broken_metric_speed_km_per_hour"),
        ("requests_total", "", "counter", "requests_total"),
        ("total.requests", "", "counter", "requests_total"),
        ("memory_bytes", "By", "gauge", "memory_bytes"),
        ("queue.size", "{items}", "gauge", "queue_size"),
        ("fans", "{fan}/m", "gauge", "fans_per_minute"),
        ("2xx", "", "counter", "_2xx_total"),
        ("room.temperature", "Cel", "gauge", "room_temperature_celsius"),
        ("odd", "weird unit!", "gauge", "odd_weird_unit"),
        ("rule:recorded", "", "gauge", "rule:recorded"),
        ("温度", "", "gauge", ""),
    ],
)
def test_a_metric_is_called_what_prometheus_calls_it(name: str, unit: str, kind: str, wanted: str) -> None:
    assert metric_name(name, unit, kind) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("http.method", "http_method"),
        ("1st", "key_1st"),
        ("_own", "key_own"),
        ("__twice", "__twice"),
        ("a-b/c", "a_b_c"),
    ],
)
def test_an_attribute_is_called_what_prometheus_calls_it(name: str, wanted: str) -> None:
    assert label_name(name) == wanted


def test_a_resource_becomes_job_instance_and_target_info() -> None:
    assert values(request(gauge("up.time", unit="s"), resource=SHOP)) == {
        'up_time_seconds{instance="a-1",job="shop/cart"}': 1.0,
        'target_info{host_name="h1",instance="a-1",job="shop/cart"}': 1.0,
    }


def test_without_a_service_there_is_no_target_info_and_without_more_neither() -> None:
    assert list(values(request(gauge("g"), resource={"host.name": "h"}))) == ["g"]
    assert list(values(request(gauge("g"), resource={"service.name": "s"}))) == ['g{job="s"}']


def test_target_info_is_said_again_between_the_first_and_the_last_point() -> None:
    body = request(gauge("g", point(at=AT), point(at=AT + 400_000_000_000)), resource=SHOP)
    times = next(rows for name, rows in samples(decode(body, Translation())).items() if name.startswith("target_info"))
    first = AT // 1_000_000
    assert [at - first for at, _ in times] == [0, 150_000, 300_000, 400_000]
    old = request(gauge("g", point(at=0), point(at=AT)), resource=SHOP)
    assert len(decode(old, Translation()).times) < 40


def test_settings_promote_resource_and_scope() -> None:
    settings = Translation(
        promote_resource_attributes=frozenset({"host.name"}),
        promote_scope_metadata=True,
        keep_identifying_resource_attributes=True,
    )
    scope = {"name": "lib", "version": "1.2", "attributes": attributes({"k": "v"})}
    body = request(gauge("g", point(attributes={"host.name": "own"})), gauge("h"), resource=SHOP, scope=scope)
    scoped = 'otel_scope_k="v",otel_scope_name="lib",otel_scope_schema_url="https://s/1",otel_scope_version="1.2"'
    found = values(body, settings)
    assert f'g{{host_name="own",instance="a-1",job="shop/cart",{scoped}}}' in found
    assert f'h{{host_name="h1",instance="a-1",job="shop/cart",{scoped}}}' in found
    assert (
        'target_info{host_name="h1",instance="a-1",job="shop/cart",service_instance_id="a-1",service_name="cart",'
        'service_namespace="shop"}'
    ) in found


def test_attributes_of_every_type_become_text_and_job_is_the_resources() -> None:
    own = {
        "i": {"intValue": "7"}, "d": {"doubleValue": 1.5}, "b": {"boolValue": True}, "s": "x", "empty": "",
        "l": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "y"}]}},
        "m": {"kvlistValue": {"values": attributes({"k": "v"})}}, "y": {"bytesValue": "AQI="},
        "job": "mine", "a.b": "1", "a_b": "2",
    }  # fmt: skip
    (name,) = [one for one in values(request(gauge("g", point(attributes=own)), resource=SHOP)) if one.startswith("g{")]
    assert name == (
        r'g{a_b="1;2",b="true",d="1.5",i="7",instance="a-1",job="shop/cart",l="[1,\"y\"]",m="{\"k\":\"v\"}",s="x",'
        r'y="AQI="}'
    )


def test_sums_gauges_and_whole_numbers() -> None:
    whole = point(None, asInt="42")
    assert values(
        request(total("c", whole), total("updown", monotonic=False), gauge("g", point(None, asDouble="Infinity")))
    ) == {
        "c_total": 42.0,
        "updown": 1.0,
        "g": math.inf,
    }


def test_a_histogram_becomes_cumulative_buckets() -> None:
    data = {
        "timeUnixNano": str(AT),
        "count": "6",
        "sum": 9.5,
        "bucketCounts": ["1", "2", "3"],
        "explicitBounds": [0.1, 1],
    }
    body = request({"name": "h", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [data]}})
    assert values(body) == {
        "h_seconds_sum": 9.5, "h_seconds_count": 6.0, 'h_seconds_bucket{le="0.1"}': 1.0,
        'h_seconds_bucket{le="1"}': 3.0, 'h_seconds_bucket{le="+Inf"}': 6.0,
    }  # fmt: skip
    no_sum = {**data}
    del no_sum["sum"]
    body = request({"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [no_sum]}})
    assert "h_sum" not in values(body)


def test_a_summary_becomes_quantiles() -> None:
    data = {"timeUnixNano": str(AT), "count": "2", "sum": 3.0, "quantileValues": [{"quantile": 0.5, "value": 1.5}]}
    assert values(request({"name": "s", "summary": {"dataPoints": [data]}})) == {
        "s_sum": 3.0,
        "s_count": 2.0,
        's{quantile="0.5"}': 1.5,
    }


def test_nothing_recorded_is_a_staleness_marker() -> None:
    histogram = {"timeUnixNano": str(AT), "flags": 1, "bucketCounts": ["0", "0"], "explicitBounds": [1]}
    summary = {"timeUnixNano": str(AT), "flags": 1, "quantileValues": [{"quantile": 0.5}]}
    body = request(
        gauge("g", point(None, flags=1)),
        {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [histogram]}},
        {"name": "s", "summary": {"dataPoints": [summary]}},
    )
    found = decode(body, Translation())
    assert len(found.values) == 1 + 3 + 3
    assert is_stale(found.values).all()


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (total("c", temporality=1), "delta_temporality"),
        (total("c", temporality=0), "no_temporality"),
        ({"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [{}]}}, "delta_temporality"),
        ({"name": "e", "exponentialHistogram": {"dataPoints": [{"count": "1"}]}}, "exponential_histogram"),
        (gauge("g", point(None)), "no_value"),
        (gauge("温度"), "name_invalid"),
        (
            {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [{"explicitBounds": [2, 1]}]}},
            "histogram_bounds",
        ),
        (
            {"name": "h", "histogram": {"aggregationTemporality": 2,
             "dataPoints": [{"explicitBounds": [1], "bucketCounts": ["1"]}]}},
            "histogram_buckets",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_counted_by_name_and_the_rest_is_kept(metric: Tree, reason: str) -> None:
    found = decode(request(metric, gauge("good")), Translation())
    assert found.refused == {reason: 1}
    assert found.points == 2
    assert list(samples(found)) == ["good"]
    assert found.reasons[reason]


def test_what_is_said_about_a_metric_is_kept() -> None:
    (about,) = decode(request({**total("c", unit="By"), "description": "d"}), Translation()).about
    assert (about.family, about.type, about.help, about.unit) == ("c_bytes_total", "counter", "d", "By")


def test_more_than_one_request_may_have_is_refused_before_it_is_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MOST_POINTS", 3)
    with pytest.raises(TooLargeError, match="more than 3 points"):
        decode(request(gauge("g", *[point()] * 4)), Translation())
    with pytest.raises(TooLargeError, match="resources, scopes and metrics"):
        decode(b"\x0a\x00" * (otlp.MOST_PARTS + 1), Translation())
    with pytest.raises(TooLargeError, match="1 MiB"):
        decode(request(gauge("g", point(attributes={"a": "x" * (1 << 20)}))), Translation())


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05abc", b"\x0a\x03\x12\x01\xff", b"not protobuf at all"])
def test_what_is_no_protobuf_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(WireError, match=r"no protobuf|no OTLP"):
        decode(body, Translation())


def test_json_says_the_same_as_protobuf() -> None:
    body = request(total("c", point(None, asInt="42")), resource=SHOP)
    tree = json_format.MessageToDict(ExportMetricsServiceRequest.FromString(body))
    found = decode(to_protobuf(json.dumps(tree).encode()), Translation())
    assert samples(found) == samples(decode(body, Translation()))
    numbers = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{"asDouble":"NaN",'
    numbers += b'"timeUnixNano":1700000000000000000}]}}]}]}],"later":{"field":1}}'
    assert np.isnan(decode(to_protobuf(numbers), Translation()).values).all()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"resourceMetrics":3}', b'{"resourceMetrics":[3]}', b"[" * 100_000, b'{"a":' * 5000,
        b"\xff", b'{"\\ud800":1}', b'{"\xed\xa0\x80":1}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"\\ud800"}]}]}]}',
    ],
)  # fmt: skip
def test_what_is_no_otlp_json_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(WireError, match="OTLP"):
        to_protobuf(body)
    with pytest.raises(TooLargeError, match="send protobuf"):
        to_protobuf(b" " * (4 << 20) + b"{}")


def test_answers_have_the_form_of_the_request() -> None:
    assert answer("application/x-protobuf", 0, "") == b""
    assert json.loads(answer("application/json", 0, "")) == {}
    assert json.loads(answer("application/json", 2, "why")) == {
        "partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "why"}
    }
    assert json.loads(status("application/json", 3, "no")) == {"code": 3, "message": "no"}
    assert status("application/x-protobuf", 3, "no") == b"\x08\x03\x12\x02no"
