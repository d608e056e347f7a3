"""One answer for all who ask the same at about the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from dashboard.shared import REMEMBERED, Shared
from watchkeeper.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 22, 12, tzinfo=UTC))


class Maker:
    def __init__(self) -> None:
        self.made = 0
        self.gate = asyncio.Event()

    async def slowly(self) -> int:
        self.made += 1
        await self.gate.wait()
        return self.made

    async def badly(self) -> int:
        self.made += 1
        raise ValueError(f"attempt {self.made}")


async def test_a_crowd_waits_for_one_answer(clock: ManualClock) -> None:
    shared, maker = Shared(clock), Maker()
    crowd = [asyncio.create_task(shared.get("key", maker.slowly)) for _ in range(50)]
    await asyncio.sleep(0)
    crowd[0].cancel()  # the one who asked first goes away
    maker.gate.set()
    answers = await asyncio.gather(*crowd[1:])
    assert (set(answers), maker.made) == ({1}, 1)
    assert await shared.get("key", maker.slowly) == 1
    clock.advance(1.0)
    assert await shared.get("key", maker.slowly) == 2
    assert await shared.get("other", maker.slowly) == 3


async def test_a_failure_is_told_to_all_who_wait_and_tried_again(clock: ManualClock) -> None:
    shared, maker = Shared(clock), Maker()
    told = await asyncio.gather(*[shared.get("key", maker.badly) for _ in range(3)], return_exceptions=True)
    assert [str(one) for one in told] == ["attempt 1"] * 3
    with pytest.raises(ValueError, match="attempt 2"):
        await shared.get("key", maker.badly)


async def test_memory_has_an_end(clock: ManualClock) -> None:
    shared, maker = Shared(clock), Maker()
    maker.gate.set()
    for number in range(REMEMBERED + 10):
        await shared.get(number, maker.slowly)
    assert len(shared._made) == REMEMBERED
