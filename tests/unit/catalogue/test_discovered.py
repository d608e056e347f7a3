"""A cluster's workloads in the catalogue: beside declared services, short of replicas, gone, after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support import cluster
from support.engines import build, clock_of
from support.journey import assert_ledgers
from support.targets import Target, target

from watchkeeper.app.api.catalogue import _row
from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.judge import group_key
from watchkeeper.clock import ManualClock
from watchkeeper.model import Service


@pytest.fixture
async def server() -> AsyncIterator[Target]:
    async with target() as made:
        cluster.put(made)
        yield made


def built(folder: Path, server: Target, clock: ManualClock | None = None) -> Engine:
    options = {"api_server": server.url("").rstrip("/"), "events": False}
    services = [{"name": "cluster-a", "kind": "kubernetes", "options": options}, {"name": "web", "owner": "dba"}]
    return build(folder, catalogue={"services": services}, environment="PROD", clock=clock)


async def look(engine: Engine, minutes: int = 1) -> dict[str, Service]:
    for _ in range(minutes):
        for source in engine.sources.values():
            await engine.collecting.step(source, clock_of(engine).now())
        await engine.cataloguing.step(clock_of(engine).now())
        for group in engine.judging.book.groups:
            await engine.judging.step(group_key(group), clock_of(engine).now())
        clock_of(engine).advance(timedelta(minutes=1))
    return {one.name: one for one in engine.cataloguing.all_services}


def state(engine: Engine, name: str) -> Any:
    one = next(one for one in engine.cataloguing.all_services if one.name == name)
    return _row(engine, one, engine.cataloguing.edges())["state"]


async def test_workloads_are_services_and_what_is_declared_wins(tmp_path: Path, server: Target) -> None:
    engine = built(tmp_path, server)
    try:
        known = await look(engine)
        assert (known["web"].owner, known["web"].replicas, known["web"].origin) == ("dba", 3, "file")
        assert (known["db"].owner, known["db"].environment, known["db"].origin) == ("data", "PROD", "kubernetes")
        assert [(one.source, one.target) for one in engine.cataloguing.edges()] == [("web", "db")]
        assert (state(engine, "web"), state(engine, "db")) == ("failing", "up")
        await look(engine, 3)
        firing = engine.cataloguing.ask(
            'ALERTS{alertname="ServiceReplicasShort",alertstate="firing"}', clock_of(engine).now()
        )
        assert {dict(series)["service"] for series, _ in firing} == {"web"}
        assert_ledgers(engine)
    finally:
        await stop(engine)


async def test_a_workload_that_went_is_marked_for_a_day_also_over_a_restart(tmp_path: Path, server: Target) -> None:
    engine = built(tmp_path, server)
    await look(engine)
    cluster.put(server, deployments=[], statefulsets=[])
    known = await look(engine)
    assert (known["db"].gone_at is not None, known["web"].gone_at) == (True, None)
    assert (state(engine, "db"), state(engine, "web")) == ("gone", "unknown")
    assert engine.cataloguing.ask('watchkeeper_service_info{service="db"}', clock_of(engine).now()) == []
    await stop(engine)
    engine = built(tmp_path, server, clock_of(engine))
    try:
        assert (await look(engine))["db"].gone_at is not None
        clock_of(engine).advance(timedelta(hours=24))
        assert "db" not in await look(engine)
    finally:
        await stop(engine)


async def test_a_cluster_that_does_not_answer_loses_no_service_and_nobody_is_called_healthy(
    tmp_path: Path, server: Target
) -> None:
    engine = built(tmp_path, server)
    try:
        await look(engine)
        server.pages.clear()
        known = await look(engine)
        assert (known["db"].gone_at, known["db"].available) == (None, None)
        assert state(engine, "db") == "unknown"
    finally:
        await stop(engine)
