"""One heap over the injected clock. APScheduler's triggers say when; nothing here sleeps except ``run``."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from watchkeeper.clock import Clock, ManualClock
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

Step = Callable[[datetime], Awaitable[object]]


class Trigger(Protocol):
    """An APScheduler trigger."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None: ...


def every(interval: timedelta, start: datetime) -> Trigger:
    """Each ``interval`` from ``start`` on."""
    trigger: Trigger = IntervalTrigger(seconds=interval.total_seconds(), start_date=start, timezone="UTC")
    return trigger


def at(cron: str, zone: str) -> Trigger:
    """``mon 08:00`` or ``08:00`` in a time zone, right across daylight-saving changes."""
    day, _, clock = cron.rpartition(" ")
    hour, minute = clock.split(":")
    trigger: Trigger = CronTrigger(day_of_week=day or "*", hour=int(hour), minute=int(minute), timezone=zone)
    return trigger


@dataclass(order=True, slots=True)
class Due:
    when: datetime
    number: int
    job: Job = field(compare=False)


@dataclass(slots=True, eq=False)
class Job:
    """A step with its trigger. A run that is still going when the next is due is not doubled; the miss is counted."""

    name: str
    trigger: Trigger
    step: Step
    task: asyncio.Task[None] | None = None
    last_at: datetime | None = None
    last_seconds: float = 0.0
    last_error: str = ""
    cancelled: bool = False


class Scheduler:
    """Runs due jobs; one crash is logged and counted and leaves the other jobs alone."""

    def __init__(self, clock: Clock, telemetry: Telemetry) -> None:
        self.clock, self.telemetry = clock, telemetry
        self.jobs: dict[str, Job] = {}
        self._heap: list[Due] = []
        self._number = 0
        self._changed = asyncio.Event()

    def add(self, name: str, trigger: Trigger, step: Step) -> Job:
        job = Job(name, trigger, step)
        self.jobs[name] = job
        self._push(job, None)
        return job

    def remove(self, name: str) -> None:
        job = self.jobs.pop(name, None)
        if job is not None:
            job.cancelled = True

    def _push(self, job: Job, previous: datetime | None) -> None:
        now = self.clock.now()
        when = job.trigger.get_next_fire_time(previous, now)
        if when is None:
            return
        self._number += 1
        heapq.heappush(self._heap, Due(when, self._number, job))
        self._changed.set()

    def next_due(self) -> datetime | None:
        while self._heap and self._heap[0].job.cancelled:
            heapq.heappop(self._heap)
        return self._heap[0].when if self._heap else None

    def pop_due(self, now: datetime) -> list[Job]:
        """Jobs whose time has come; each is pushed back with its next time, missed times folded into one."""
        due: list[Job] = []
        while self._heap and self._heap[0].when <= now:
            entry = heapq.heappop(self._heap)
            if not entry.job.cancelled:
                due.append(entry.job)
                self._push_after(entry.job, entry.when, now)
        return due

    def _push_after(self, job: Job, previous: datetime, now: datetime) -> None:
        when = job.trigger.get_next_fire_time(previous, now)
        while when is not None and when <= now:
            when = job.trigger.get_next_fire_time(when, now)
        if when is not None:
            self._number += 1
            heapq.heappush(self._heap, Due(when, self._number, job))

    async def run_job(self, job: Job, now: datetime) -> None:
        """The edge of a scheduled job: the one place where any exception is caught, logged and counted."""
        started = time.perf_counter()
        outcome = "ok"
        job.last_error = ""
        try:
            await job.step(now)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            outcome, job.last_error = "error", f"{type(error).__name__}: {error}"
            log.exception("job failed", job=job.name)
        job.last_at, job.last_seconds = now, time.perf_counter() - started
        self.telemetry.jobs.labels(job.name, outcome).inc()
        self.telemetry.job_seconds.labels(job.name).observe(job.last_seconds)

    async def advance(self, clock: ManualClock, until: datetime) -> None:
        """For tests and replays: walk the clock from one due time to the next, each job run to its end."""
        while True:
            due = self.next_due()
            if due is None or due > until:
                break
            if due > clock.now():
                clock.advance(due - clock.now())
            for job in self.pop_due(clock.now()):
                await self.run_job(job, clock.now())
        if until > clock.now():
            clock.advance(until - clock.now())

    async def run(self, stop: asyncio.Event, on_gap: Callable[[float], None] | None = None) -> None:
        """Real time: start what is due, each as a task of its own, until told to stop."""
        expected = self.clock.monotonic()
        while not stop.is_set():
            now = self.clock.now()
            lag = self.clock.monotonic() - expected
            self.telemetry.loop_lag.set(max(lag, 0.0))
            if on_gap is not None and lag > 1.0:
                on_gap(lag)
            for job in self.pop_due(now):
                self._start(job, now)
            wait = self._wait(now)
            expected = self.clock.monotonic() + wait
            self._changed.clear()
            changed = await self._sleep(stop, wait)
            if changed:
                expected = self.clock.monotonic()
        await self._finish()

    def _wait(self, now: datetime) -> float:
        due = self.next_due()
        return 1.0 if due is None else min(max((due - now).total_seconds(), 0.0), 1.0)

    async def _sleep(self, stop: asyncio.Event, seconds: float) -> bool:
        """Sleep, or wake early when the heap changed or it is time to stop."""
        waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._changed.wait())]
        done, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiting in pending:
            waiting.cancel()
        return bool(done)

    def _start(self, job: Job, now: datetime) -> None:
        if job.task is not None and not job.task.done():
            self.telemetry.jobs.labels(job.name, "overrun").inc()
            return
        job.task = asyncio.create_task(self.run_job(job, now), name=f"job {job.name}")

    async def _finish(self) -> None:
        """Give running jobs a moment, then cancel what is left."""
        running = [job.task for job in self.jobs.values() if job.task is not None and not job.task.done()]
        if not running:
            return
        _, pending = await asyncio.wait(running, timeout=5.0)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
