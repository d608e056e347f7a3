"""Services declared in a few lines are scraped, covered, mapped, limited, promised and told of on the API."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.engines import NOON, build, clock_of
from support.journey import assert_ledgers
from support.targets import Target, answer, target

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.judge import group_key
from watchkeeper.clock import to_ms
from watchkeeper.model import Labels

PAGE = """\
# TYPE http_requests_total counter
http_requests_total{{status="200"}} {ok}
http_requests_total{{status="500"}} 0
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{le="0.1"}} {ok}
http_request_duration_seconds_bucket{{le="+Inf"}} {ok}
http_request_duration_seconds_sum {ok}
http_request_duration_seconds_count {ok}
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {ok}
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 970000000
"""


def catalogue(port: int, logs: Path) -> dict[str, Any]:
    return {
        "services": [
            {
                "name": "checkout", "kind": "python_api", "owner": "lin", "replicas": 2,
                "addresses": [f"127.0.0.1:{port}", "127.0.0.1:1"],
                "depends_on": ["orders-db"], "limits": {"memory": "1G"}, "logs": [str(logs / "*.log")],
            },
            {"name": "orders-db", "replicas": 1, "links": {"wiki": "https://wiki/db"}},
        ]
    }  # fmt: skip


async def look(engine: Engine, server: Target, minutes: int) -> None:
    """Scrape, record and look, as the schedule would."""
    clock = clock_of(engine)
    for step in range(minutes * 2):
        server.pages["/metrics"] = answer(PAGE.format(ok=1000 + 60 * step).encode())
        for source in engine.sources.values():
            await engine.collecting.step(source, clock.now())
        for group in engine.judging.book.groups:
            await engine.judging.step(group_key(group), clock.now())
        if step % 2:
            await engine.cataloguing.step(clock.now())
        clock.advance(timedelta(seconds=30))


def value(engine: Engine, expr: str) -> float | None:
    found = engine.cataloguing.ask(expr, clock_of(engine).now())
    return found[0][1] if found else None


def alerts(engine: Engine) -> list[Labels]:
    query = 'ALERTS{alertstate="firing",service="checkout"}'
    return [series for series, _ in engine.cataloguing.ask(query, clock_of(engine).now())]


@pytest.mark.asyncio
async def test_from_two_lines_of_yaml_to_a_watched_service(tmp_path: Path) -> None:
    (tmp_path / "checkout.log").write_text("started\n", encoding="utf-8")
    async with target() as server:
        engine = build(tmp_path, catalogue=catalogue(server.port, tmp_path), rules={"packs": ["signals"]})
        try:
            await look(engine, server, 6)
            token, _ = create_system_token(engine.state, "test", Role.VIEWER, now=NOON)
            transport = httpx2.ASGITransport(app=create(engine))
            headers = {"authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(transport=transport, base_url="http://engine", headers=headers) as client:
                listed = (await client.get("/api/wk/services")).json()
                one = (await client.get("/api/wk/services/checkout")).json()
                missing = await client.get("/api/wk/services/chekout")
        finally:
            await stop(engine)
        checkout, database = listed["services"]
        assert checkout["coverage"] == {"golden": True, "logs": True, "rule": True, "owner": True}
        assert database["coverage"] == {"golden": False, "logs": False, "rule": False, "owner": False}
        assert (checkout["state"], checkout["failing"], database["state"]) == ("failing", 1, "unknown")
        assert database["single_point"]
        assert database["dependents"] == ["checkout"]
        assert (checkout["layer"], database["layer"]) == (0, 1)
        assert listed["coverage"]["ratio"] == 0.5
        assert listed["edges"] == [{"source": "checkout", "target": "orders-db", "origin": "file"}]
        assert {row["signal"]: row["value"] is not None for row in one["signals"]} == dict.fromkeys(
            ("latency", "traffic", "errors", "saturation"), True
        )
        assert "checkout.success" in one["objectives"]
        assert missing.status_code == 404
        assert_ledgers(engine)


@pytest.mark.asyncio
async def test_missing_instances_and_limits_that_come_near_are_alerts(tmp_path: Path) -> None:
    async with target() as server:
        engine = build(tmp_path, catalogue=catalogue(server.port, tmp_path), rules={"packs": ["signals"]})
        try:
            await look(engine, server, 10)
            assert value(engine, "watchkeeper_service_replicas_up") == 1
            assert value(engine, 'service_saturation_ratio{service="checkout",resource="memory"}') == pytest.approx(
                0.97
            )
            firing = {
                dict(series)["alertname"]
                for series, _ in engine.cataloguing.ask(
                    'ALERTS{alertstate="firing",service="checkout"}', clock_of(engine).now()
                )
            }
            assert {"ServiceReplicasShort", "ServiceNearLimit"} <= firing
        finally:
            await stop(engine)


@pytest.mark.asyncio
async def test_a_service_that_leaves_the_catalogue_ends_its_series(tmp_path: Path) -> None:
    async with target() as server:
        engine = build(tmp_path, catalogue=catalogue(server.port, tmp_path))
        try:
            await engine.cataloguing.step(clock_of(engine).now())
            assert value(engine, 'watchkeeper_service_info{service="orders-db"}') == 1
            engine.loaded = type(engine.loaded)(engine.loaded.config, engine.loaded.document, engine.loaded.base)
            clock_of(engine).advance(timedelta(minutes=1))
            await engine.cataloguing.step(clock_of(engine).now())
            assert value(engine, 'watchkeeper_service_info{service="orders-db"}') is None
            start = to_ms(NOON)
            assert engine.samples.label_values("service", (), start, start + 120_000) == ["checkout", "orders-db"]
        finally:
            await stop(engine)
            await asyncio.sleep(0)
