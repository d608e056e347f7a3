"""Targets of Prometheus's ``scrape_configs``: looked up again and again, each one a source while it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from collectors import BUILTIN
from collectors.scrape_config import ScrapeTarget, targets
from collectors.scrape_discovery import Group
from watchkeeper.app.ending import drop
from watchkeeper.app.schedule import own_moments
from watchkeeper.app.scrape_files import Scrapes
from watchkeeper.app.sources import target_source
from watchkeeper.errors import CollectError
from watchkeeper.model.series import fingerprint
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

#: How often it is looked which lookups are due.
EVERY = timedelta(seconds=5)


class Discoverer(Protocol):
    @property
    def every(self) -> timedelta: ...

    async def look(self, outbound: Outbound, base: Path) -> list[Group]: ...


@dataclass(slots=True, eq=False)
class Lookup:
    """One place where targets are found, and what was found last."""

    discoverer: Discoverer
    groups: list[Group] = field(default_factory=list)
    due: datetime | None = None  #: None: at once
    error: str = ""


@dataclass(slots=True, eq=False)
class Job:
    """One entry of ``scrape_configs`` while it is in force."""

    scrapes: Scrapes
    lookups: list[Lookup]
    targets: dict[str, ScrapeTarget] = field(default_factory=dict)  #: by the name of the source
    wrong: list[str] = field(default_factory=list)  #: targets that cannot be scraped
    looked: bool = False


class Scraping:
    """Keeps the engine's sources equal to what discovery says."""

    def __init__(self, engine: Engine, found: Sequence[Scrapes]) -> None:
        self._engine, self._registry = engine, Registry("collectors", BUILTIN)
        self.jobs = [_job(one) for one in found]
        self._left: list[Job] = []  #: no longer in the configuration, their targets still to be dropped

    def use(self, found: Sequence[Scrapes]) -> None:
        """Take over a new configuration; entries that have not changed go on."""
        before = {job.scrapes.config.job_name: job for job in self.jobs}
        jobs = []
        for one in found:
            known = before.get(one.config.job_name)
            jobs.append(known if known is not None and known.scrapes == one else _job(one))
        self._left += [job for job in self.jobs if job not in jobs]
        self.jobs = jobs

    async def step(self, now: datetime) -> None:
        """Look up what is due, and start and end sources accordingly."""
        for job in self._left:
            await self._apply(job, {}, now)
        self._left.clear()
        await asyncio.gather(*(self._look(job, lookup, now) for job in self.jobs for lookup in job.lookups))
        for job in self.jobs:
            if not job.looked:
                job.looked = True
                found, wrong = await asyncio.to_thread(_targets, job)
                if wrong != job.wrong and wrong:
                    log.warning(
                        "targets not scraped", job=job.scrapes.config.job_name, first=wrong[0], count=len(wrong)
                    )
                job.wrong = wrong
                await self._apply(job, found, now)

    async def _look(self, job: Job, lookup: Lookup, now: datetime) -> None:
        if lookup.due is not None and now < lookup.due:
            return
        lookup.due = now + lookup.discoverer.every
        try:
            groups = await lookup.discoverer.look(self._engine.outbound, job.scrapes.base)
        except CollectError as error:
            if not lookup.error:
                log.warning(
                    "discovery failing; what was known stays", job=job.scrapes.config.job_name, error=str(error)
                )
            lookup.error = str(error)
            return
        lookup.error = ""
        if groups != lookup.groups:
            lookup.groups, job.looked = groups, False

    async def _apply(self, job: Job, wanted: dict[str, ScrapeTarget], now: datetime) -> None:
        for name in [name for name, target in job.targets.items() if wanted.get(name) != target]:
            del job.targets[name]
            if name in self._engine.sources:
                await drop(self._engine, name, now)
        for name, target in wanted.items():
            if name not in job.targets:
                job.targets[name] = target
                self._start(name, target, now)

    def _start(self, name: str, target: ScrapeTarget, now: datetime) -> None:
        """Targets are scraped at their own moment of the interval, always the same one."""
        engine = self._engine
        source = target_source(name, target, engine.config, self._registry)
        engine.sources[name] = source
        key = fingerprint(tuple(sorted(target.labels.items())))

        async def scrape(at: datetime) -> None:
            await engine.collecting.step(source, at)

        engine.scheduler.add(f"collect/{name}", own_moments(key, source.interval, now), scrape)


def _job(one: Scrapes) -> Job:
    return Job(one, [Lookup(discoverer) for discoverer in one.config.discoverers()])


def _targets(job: Job) -> tuple[dict[str, ScrapeTarget], list[str]]:
    """By name; two targets of one instance are told apart by all their labels."""
    config = job.scrapes.config
    groups = [*config.static_groups(), *(group for lookup in job.lookups for group in lookup.groups)]
    found, wrong = targets(config, groups, job.scrapes.base)
    names = [target.name for target in found]
    named = {}
    for target in found:
        series = (*sorted(target.labels.items()), ("url", str(target.options["url"])))
        named[target.name if names.count(target.name) == 1 else f"{target.name}~{fingerprint(series)}"] = target
    return named, wrong
