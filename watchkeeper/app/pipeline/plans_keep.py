"""Beside the steps of plans: their evidence is kept at the beginning and at the end, their clocks are published."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper.app.pipeline.plans_pack import collect
from watchkeeper.app.pipeline.plans_series import rows
from watchkeeper.app.pipeline.published import Published
from watchkeeper.app.schedule import every
from watchkeeper.model import PlanRun
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

EVERY = timedelta(seconds=5)
#: Runs that are looked at, newest first: those under way, and those whose end may want evidence or is published.
RECENT = 50
#: Evidence of an end is collected this late at most, by a later life of the engine.
LATEST = timedelta(days=1)


@dataclass(slots=True, eq=False)
class PlanKeeping:
    engine: Engine
    published: Published = field(default_factory=lambda: Published("plans"))
    _kept: set[tuple[str, str]] = field(default_factory=set)  #: run and moment of evidence that is there

    async def step(self, now: datetime) -> None:
        if not self.engine.leads():
            return
        runs, drills = await asyncio.to_thread(self._read)
        for run in runs:
            await asyncio.to_thread(self._evidence, run, now)
        found = list(rows(self.engine.planning.known, runs, drills, now))
        if found or len(self.published):
            await self.engine.collecting.append_derived("plans", [self.published.tick(found, now)])

    def _read(self) -> tuple[list[PlanRun], dict[str, datetime]]:
        with self.engine.state.read() as unit:
            recent = {run.id: run for run in [*unit.plans.live(), *unit.plans.recent(RECENT)]}
            return list(recent.values()), unit.plans.last_drills()

    def _evidence(self, run: PlanRun, now: datetime) -> None:
        """What is missing; a run that a person called off, or that an earlier life ended, has its end too."""
        over = run.ended_at is not None
        if over and now - (run.ended_at or now) > LATEST:
            return
        wanted = {(run.id, "start"), *([(run.id, "end")] if over else [])} - self._kept
        if not wanted:
            return
        with self.engine.state.read() as unit:
            there = {(run.id, moment) for moment in unit.plans.has_evidence(run.id)}
        self._kept |= there
        for run_id, moment in sorted(wanted - there):
            if moment == "start" and over:  # too late to be a beginning
                continue
            body = collect(self.engine, run, moment, now)
            with self.engine.state.begin() as unit:
                unit.plans.keep_evidence(run_id, moment, body, at=now)
                unit.audit.append("engine", "plan.evidence", run_id, {"moment": moment}, at=now)
            self._kept.add((run_id, moment))
            log.info("evidence kept", run=run_id, moment=moment)


def schedule(engine: Engine, now: datetime) -> None:
    engine.scheduler.add("plans_keep", every(EVERY, now + EVERY), PlanKeeping(engine).step)
