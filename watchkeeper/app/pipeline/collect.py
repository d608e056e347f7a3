"""Collect: read a source, append what it said, keep the ledger, hand the ticks on to scoring."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from watchkeeper.app.together import Together
from watchkeeper.clock import Clock, to_ms
from watchkeeper.errors import CollectError, OutboundError, StoreError, StoreFullError
from watchkeeper.model import (
    STALE_NAN,
    Labels,
    Layout,
    LogBatch,
    Service,
    Tick,
    count_stale,
    is_stale,
    labels,
    metric_name,
)
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Appended, Collected, Collector
from watchkeeper.telemetry import Telemetry, logger

log = logger(__name__)

#: Seconds a collection may take that names no bound of its own, and what is allowed on top of a named one.
UNBOUNDED, GRACE = 60.0, 5.0
#: Series written about every source, beside what it said itself.
HEALTH = ("up", "scrape_duration_seconds", "scrape_samples_scraped")
#: And beside a scraped page.
SCRAPED = (*HEALTH, "scrape_samples_post_metric_relabeling", "scrape_series_added")
#: What a probe says about its target; reading the probe itself always works.
PROBED = "probe_success"
#: And why it failed.
FAILED = "probe_failure_info"
#: A source's name and its ticks.
_Wanted = tuple[str, Sequence[Tick]]


@dataclass(slots=True, eq=False)
class Source:
    """One configured collector and how it fares: a row of the Collectors page."""

    name: str
    kind: str
    interval: timedelta
    collector: Collector
    health_labels: dict[str, str]  #: job, instance and own labels, as on its series
    target: str = ""  #: what it reads, for people
    state: str = "starting"  #: starting | up | failing
    error: str = ""
    last_at: datetime | None = None
    reached: bool | None = None  #: its target answered, and a probe was content with the answer; None: not known yet
    failure: Labels = ()  #: of a probe whose target fails: the series that says why
    bad_since: datetime | None = None  #: since when ``reached`` has been false
    seconds: float = 0.0
    series: int = 0
    samples: int = 0
    received: int = 0
    stored: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    services: Sequence[Service] | None = None  #: what it discovered the last time it could; None: nothing ever
    health_layout: Layout | None = None
    verdicts: tuple[Layout | None, Sequence[int]] = (None, ())  #: where in the last layout the probe gives its verdict
    running: asyncio.Future[Collected] | None = None  #: the collection under way, or the last one

    def reach(self, reached: bool, now: datetime) -> None:  # noqa: FBT001 - one fact
        self.reached = reached
        self.bad_since = None if reached else self.bad_since or now


class Appending(Protocol):
    """What is asked of a store: see SampleStore."""

    def append_all(self, ticks: Sequence[Tick]) -> list[Appended | StoreError]: ...


@dataclass(slots=True, eq=False)
class Collecting:
    """What collecting needs: carried by the roof, shared by all sources."""

    store: Appending
    outbound: Outbound
    telemetry: Telemetry
    clock: Clock
    executor: Executor  #: the thread that appends
    scored: Callable[[Sequence[Tick]], Awaitable[None]]
    logged: Callable[[Source, Sequence[LogBatch]], Awaitable[None]]  #: with no lines, the position may have moved
    news: Callable[[Source, Sequence[Tick]], None] = lambda _source, _ticks: None  #: they are stored
    _appends: Together[_Wanted, list[Appended]] = field(init=False)

    def __post_init__(self) -> None:
        self._appends = Together(self.executor, self._append_all)

    async def step(self, source: Source, now: datetime) -> None:
        """One reading of one source. A failure is a state, counted and shown, and stops nobody else."""
        started = time.perf_counter()
        try:
            collected = await self._read(source, now)
        except (CollectError, OutboundError) as error:
            await self._failed(source, now, error, time.perf_counter() - started)
            return
        except Exception as error:  # a crash is the job's to log and count; the series must not look alive meanwhile
            await self._failed(source, now, error, time.perf_counter() - started)
            raise
        source.seconds = time.perf_counter() - started
        self.telemetry.collect_seconds.labels(source.kind).observe(source.seconds)
        if collected.rejected:
            self.telemetry.count_refused(source.name, collected.rejected)
            _add(source.rejected, collected.rejected)
            source.received += sum(collected.rejected.values())
        source.state, source.error, source.last_at = "up", "", now
        source.reach(_content(source, collected.ticks), now)
        source.series = sum([len(tick.layout) for tick in collected.ticks])
        source.samples = source.series - sum([count_stale(tick.values) for tick in collected.ticks])
        source.services = source.services if collected.services is None else collected.services
        ticks = [*collected.ticks, _health(source, now, collected)]
        await self.append(source, ticks)
        self.telemetry.collections.labels(source.name, "ok").inc()
        await self._hand_on(source, collected)

    async def _read(self, source: Source, now: datetime) -> Collected:
        """What the source says, within its own bound: a collector that forgets its time-out is left alone."""
        if getattr(source.collector, "keeps_time", False):
            return await source.collector.collect(now, self.outbound)
        if source.running is not None and not source.running.done():
            raise CollectError("the last collection has not come back", reason="timeout")
        allowed = bound(source.collector)
        source.running = task = asyncio.ensure_future(source.collector.collect(now, self.outbound))
        task.add_done_callback(_look_at)
        try:
            done, _ = await asyncio.wait({task}, timeout=allowed)
        finally:
            task.cancel()  # nothing happens when it is done
        if not done:
            raise CollectError(f"no answer within {allowed:g} s", reason="timeout")
        return task.result()

    async def _hand_on(self, source: Source, collected: Collected) -> None:
        await self.logged(source, collected.logs)
        if collected.ticks:
            await self.scored(collected.ticks)

    async def _failed(self, source: Source, now: datetime, error: Exception, seconds: float) -> None:
        reason = getattr(error, "reason", "error")
        if source.state != "failing":
            log.warning("source failing", source=source.name, reason=reason, error=str(error))
        source.state, source.error, source.last_at, source.seconds = "failing", f"{reason}: {error}", now, seconds
        source.reach(False, now)
        self.telemetry.collections.labels(source.name, reason).inc()
        stale: Sequence[Tick] = getattr(source.collector, "stale_ticks", _nothing)(now)
        await self.append(source, [*stale, _health(source, now, None)])
        if stale:
            await self.scored(stale)  # what is not known has no score either

    async def append(self, source: Source, ticks: Sequence[Tick]) -> None:
        """Append what a source said, and enter it into the source's own ledger."""
        for appended in await self._appends.ask((source.name, ticks)):
            source.received += appended.received
            source.stored += appended.stored
            if appended.rejected:
                _add(source.rejected, appended.rejected)
        self.news(source, ticks)

    async def append_derived(self, name: str, ticks: Sequence[Tick]) -> list[Appended]:
        """Append in the store's own thread; ``name`` is the source in the ledger (scores, rules, forecasts ...)."""
        return await self._appends.ask((name, ticks))

    def _append_all(self, wanted: Sequence[_Wanted]) -> list[list[Appended] | Exception]:
        ticks = [tick for _, mine in wanted for tick in mine]
        count = sum([len(tick.layout) for tick in ticks])
        self.telemetry.in_flight.inc(count)
        try:
            answers = iter(self.store.append_all(ticks))
            return [self._entered(name, mine, [next(answers) for _ in mine]) for name, mine in wanted]
        finally:
            self.telemetry.in_flight.dec(count)

    def _entered(
        self, name: str, ticks: Sequence[Tick], answers: Sequence[Appended | StoreError]
    ) -> list[Appended] | Exception:
        """One source's part of the answers, in the ledger; an error that is not a full disk is its step's."""
        found, wrong = list[Appended](), None
        for tick, answer in zip(ticks, answers, strict=True):
            if isinstance(answer, StoreFullError):
                log.error("nothing kept: the disk is full", source=name, error=str(answer))
                count = len(tick.layout)
                found.append(Appended(received=count, stored=0, rejected={"disk_full": count}))
            elif isinstance(answer, StoreError):
                wrong = answer
            else:
                found.append(answer)
        self.telemetry.count_appends(name, found)
        return wrong or found


