"""Lines asked for from Loki and Elasticsearch, by contract doubles: none lost and none twice, at no edge."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.log_stores import log_store
from support.targets import TRUST, answer, target

from collectors.elasticsearch_logs import ElasticsearchLogs
from collectors.log_query import LogQuery
from collectors.loki_logs import LokiLogs
from watchkeeper.errors import CollectError
from watchkeeper.model import SEVERITIES
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = int(NOON.timestamp() * 1000)
KINDS = ["loki_logs", "elasticsearch_logs"]


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


def reader(kind: str, url: str, **options: Any) -> LogQuery:
    if kind == "loki_logs":
        return LokiLogs(name="n", url=url, query='{app="shop"}', **options)
    return ElasticsearchLogs(name="n", url=url, index="logs-*", **options)


def unit(kind: str) -> int:
    return 1_000_000 if kind == "loki_logs" else 1


def texts(found: Collected) -> list[str]:
    return [text for batch in found.logs for text in batch.texts()]


def value(found: Collected, name: str) -> float:
    (tick,) = found.ticks
    names = [dict(one)["__name__"] for one in tick.layout.series]
    return float(tick.values[names.index(name)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
async def test_no_line_is_lost_or_doubled_whenever_it_arrives_and_whoever_dies(
    kind: str, seed: int, outbound: Outbound
) -> None:
    chance = random.Random(seed)
    wanted: Counter[str] = Counter()
    got: Counter[str] = Counter()
    async with log_store() as store:
        part = reader(kind, store.url(), page=10, max_lines=100, overlap=timedelta(seconds=30))
        kept = part.position()
        waiting: list[tuple[int, int]] = []  #: (arrives at, its own time)
        for step in range(60):
            now = NOON + timedelta(seconds=5 * step)
            at = MS + 5000 * step
            for _ in range(chance.choice([0, 3, 40])):
                own = at - chance.randrange(0, 4) * 1000  # many share a time
                waiting.append((at + chance.randrange(0, 25_000), own))
            for arrives, own in [one for one in waiting if one[0] <= at]:
                waiting.remove((arrives, own))
                text = f"line {len(store.rows)}"
                wanted[text] += 1
                store.add(own * unit(kind), text, app="shop")
            found = await part.collect(now, outbound)
            if chance.random() < 0.2:  # killed before the lines were kept: they come again
                part = reader(kind, store.url(), page=10, max_lines=100, overlap=timedelta(seconds=30))
                part.restore(json.loads(json.dumps(kept)))
                continue
            got.update(texts(found))
            kept = part.position()
        for step in range(60, 90):
            for _, own in waiting:
                wanted[f"line {len(store.rows)}"] += 1
                store.add(own * unit(kind), f"line {len(store.rows)}", app="shop")
            waiting = []
            found = await part.collect(NOON + timedelta(seconds=5 * step), outbound)
            got.update(texts(found))
    assert got == wanted
    assert sum(wanted.values()) > 300
    assert value(found, "watchkeeper_log_cut_pages_total") == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_more_lines_of_one_time_than_an_answer_holds_are_all_read(kind: str, outbound: Outbound) -> None:
    async with log_store() as store:
        for number in range(75):
            store.add((MS - 1000) * unit(kind), f"line {number}")
        store.add((MS - 500) * unit(kind), "last")
        part = reader(kind, store.url(), page=10, max_lines=100)
        assert len(set(texts(await part.collect(NOON, outbound)))) == 76
        assert texts(await part.collect(NOON + timedelta(seconds=15), outbound)) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_lines_have_their_time_severity_and_the_labels_of_the_store(kind: str, outbound: Outbound) -> None:
    async with log_store() as store:
        store.add((MS - 1000) * unit(kind), "boom", level="error", job="checkout")
        store.add((MS - 900) * unit(kind), "WARN slow")
        options = {} if kind == "loki_logs" else {"label_fields": {"level": "level", "job": "job"}}
        found = await reader(kind, store.url(), labels={"service": "shop"}, **options).collect(NOON, outbound)
    rows = {
        text: (dict(batch.labels), int(batch.times[0]), SEVERITIES[int(batch.severity[0])])
        for batch in found.logs
        for text in batch.texts()
    }
    labels, time, severity = rows["boom"]
    assert (labels["job"], labels["service"], time, severity) == ("checkout", "shop", MS - 1000, "error")
    assert rows["WARN slow"][2] == "warning"


@pytest.mark.parametrize("kind", KINDS)
async def test_at_the_first_look_only_lately_written_lines_are_read(kind: str, outbound: Outbound) -> None:
    async with log_store() as store:
        store.add((MS - 3_600_000) * unit(kind), "old")
        store.add((MS - 30_000) * unit(kind), "new")
        assert texts(await reader(kind, store.url()).collect(NOON, outbound)) == ["new"]


async def test_loki_is_asked_with_its_tenant_and_numbers_are_no_lines(outbound: Outbound) -> None:
    async with log_store() as store:
        await reader("loki_logs", store.url(), tenant="shop").collect(NOON, outbound)
        path, asked, head = store.asked[0]
        assert (path, asked["query"]) == ("/loki/api/v1/query_range", '{app="shop"}')
        assert b"x-scope-orgid: shop" in head.lower()
    async with target() as server:
        body = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
        server.pages = {"/loki/api/v1/query_range": answer(body)}
        part = reader("loki_logs", server.url(""))
        with pytest.raises(CollectError, match="gives numbers, no lines"):
            await part.collect(NOON, outbound)


async def test_metadata_of_lokis_lines_are_fields_of_the_text_and_make_no_streams(outbound: Outbound) -> None:
    def line(number: int, **beside: dict[str, str]) -> list[Any]:
        return [str((MS - 1000 + number) * 1_000_000), f"line {number}", *([beside] if beside else [])]

    lines = [
        line(0, structuredMetadata={"trace_id": "ab0", "user": "Ann B", "detected_level": "error"}),
        line(1, structuredMetadata={"trace_id": "ab1"}, parsed={"level": "warn"}),
        line(2),
    ]
    said = {"resultType": "streams", "result": [{"stream": {"app": "shop"}, "values": lines}]}
    async with target() as server:
        server.pages = {"/loki/api/v1/query_range": answer(json.dumps({"status": "success", "data": said}).encode())}
        found = await reader("loki_logs", server.url("")).collect(NOON, outbound)
        assert b"x-loki-response-encoding-flags: categorize-labels" in server.requests[0][2].lower()
    rows = {
        text: (SEVERITIES[int(code)], dict(batch.labels).get("trace_id"))
        for batch in found.logs
        for text, code in zip(batch.texts(), batch.severity, strict=True)
    }
    assert rows == {
        'line 0 trace_id=ab0 user="Ann B"': ("error", None), "line 1 trace_id=ab1": ("warning", None),
        "line 2": ("", None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            "400 Bad Request",
            b"parse error at line 1, col 12: unexpected IDENTIFIER\n",
            "400: parse error at line 1, col 12",
        ),
        (
            "400 Bad Request",
            b'{"error":{"root_cause":[{"reason":"no field [x]"}],"reason":"all shards failed"},"status":400}',
            "400: no field \\[x\\]",
        ),
        ("429 Too Many Requests", b'{"message":"slow down Bearer s3cret-token","error":"x"}', "429: slow down"),
        ("502 Bad Gateway", b"<html><h1>Bad gateway</h1></html>", "502$"),
        ("503 Service Unavailable", b"[[[[[[1]]]]]]", "503$"),
    ],
)
async def test_what_a_server_says_of_its_refusal_is_told_without_what_we_sent(
    status: str, body: bytes, said: str, outbound: Outbound, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("s3cret-token\n")
    async with target() as server:
        server.pages = {"/loki/api/v1/query_range": answer(body, status=status)}
        part = reader("loki_logs", server.url(""), bearer_token_file=str(tmp_path / "token"))
        with pytest.raises(CollectError, match=said) as failure:
            await part.collect(NOON, outbound)
    assert failure.value.reason == "status"
    assert "s3cret" not in str(failure.value)


async def test_an_index_that_is_not_there_is_no_silence(outbound: Outbound) -> None:
    body = b'{"timed_out":false,"_shards":{"total":0,"successful":0,"skipped":0,"failed":0},"hits":{"hits":[]}}'
    async with target() as server:
        server.pages = {"/logs-*/_search": answer(body)}
        with pytest.raises(CollectError, match="no index is named logs-"):
            await reader("elasticsearch_logs", server.url("")).collect(NOON, outbound)


async def test_elasticsearch_is_asked_by_query_and_key_and_missing_shards_are_no_success(
    tmp_path: Path, outbound: Outbound
) -> None:
    (tmp_path / "key").write_text("aWQ6a2V5\n")
    async with log_store() as store:
        options = {"query": {"term": {"service": "shop"}}, "api_key_file": str(tmp_path / "key")}
        await reader("elasticsearch_logs", store.url(), **options).collect(NOON, outbound)
        path, asked, head = store.asked[0]
        assert path == "/logs-*/_search"
        assert {"term": {"service": "shop"}} in asked["query"]["bool"]["filter"]
        assert b"authorization: ApiKey aWQ6a2V5" in head
        store.failed_shards = 1
        with pytest.raises(CollectError, match="some shards did not answer"):
            await reader("elasticsearch_logs", store.url()).collect(NOON, outbound)


def test_a_position_of_many_lines_is_small() -> None:
    part = reader("loki_logs", "http://127.0.0.1:1")
    part._window.seen = {(number * 0x9E3779B97F4A7C15) % (1 << 64): 10**18 + number for number in range(20_000)}
    assert len(json.dumps(part.position())) < 400_000
    other = reader("loki_logs", "http://127.0.0.1:1")
    other.restore(json.loads(json.dumps(part.position())))
    assert other._window.seen == part._window.seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("time", [b"-5", b"1" + b"0" * 30, b"1e999", b"[]", b"{}"])
async def test_a_time_that_is_none_fails_the_look_and_leaves_the_position(
    kind: str, time: bytes, outbound: Outbound
) -> None:
    loki = b'{"data":{"resultType":"streams","result":[{"stream":{},"values":[[%b,"x"]]}]}}' % time
    hit = b'{"_index":"logs","_id":"1","sort":[%b],"_source":{"message":"x"}}' % time
    elastic = b'{"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[' + hit + b"]}}"
    async with target() as server:
        server.pages = {"/loki/api/v1/query_range": answer(loki), "/logs-*/_search": answer(elastic)}
        part = reader(kind, server.url(""))
        with pytest.raises(CollectError) as failure:
            await part.collect(NOON, outbound)
        assert failure.value.reason == "parse"
        assert json.dumps(part.position())


async def test_a_line_of_loki_without_its_text_is_no_crash(outbound: Outbound) -> None:
    body = b'{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1"]]}]}}'
    async with target() as server:
        server.pages = {"/loki/api/v1/query_range": answer(body)}
        with pytest.raises(CollectError, match="not Loki's"):
            await reader("loki_logs", server.url("")).collect(NOON, outbound)
