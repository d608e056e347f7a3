"""The scheduler when clocks step, threads interfere and jobs are taken off while they run."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

from watchkeeper.app.schedule import Scheduler, at, every
from watchkeeper.clock import ManualClock, SystemClock
from watchkeeper.telemetry import Telemetry

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Runs:
    """A step that counts, and ends the loop after so many runs."""

    def __init__(self, stop: asyncio.Event | None = None, last: int = 0) -> None:
        self.at: list[datetime] = []
        self._stop, self._last = stop, last

    async def __call__(self, now: datetime) -> None:
        self.at.append(now)
        if self._stop is not None and len(self.at) >= self._last:
            self._stop.set()


async def test_a_wall_clock_set_back_by_hours_stops_no_job() -> None:
    clock, stop = ManualClock(NOON), asyncio.Event()
    found = Scheduler(clock, Telemetry())
    runs = Runs(stop, last=3)

    async def step(now: datetime) -> None:
        await runs(now)
        if len(runs.at) == 1:
            clock.jump(timedelta(hours=-6))
        clock.advance(10)

    found.add("tick", every(timedelta(seconds=10), NOON), step)
    await asyncio.wait_for(found.run(stop), 10)
    assert runs.at[0] == NOON
    assert runs.at[1] <= NOON - timedelta(hours=6) + timedelta(seconds=20)


async def test_a_daily_job_is_looked_up_anew_when_the_clock_was_years_ahead() -> None:
    clock = ManualClock(NOON + timedelta(days=3650))
    found = Scheduler(clock, Telemetry())
    found.add("daily", at("03:40", "UTC"), Runs())
    clock.jump(timedelta(days=-3650))
    found.set_back(timedelta(days=3650), clock.now())
    assert found.next_due() == datetime(2026, 3, 2, 3, 40, tzinfo=UTC)


async def test_a_clock_that_steps_ten_years_ahead_costs_no_loop_over_every_second() -> None:
    clock = ManualClock(NOON)
    found = Scheduler(clock, Telemetry())
    found.add("tick", every(timedelta(seconds=1), NOON), Runs())
    clock.jump(timedelta(days=3650, milliseconds=300))
    assert [job.name for job in found.pop_due(clock.now())] == ["tick"]
    assert found.next_due() == NOON + timedelta(days=3650, seconds=1)


async def test_jobs_added_from_another_thread_run_without_waiting_for_the_next_second() -> None:
    found, stop = Scheduler(SystemClock(), Telemetry()), asyncio.Event()
    ran = asyncio.Event()

    async def step(_now: datetime) -> None:
        ran.set()

    task = asyncio.create_task(found.run(stop))
    await asyncio.sleep(0)
    trigger = every(timedelta(hours=1), SystemClock().now() + timedelta(milliseconds=200))
    thread = threading.Thread(target=found.add, args=("late", trigger, step))
    thread.start()
    await asyncio.wait_for(ran.wait(), 5)  # without being woken it would sleep for an hour
    thread.join()
    stop.set()
    await asyncio.wait_for(task, 10)


async def test_adding_and_removing_in_a_thread_never_loses_another_job() -> None:
    clock = ManualClock(NOON)
    found = Scheduler(clock, Telemetry())
    steady = [f"steady {number}" for number in range(50)]
    for name in steady:
        found.add(name, every(timedelta(seconds=1), NOON), Runs())

    def churn() -> None:
        for number in range(2000):
            found.add(f"brief {number}", every(timedelta(seconds=1), NOON), Runs())
            found.remove(f"brief {number}")

    thread = threading.Thread(target=churn)
    thread.start()
    while thread.is_alive():
        clock.advance(1)
        names = [job.name for job in found.pop_due(clock.now()) if job.name.startswith("steady")]
        assert sorted(names) == sorted(steady)
    thread.join()


async def test_a_job_taken_off_while_it_runs_is_still_waited_for() -> None:
    found, stop = Scheduler(SystemClock(), Telemetry()), asyncio.Event()
    started, release, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def step(_now: datetime) -> None:
        started.set()
        await release.wait()
        finished.set()

    found.add("reading", every(timedelta(hours=1), SystemClock().now() + timedelta(milliseconds=200)), step)
    task = asyncio.create_task(found.run(stop))
    await asyncio.wait_for(started.wait(), 5)
    found.remove("reading")
    stop.set()
    await asyncio.sleep(0)
    release.set()
    await asyncio.wait_for(task, 10)
    assert finished.is_set()