def bound(collector: Collector) -> float:
    """Seconds after which a collection has failed, whatever the collector thinks."""
    own = getattr(collector, "bound", None) or getattr(collector, "timeout", None)
    return UNBOUNDED if own is None else float(own) + GRACE


def _content(source: Source, ticks: Sequence[Tick]) -> bool:
    """What was collected speaks of a target that answers as it should."""
    if not source.kind.endswith("_probe"):
        return True
    good = all(tick.values[place] > 0 for tick in ticks for place in _verdicts(source, tick.layout))
    source.failure = () if good else _failure(ticks)
    return good


def _failure(ticks: Sequence[Tick]) -> Labels:
    """The newest reason that a probe gave; empty when it gave none."""
    found = (
        series
        for tick in ticks
        for series, stale in zip(tick.layout.series, is_stale(tick.values).tolist(), strict=True)
        if not stale and metric_name(series) == FAILED
    )
    return next(found, ())


def _verdicts(source: Source, layout: Layout) -> Sequence[int]:
    """Places of ``probe_success``; looked for once a layout."""
    if source.verdicts[0] is not layout:
        found = [place for place, series in enumerate(layout.series) if metric_name(series) == PROBED]
        source.verdicts = layout, found
    return source.verdicts[1]


def _look_at(task: asyncio.Future[Collected]) -> None:
    """An error that comes after nobody waits any more is not an error of the loop."""
    if not task.cancelled():
        task.exception()


def _nothing(_now: datetime) -> Sequence[Tick]:
    return ()


def _add(totals: dict[str, int], more: object) -> None:
    for reason, count in dict(more).items():  # type: ignore[call-overload]
        totals[reason] = totals.get(reason, 0) + count


def _health(source: Source, now: datetime, collected: Collected | None) -> Tick:
    """``up`` and the scrape's own figures, under the labels of the source's series; None: it failed."""
    page = source.kind == "openmetrics"
    if source.health_layout is None:
        source.health_layout = Layout(
            tuple(labels(name, source.health_labels) for name in (SCRAPED if page else HEALTH))
        )
    found = [0.0, source.seconds, *[0.0] * (len(source.health_layout) - 2)]
    if collected is not None:
        found[0], found[2] = 1.0, float(source.samples)
        if page:
            refused = sum(collected.rejected.values())
            found[2] += refused
            found[3:] = [found[2] - collected.rejected.get("metric_relabel", 0), float(collected.added or 0)]
    values = np.array(found, dtype=np.float64)
    return Tick(target=f"health/{source.name}", time_ms=to_ms(now), layout=source.health_layout, values=values)


def gone(source: Source, now: datetime) -> Tick | None:
    """Marks a removed source's health series stale."""
    if source.health_layout is None:
        return None
    values = np.full(len(source.health_layout), STALE_NAN)
    return Tick(target=f"health/{source.name}", time_ms=to_ms(now), layout=source.health_layout, values=values)
