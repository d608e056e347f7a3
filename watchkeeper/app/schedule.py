"""One heap over the injected clock. Triggers say when; nothing here sleeps except ``run``.

Steady intervals are our own arithmetic: a clock that steps by years must not cost a loop over every missed second.
Times of day and days of the week are APScheduler's, with their time zones.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import heapq
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.triggers.cron import CronTrigger

from watchkeeper.clock import Clock, ManualClock
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

Step = Callable[[datetime], Awaitable[object]]

#: Up to so many sources are read at the same moments; more are read at moments of their own, spread over the interval.
TOGETHER = 200
#: Those moments are multiples of this: the loop wakes up for many sources at once; groups of 20 ms cost more.
BEAT = timedelta(milliseconds=50)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A wall clock that is this much behind the monotonic clock was set back; less is the slow correction of NTP.
SET_BACK_SECONDS = 1.0


class Trigger(Protocol):
    """``Every``, or an APScheduler trigger."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Every:
    """Each ``interval`` from ``start`` on, without drift."""

    interval: timedelta
    start: datetime

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first time of the grid that is not past; after ``previous_fire_time`` where there is one.

        A start that has only just gone by is not missed: what was scheduled "from now on" runs now.
        """
        if previous_fire_time is None and timedelta(0) <= now - self.start < self.interval:
            return self.start
        base = self.start if previous_fire_time is None else previous_fire_time + self.interval
        missed = max(-((base - now) // self.interval), 0)
        return base + missed * self.interval


@dataclass(frozen=True, slots=True)
class Once:
    """At one moment, and never again."""

    when: datetime

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:  # noqa: ARG002
        return self.when if previous_fire_time is None else None


def every(interval: timedelta, start: datetime) -> Trigger:
    """Each ``interval`` from ``start`` on."""
    return Every(interval, start)


def own_moments(key: str, interval: timedelta, now: datetime) -> Trigger:
    """Each ``interval`` at a moment of its own, which the key alone decides: it stays over restarts."""
    beats = max(interval // BEAT, 1)
    place = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % beats
    return Every(interval, now + (place * BEAT - (now - _EPOCH)) % interval)


def reading(name: str, interval: timedelta, now: datetime, *, sources: int) -> Trigger:
    """When a source is read that is one of so many."""
    return own_moments(name, interval, now) if sources > TOGETHER else every(interval, now)


def at(cron: str, zone: str) -> Trigger:
    """``mon 08:00`` or ``08:00`` in a time zone, right across daylight-saving changes."""
    day, _, clock = cron.rpartition(" ")
    hour, minute = clock.split(":")
    trigger: Trigger = CronTrigger(day_of_week=day or "*", hour=int(hour), minute=int(minute), timezone=zone)
    return trigger


class _Never:
    """For steps that are asked for, not scheduled."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:  # noqa: ARG002
        return None


_NEVER = _Never()


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
    #: The step as it is counted: readings of sources as one, for they have counters of their own.
    counted: str = field(init=False)

    def __post_init__(self) -> None:
        self.counted = "collect" if self.name.startswith("collect/") else self.name


#: When, which of those that are due then came first, and what: plain tuples, which a heap of thousands compares fast.
Due = tuple[datetime, int, Job]


class Scheduler:
    """Runs due jobs; one crash is logged and counted and leaves the other jobs alone.

    Jobs may be added and removed from any thread: a reload of rules comes from theirs.
    """

    def __init__(self, clock: Clock, telemetry: Telemetry) -> None:
        self.clock, self.telemetry = clock, telemetry
        self.jobs: dict[str, Job] = {}
        self._heap: list[Due] = []
        self._number = 0
        self._changed = asyncio.Event()
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[None]] = set()

    def add(self, name: str, trigger: Trigger, step: Step) -> Job:
        job = Job(name, trigger, step)
        with self._lock:
            self.jobs[name] = job
            self._push(job, trigger.get_next_fire_time(None, self.clock.now()))
        self._wake()
        return job

    def once(self, name: str, step: Step) -> None:
        """Run a step now, at the same edge as scheduled ones. Call it in the loop."""
        self._start(Job(name, _NEVER, step), self.clock.now())

    def soon(self, name: str, when: datetime, step: Step) -> None:
        """Run a step once at that moment, beside its regular times. Asked for again, the nearer moment counts."""
        with self._lock:
            waiting = self.jobs.get(name)
            known = waiting.trigger.when if waiting is not None and isinstance(waiting.trigger, Once) else None
            if known is not None and self.clock.now() <= known <= when:
                return
            if waiting is not None:
                waiting.cancelled = True
        self.add(name, Once(when), step)

    def remove(self, name: str) -> None:
        with self._lock:
            job = self.jobs.pop(name, None)
            if job is not None:
                job.cancelled = True

    def _push(self, job: Job, when: datetime | None) -> None:
        if when is not None:
            self._number += 1
            heapq.heappush(self._heap, (when, self._number, job))

    def _wake(self) -> None:
        """The heap changed: the loop looks again, whichever thread this is."""
        if self._loop is None:
            self._changed.set()
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended; nothing runs any more
            self._loop.call_soon_threadsafe(self._changed.set)

    def next_due(self) -> datetime | None:
        with self._lock:
            while self._heap and self._heap[0][2].cancelled:
                heapq.heappop(self._heap)
            return self._heap[0][0] if self._heap else None

    def pop_due(self, now: datetime) -> list[Job]:
        """Jobs whose time has come; each is pushed back with its next time, missed times folded into one."""
        due: list[Job] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                when, _, job = heapq.heappop(self._heap)
                if not job.cancelled:
                    due.append(job)
                    self._push_after(job, when, now)
        return due

    def _push_after(self, job: Job, previous: datetime, now: datetime) -> None:
        when = job.trigger.get_next_fire_time(previous, now)
        while when is not None and when <= now:
            when = job.trigger.get_next_fire_time(when, now)
        self._push(job, when)

    def set_back(self, by: timedelta, now: datetime) -> None:
        """The wall clock was set back: intervals go on from here, times of day are looked up anew.

        Without this every job would wait until the clock has caught up, which may be years.
        """
        with self._lock:
            entries, self._heap = [entry for entry in self._heap if not entry[2].cancelled], []
            for when, _, job in entries:
                steady = isinstance(job.trigger, Every)
                self._push(job, when - by if steady else job.trigger.get_next_fire_time(None, now))

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
        self.telemetry.count_run(job.counted, outcome, job.last_seconds)

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
        self._loop = asyncio.get_running_loop()
        expected = self.clock.monotonic()
        known = self.clock.now(), expected
        while not stop.is_set():
            known = now, _ = self._look_at_clocks(known)
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

    def _look_at_clocks(self, known: tuple[datetime, float]) -> tuple[datetime, float]:
        """Both clocks now; a wall clock that was set back is made up for."""
        now, monotonic = self.clock.now(), self.clock.monotonic()
        behind = (monotonic - known[1]) - (now - known[0]).total_seconds()
        if behind > SET_BACK_SECONDS:
            log.warning("the wall clock was set back", seconds=round(behind, 1))
            self.set_back(timedelta(seconds=behind), now)
        return now, monotonic

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
            self.telemetry.jobs.labels(job.counted, "overrun").inc()
            return
        job.task = asyncio.create_task(self.run_job(job, now), name=f"job {job.name}")
        self._running.add(job.task)
        job.task.add_done_callback(self._running.discard)

    async def _finish(self) -> None:
        """Give running jobs, also of what was taken off, a moment; then cancel what is left."""
        if not self._running:
            return
        _, pending = await asyncio.wait(set(self._running), timeout=5.0)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
