"""What machines do: a disk that is full, a counter that begins anew, a clock that is set. None of it may act."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.promql import ask, engine
from support.remediator import World
from support.remedies import NOON, RULE

from watchkeeper.errors import StoreError

LONG = pytest.mark.long


class Disk:
    """Of a world's database: while it is full SQLite gets no page more, as from a device without space."""

    def __init__(self, world: World) -> None:
        self.world, self.pages = world, 1 << 30
        event.listen(world.state.engine, "connect", self._limit)

    def _limit(self, connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={self.pages}").close()

    def room(self, pages: int) -> None:
        """So many pages besides what is used now; the next connection knows."""
        with self.world.state.read() as unit:
            used = unit.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        self.pages = int(used) + pages
        self.world.state.engine.dispose()


@pytest.mark.parametrize("cycles", [2, pytest.param(50, marks=LONG)])
def test_a_full_disk_what_cannot_be_written_down_is_not_done_and_is_when_there_is_room(
    tmp_path: Path, cycles: int
) -> None:
    """No audit, no action. Gate 15: the intent is a row, or there is no effect."""
    chance, ends = random.Random(4), Counter[str]()
    for number in range(cycles):
        (folder := tmp_path / str(number)).mkdir()
        world = World(folder)
        disk = Disk(world)
        world.step(chance.randint(1, 2))
        disk.room(number % 7)
        for _ in range(4):  # a minute
            with suppress(StoreError):
                world.step()
        keys = {intent.idempotency_key for intent in world.pool.effects}
        with world.state.read() as unit:
            committed = {row.idempotency_key for row in unit.actions.intents_since(NOON)}
            assert unit.audit.verify() is None
        assert keys <= committed
        ends[f"done on a full disk {world.pool.executed()}"] += 1
        disk.room(1 << 20)
        world.step(30)  # it is under way again, or ended; and once at most
        assert world.pool.executed() == 1
        with world.state.read() as unit:
            assert unit.audit.verify() is None
        world.state.close()
        shutil.rmtree(folder)
    assert ends["done on a full disk 0"] > 0


@pytest.mark.parametrize("restarts", [20, pytest.param(2000, marks=LONG)])
def test_a_counter_that_begins_anew_is_neither_silence_nor_a_storm(restarts: int) -> None:
    """A restart sets counters back to 0: traffic that goes on is neither gone nor a thousand times itself."""
    chance = random.Random(11)
    for _ in range(restarts):
        each, before, after = chance.randint(5, 500), chance.randint(3, 9), chance.randint(3, 9)
        begins = chance.randint(1000, 10**9)
        series = [begins + each * number for number in range(before)] + [each * (1 + number) for number in range(after)]
        over = engine(f"requests_total {' '.join(map(str, series))}", interval="15s")
        for minute in (number / 4 for number in range(4, len(series))):
            rate = ask(over, "rate(requests_total[1m]) * 15", minute)
            assert all(0.5 * each <= value <= 1.5 * each for value in rate.values()), (series, minute, rate)
            assert ask(over, f"rate(requests_total[1m]) * 15 < {each / 2}", minute) == {}


@pytest.mark.parametrize("jumps", [25, pytest.param(500, marks=LONG)])
def test_a_clock_that_is_set_makes_nothing_old_new_and_nothing_new_old(tmp_path: Path, jumps: int) -> None:
    """Minutes, hours and days, back and forth, a second that comes twice: no effect, no cooldown cut short."""
    chance = random.Random(14)
    world = World(tmp_path, replace(RULE, cooldown=timedelta(minutes=10)))
    world.symptom = 0.0
    world.step(4)
    for number in range(jumps):
        size = chance.choice((1, 300, 3600, 7200, 86_400)) * chance.choice((-1, 1))
        world.symptom = 1.0
        world.step(chance.randint(0, 2))  # bad, and not yet confirmed
        before = world.pool.executed()
        world.clock.jump(timedelta(seconds=size))
        world.step()  # the third of four: but for the jump it would be one
        if abs(size) > 2:
            assert world.pool.executed() == before, (number, size)
        world.symptom = 0.0
        world.step(chance.randint(10, 14))
        if number % 7 == 0:
            world.start()
    assert world.pool.executed() <= 1
    world.state.close()
