"""The engine process: it never lives on without a part of itself, and it always closes its stores."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.engines import NOON, build

from watchkeeper.app.lifecycle import stop
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.serve import together
from watchkeeper.errors import StoreError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected


async def test_a_crashed_schedule_ends_the_engine_instead_of_leaving_a_shell() -> None:
    stopping, left = asyncio.Event(), []

    async def schedule() -> None:
        raise RuntimeError("no more jobs")

    def leave() -> None:
        left.append(True)
        stopping.set()

    with pytest.raises(RuntimeError, match="no more jobs"):
        await asyncio.wait_for(together(stopping, leave, (stopping.wait(), schedule())), 5)
    assert left == [True]


async def test_told_to_stop_every_part_ends_in_its_own_time() -> None:
    stopping, ended = asyncio.Event(), []

    async def part() -> None:
        await stopping.wait()
        await asyncio.sleep(0)
        ended.append(True)

    asyncio.get_running_loop().call_soon(stopping.set)
    await asyncio.wait_for(together(stopping, lambda: None, (part(), part())), 5)
    assert ended == [True, True]


class Stubborn:
    """A collector that cannot be closed."""

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        raise AssertionError((now, outbound))

    async def close(self) -> None:
        raise OSError("the socket is gone")


async def test_a_collector_that_cannot_be_closed_does_not_keep_the_stores_open(tmp_path: Path) -> None:
    house = build(tmp_path)
    house.sources["bad"] = Source("bad", "own", timedelta(seconds=5), Stubborn(), {})
    closed: list[str] = []
    before = house.samples.close
    house.samples.close = lambda: closed.append("samples") or before()  # type: ignore[method-assign,func-returns-value]
    await stop(house)
    assert closed == ["samples"]


async def test_news_is_still_heard_after_the_state_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(tmp_path)
    telling, stopping, calls = house.telling, asyncio.Event(), []

    async def deliver(now: datetime) -> None:
        calls.append(now)
        if len(calls) == 1:
            raise StoreError("the database is locked")
        stopping.set()

    monkeypatch.setattr(type(telling), "deliver", lambda _self, now: deliver(now))
    running = asyncio.create_task(telling.run(stopping))
    while not stopping.is_set():
        assert not running.done()
        telling.wake()
        await asyncio.sleep(0)
    await asyncio.wait_for(running, 5)
    assert calls == [NOON, NOON]
    await stop(house)
