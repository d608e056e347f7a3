"""Two engines on one PostgreSQL: the second collects and waits, and goes on where the first ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.engines import build
from support.journey import rule_file
from support.servers import Running, postgres_server

from watchkeeper.app.engine import Engine
from watchkeeper.app.lifecycle import start, stop

pytestmark = pytest.mark.servers
RULES = """
groups:
  - name: checkout
    rules: [{alert: Always, expr: vector(1)}]
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Running]:
    with postgres_server(tmp_path) as server:
        yield server


def one(folder: Path, database: Running) -> Engine:
    folder.mkdir()
    rule_file(folder, RULES)
    return build(folder, store={"state": {"url": database.url}})


def judges(engine: Engine) -> bool:
    return any(name.startswith("rules/") for name in engine.scheduler.jobs)


async def test_the_second_engine_waits_and_takes_over_when_the_first_ends(tmp_path: Path, database: Running) -> None:
    first = await asyncio.to_thread(one, tmp_path / "first", database)
    second = await asyncio.to_thread(one, tmp_path / "second", database)
    await start(first)
    await start(second)
    assert (first.leads(), second.leads()) == (True, False)
    assert (judges(first), judges(second)) == (True, False)
    assert "deliver" not in second.scheduler.jobs
    assert "keep" in second.scheduler.jobs
    token = first.leads.token
    await stop(first)
    async with asyncio.timeout(30):
        while not judges(second):
            await asyncio.sleep(0.05)
    assert second.leads()
    assert second.leads.token > token
    assert b"watchkeeper_leader 1.0" in await asyncio.to_thread(second.exposition)
    await stop(second)
