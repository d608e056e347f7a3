from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.targets import TRUST, answer, target

from collectors.prometheus_api import PrometheusApi
from watchkeeper.errors import CollectError
from watchkeeper.model import Tick, format_series, is_stale
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATH = "/api/v1/query"


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


def vector(*rows: Any) -> bytes:
    return answer(json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}}).encode())


def row(value: str, **own: str) -> dict[str, Any]:
    return {"metric": own, "value": [1.0, value]}


def source(url: str, **options: Any) -> PrometheusApi:
    return PrometheusApi(
        name="central", url=url, queries=options.pop("queries", {"qps": "sum(rate(x[5m]))"}), **options
    )


def shown(tick: Tick) -> dict[str, float]:
    return {
        format_series(s): v
        for s, v, gone in zip(tick.layout.series, tick.values.tolist(), is_stale(tick.values), strict=True)
        if not gone
    }


async def test_results_become_series_named_by_the_query_with_their_own_labels(outbound: Outbound) -> None:
    async with target() as server:
        server.pages[PATH] = vector(row("1.5", __name__="old", job="api", zone="a"), row("NaN", zone="b"))
        part = source(server.url(""), labels={"environment": "prod"})
        (tick,) = (await part.collect(NOON, outbound)).ticks
        where = f'instance="127.0.0.1:{server.port}"'
    found = shown(tick)
    assert found[f'qps{{environment="prod",{where},job="api",zone="a"}}'] == 1.5
    assert any(key.startswith("qps") and 'zone="b"' in key and value != value for key, value in found.items())
    assert found[f'watchkeeper_query_success{{environment="prod",{where},job="central",query="qps"}}'] == 1.0
    method, path, raw = server.requests[0]
    form = parse_qs(raw.rpartition(b"\r\n\r\n")[2].decode())
    assert (method, path) == ("POST", PATH)
    assert form == {"query": ["sum(rate(x[5m]))"], "time": [f"{NOON.timestamp():.3f}"]}


async def test_a_scalar_is_one_series(outbound: Outbound) -> None:
    async with target() as server:
        body = {"status": "success", "data": {"resultType": "scalar", "result": [1, "42"]}}
        server.pages[PATH] = answer(json.dumps(body).encode())
        (tick,) = (await source(server.url("/")).collect(NOON, outbound)).ticks
    assert 42.0 in shown(tick).values()


async def test_odd_rows_are_counted_and_the_good_ones_kept(outbound: Outbound) -> None:
    async with target() as server:
        server.pages[PATH] = vector(
            row("1", a="1"),
            row("1", a="1"),
            row("x", a="2"),
            "row",
            {"metric": {}, "histogram": [1, {}]},
            row("2", a="3"),
        )
        found = await source(server.url("")).collect(NOON, outbound)
    assert found.rejected == {"parse": 2, "histogram": 1, "duplicate": 1}
    assert sum(key.startswith("qps") for key in shown(found.ticks[0])) == 2


@pytest.mark.parametrize(
    ("page", "reason", "text"),
    [
        (answer(b"<html>"), "parse", "no JSON"),
        (answer(b"[]"), "parse", "no query result"),
        (answer(b"[" * 100_000), "parse", "no JSON"),
        (answer(b'{"status":"success","data":{"resultType":"matrix","result":[]}}'), "query", "instant vector"),
        (answer(b'{"status":"success","data":7}'), "query", "instant vector"),
        (
            answer(b'{"status":"error","errorType":"bad_data","error":"unknown function"}', status="400 Bad Request"),
            "query",
            "unknown function",
        ),
        (answer(b"", status="302 Found"), "redirect", "not followed"),
        (answer(b"", status="401 Unauthorized"), "status", "401"),
    ],
)
async def test_answers_that_are_no_result_fail_with_their_reason(
    outbound: Outbound, page: bytes, reason: str, text: str
) -> None:
    async with target() as server:
        server.pages[PATH] = page
        with pytest.raises(CollectError, match=text) as failure:
            await source(server.url("")).collect(NOON, outbound)
    assert failure.value.reason == reason


async def test_one_query_that_fails_leaves_the_others_and_goes_stale(outbound: Outbound) -> None:
    class Picky:
        """An Outbound that answers each query by its text."""

        def __init__(self, broken: set[str]) -> None:
            self.broken = broken

        async def request(self, method: str, url: str, *, content: bytes, **_: Any) -> Any:
            from watchkeeper.outbound import Response

            asked = parse_qs(content.decode())["query"][0]
            good = {"status": "success", "data": {"resultType": "vector", "result": [row("1")]}}
            body = {"status": "error", "error": "no"} if asked in self.broken else good
            return Response(200, {}, json.dumps(body).encode())

    part = source("http://127.0.0.1:1", queries={"a": "A", "b": "B"})
    fake: Any = Picky(set())
    await part.collect(NOON, fake)
    fake.broken = {"B"}
    (tick,) = (await part.collect(NOON, fake)).ticks
    gone = [format_series(s) for s, stale in zip(tick.layout.series, is_stale(tick.values), strict=True) if stale]
    assert [series.partition("{")[0] for series in gone] == ["b"]
    success = {key: value for key, value in shown(tick).items() if key.startswith("watchkeeper_query_success")}
    assert sorted(success.values()) == [0.0, 1.0]
    assert part.problems.keys() == {"b"}
    assert "refused the query: no" in part.problems["b"]
    fake.broken = {"A", "B"}
    with pytest.raises(CollectError, match="refused the query: no"):
        await part.collect(NOON, fake)
    (stale,) = part.stale_ticks(NOON)
    assert is_stale(stale.values).all()
    assert part.stale_ticks(NOON) == []
    await part.close()


@pytest.mark.parametrize("options", [{"url": "nowhere"}, {"url": "http://x", "queries": {}}])
def test_options_that_cannot_work_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"url must be|at least one query"):
        source(options.pop("url"), **options)
