"""The scheduler on a manual clock: what is due runs, once, and a crash harms nobody else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from watchkeeper.app.schedule import Scheduler, at, every
from watchkeeper.clock import ManualClock, SystemClock
from watchkeeper.telemetry import Telemetry

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def scheduler() -> tuple[Scheduler, ManualClock]:
    clock = ManualClock(NOON)
    return Scheduler(clock, Telemetry()), clock


async def test_a_job_runs_at_each_of_its_times() -> None:
    found, clock = scheduler()
    runs: list[datetime] = []

    async def step(now: datetime) -> None:
        runs.append(now)

    found.add("tick", every(timedelta(seconds=10), NOON), step)
    await found.advance(clock, NOON + timedelta(seconds=30))
    assert runs == [NOON + timedelta(seconds=10 * number) for number in range(4)]


async def test_a_crash_is_counted_and_leaves_the_others_alone() -> None:
    found, clock = scheduler()
    runs: list[datetime] = []

    async def bad(now: datetime) -> None:
        raise RuntimeError(f"broken at {now:%H:%M}")

    async def good(now: datetime) -> None:
        runs.append(now)

    found.add("bad", every(timedelta(minutes=1), NOON), bad)
    found.add("good", every(timedelta(minutes=1), NOON), good)
    await found.advance(clock, NOON + timedelta(minutes=2))
    assert len(runs) == 3
    assert found.jobs["bad"].last_error == "RuntimeError: broken at 12:02"
    assert found.telemetry.jobs.labels("bad", "error")._value.get() == 3


async def test_missed_times_are_folded_into_one() -> None:
    found, clock = scheduler()
    found.add("tick", every(timedelta(seconds=10), NOON), lambda _now: asyncio.sleep(0))
    clock.advance(timedelta(minutes=5))
    assert [job.name for job in found.pop_due(clock.now())] == ["tick"]
    assert found.next_due() == NOON + timedelta(minutes=5, seconds=10)


async def test_a_removed_job_never_runs_again() -> None:
    found, clock = scheduler()
    runs: list[datetime] = []

    async def step(now: datetime) -> None:
        runs.append(now)

    found.add("tick", every(timedelta(seconds=10), NOON + timedelta(seconds=10)), step)
    found.remove("tick")
    await found.advance(clock, NOON + timedelta(minutes=1))
    assert runs == []
    assert found.next_due() is None


def test_weekly_times_follow_the_zone_through_daylight_saving() -> None:
    trigger = at("mon 08:00", "Europe/Berlin")
    before = trigger.get_next_fire_time(None, datetime(2026, 3, 24, tzinfo=UTC))
    assert before is not None
    after = trigger.get_next_fire_time(before, before + timedelta(seconds=1))
    assert after is not None
    assert (before.astimezone(UTC).hour, after.astimezone(UTC).hour) == (6, 6)
    winter = trigger.get_next_fire_time(None, datetime(2026, 3, 18, tzinfo=UTC))
    assert winter is not None
    assert winter.astimezone(UTC).hour == 6 if winter.day == 30 else 7


async def test_real_time_runs_until_told_to_stop_and_skips_what_still_runs() -> None:
    telemetry = Telemetry()
    found = Scheduler(SystemClock(), telemetry)
    stop, started, release = asyncio.Event(), asyncio.Event(), asyncio.Event()
    runs = 0

    async def slow(_now: datetime) -> None:
        nonlocal runs
        runs += 1
        started.set()
        await release.wait()

    found.add("slow", every(timedelta(milliseconds=20), SystemClock().now()), slow)
    task = asyncio.create_task(found.run(stop))
    await asyncio.wait_for(started.wait(), 5)
    overruns = telemetry.jobs.labels("slow", "overrun")._value
    deadline = asyncio.get_running_loop().time() + 5
    while overruns.get() < 2 and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)
    assert runs == 1
    assert overruns.get() >= 2
    release.set()
    stop.set()
    await asyncio.wait_for(task, 10)


async def test_a_late_loop_is_reported() -> None:
    clock = ManualClock(NOON)
    found = Scheduler(clock, Telemetry())
    stop = asyncio.Event()
    gaps: list[float] = []

    async def freeze(_now: datetime) -> None:
        clock.advance(40)

    found.add("freeze", every(timedelta(hours=1), NOON), freeze)

    def on_gap(seconds: float) -> None:
        gaps.append(seconds)
        stop.set()

    await asyncio.wait_for(found.run(stop, on_gap), 10)
    assert gaps
    assert gaps[0] > 30


def test_what_starts_now_runs_now_even_if_now_has_just_gone_by() -> None:
    trigger = every(timedelta(seconds=5), NOON)
    late = NOON + timedelta(milliseconds=3)
    assert trigger.get_next_fire_time(None, late) == NOON
    assert trigger.get_next_fire_time(None, NOON + timedelta(seconds=7)) == NOON + timedelta(seconds=10)
    assert trigger.get_next_fire_time(NOON, late) == NOON + timedelta(seconds=5)
