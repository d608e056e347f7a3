"""The engine: everything composed, held together, and the questions the API asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from incidents import read_ledger
from watchkeeper.app.chain import Chain
from watchkeeper.app.lead import Leading
from watchkeeper.app.paths import DataDir
from watchkeeper.app.pipeline.collect import Collecting, Source
from watchkeeper.app.pipeline.heads import Heads
from watchkeeper.app.pipeline.score import Scoring
from watchkeeper.app.schedule import Scheduler
from watchkeeper.app.together import Together
from watchkeeper.app.workers import Workers
from watchkeeper.clock import Clock
from watchkeeper.config import Config, Loaded
from watchkeeper.errors import StoreError
from watchkeeper.model import LogBatch, Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Detector, SampleStore
from watchkeeper.promql import Engine as PromQL
from watchkeeper.store.state import State
from watchkeeper.store.state.retention import prune
from watchkeeper.telemetry import Telemetry, logger

if TYPE_CHECKING:
    from incidents.settings import Settings as IncidentSettings
    from rules.book import RuleBook
    from watchkeeper.app.pipeline.act import Acting
    from watchkeeper.app.pipeline.business import Business
    from watchkeeper.app.pipeline.catalogue import Cataloguing
    from watchkeeper.app.pipeline.cost import Costing
    from watchkeeper.app.pipeline.entities import Watching
    from watchkeeper.app.pipeline.events import Eventing
    from watchkeeper.app.pipeline.foresee import Foreseeing
    from watchkeeper.app.pipeline.forward import Forwarder
    from watchkeeper.app.pipeline.hear import Hearing
    from watchkeeper.app.pipeline.judge import Judging
    from watchkeeper.app.pipeline.lines import Lines
    from watchkeeper.app.pipeline.log_metrics import LogMetrics
    from watchkeeper.app.pipeline.objectives import Objectives
    from watchkeeper.app.pipeline.plans import Planning
    from watchkeeper.app.pipeline.predict import Predicting
    from watchkeeper.app.pipeline.pushing import Pushing
    from watchkeeper.app.pipeline.rate import Rating
    from watchkeeper.app.pipeline.receive import Receiving
    from watchkeeper.app.pipeline.receive_lines import ReceivingLines
    from watchkeeper.app.pipeline.receive_logs import ReceivingLogs
    from watchkeeper.app.pipeline.receive_otlp import ReceivingOtlp
    from watchkeeper.app.pipeline.receive_traces import ReceivingTraces
    from watchkeeper.app.pipeline.release_gate import Gating
    from watchkeeper.app.pipeline.risk import Foretelling
    from watchkeeper.app.pipeline.scored import Memory
    from watchkeeper.app.pipeline.tell import Telling
    from watchkeeper.app.scrape import Scraping

log = logger(__name__)

#: Steps without which nobody is told anything.
VITAL = ("rules", "tend", "act", "deliver")


@dataclass(slots=True, eq=False)
class Engine:
    """Built by ``compose``; every field is ready to use."""

    loaded: Loaded
    data: DataDir
    clock: Clock
    telemetry: Telemetry
    samples: SampleStore
    state: State
    promql: PromQL  #: for pages, the API and forecasts; a server that keeps the samples may answer it
    exact: PromQL  #: our own over the samples themselves, for what is judged by: the same verdict on every store
    outbound: Outbound
    detector: Detector
    scoring: Scoring
    scheduler: Scheduler
    workers: Workers
    leads: Leading  #: is this the one of the engines on this database that acts
    started_at: datetime
    threads: dict[str, ThreadPoolExecutor]
    sources: dict[str, Source] = field(default_factory=dict)
    reloading: asyncio.Lock = field(default_factory=asyncio.Lock)  #: one reload at a time
    reload_tried_at: datetime | None = None  #: the last reload, successful or not
    incident_settings: IncidentSettings = field(init=False)
    collecting: Collecting = field(init=False)
    lines: Lines = field(init=False)
    log_metrics: LogMetrics = field(init=False)
    entities: Watching = field(init=False)
    receiving: Receiving = field(init=False)
    forwarders: list[Forwarder] = field(default_factory=list)
    receiving_otlp: ReceivingOtlp = field(init=False)
    receiving_lines: ReceivingLines = field(init=False)
    receiving_logs: ReceivingLogs = field(init=False)
    receiving_traces: ReceivingTraces = field(init=False)
    pushing: Pushing = field(init=False)
    judging: Judging = field(init=False)
    telling: Telling = field(init=False)
    remediation: Acting = field(init=False)
    foreseeing: Foreseeing = field(init=False)
    rating: Rating = field(init=False)
    business: Business = field(init=False)
    predicting: Predicting = field(init=False)
    objectives: Objectives = field(init=False)
    costing: Costing = field(init=False)
    cataloguing: Cataloguing = field(init=False)
    scraping: Scraping = field(init=False)
    eventing: Eventing = field(init=False)
    gating: Gating = field(init=False)
    hearing: Hearing = field(init=False)
    foretelling: Foretelling = field(init=False)
    heads: Heads = field(init=False)
    chain: Chain = field(init=False)
    planning: Planning = field(init=False)
    _scores: Together[Sequence[Tick], list[Tick]] = field(init=False)

    def __post_init__(self) -> None:
        self._scores = Together(self.threads["score"], self._score_all)
        self.keep_chain()

    def keep_chain(self) -> None:
        """The audit's chain and the places its heads go to, by the configuration as it is now."""
        places = self.config.audit.heads
        self.heads = Heads(self.state, self.outbound, self.telemetry, places)
        self.chain = Chain(self.state, places.file)

    @property
    def config(self) -> Config:
        return self.loaded.config

    # --- the journey between steps ---

    def count_lines(self, batches: Sequence[LogBatch]) -> None:
        """What masked lines become beside being kept, in the lines' thread: series, and acts of somebody."""
        self.log_metrics.take(batches)
        self.entities.take(batches)

    async def score(self, ticks: Sequence[Tick]) -> None:
        """Score ticks in the scoring thread and keep the scores as series."""
        if not self.config.scoring.enabled:
            return
        scored = await self._scores.ask(ticks)
        if scored:
            await self.collecting.append_derived("scores", scored)

    def _score_all(self, asked: Sequence[Sequence[Tick]]) -> list[list[Tick] | Exception]:
        return [self._score(ticks) for ticks in asked]

    def _score(self, ticks: Sequence[Tick]) -> list[Tick] | Exception:
        try:
            return [found for tick in ticks for found in self.scoring.ticks(tick)]
        except Exception as error:  # noqa: BLE001 - raised again in the step of the source that it concerns
            return error

    async def score_pushed(self, _now: datetime) -> None:
        """Score what others wrote to us, once the samples of one moment are together."""
        if self.config.scoring.enabled:
            ticks = await asyncio.get_running_loop().run_in_executor(self.threads["score"], self.receiving.fresh)
            if ticks:
                await self.score(ticks)

    async def keep_scored(self, now: datetime) -> None:
        """Write down what the scoring has learned, so that a restart goes on with it."""
        loop = asyncio.get_running_loop()
        for portion in self.scoring.portions():
            found = await loop.run_in_executor(self.threads["score"], self.scoring.remember, portion)
            await asyncio.to_thread(self.save_scored, found, now)

    def save_scored(self, found: Sequence[Memory], now: datetime) -> None:
        if self.scoring.memories is not None:
            self.scoring.memories.save(found)
            self.scoring.memories.prune(now)

    async def record(self, ticks: Sequence[Tick]) -> None:
        """What rules recorded is stored and scored like anything else."""
        await self.collecting.append_derived("rules", ticks)
        await self.score(ticks)

    def rules_changed(self, book: RuleBook) -> None:
        """Called in the rules' thread after a reload."""
        from watchkeeper.app.lifecycle import schedule_rules

        now = self.clock.now()
        schedule_rules(self, book, now)
        self.remediation.take_rules(book.remedies, now)

    # --- periodic steps ---

    async def tend(self, now: datetime) -> None:
        """Incidents without a change of alerts: waits run out, clocks run on."""
        await asyncio.get_running_loop().run_in_executor(self.threads["rules"], self.judging.tend, now)

    async def keep(self, now: datetime) -> None:
        """Cut blocks, apply retention, count what is damaged."""
        counts = await asyncio.get_running_loop().run_in_executor(self.threads["state"], self.samples.maintain, now)
        if any(counts.values()):
            log.info("store kept", **counts)

    async def keep_lines(self, now: datetime) -> None:
        """Seal log segments, apply their retention."""
        counts = await asyncio.get_running_loop().run_in_executor(self.threads["seal"], self.lines.store.maintain, now)
        if any(counts.values()):
            log.info("log lines kept", **counts)

    def prune(self, before: datetime) -> None:
        with self.state.begin() as unit:
            dropped = prune(unit, before)
        log.info("state pruned", **dropped)

    async def digest(self, now: datetime) -> None:
        """The daily "I am alive", with what happened."""
        sources = list(self.sources.values())
        figures = {
            "sources": len(sources),
            "failing": sum(source.state == "failing" for source in sources),
            "series": int(self.samples.stats().get("series", 0)),
            "unknown_rules": self.judging.unknown_count(),
        }
        await self.telling.digest(now, figures)

    # --- answers ---

    def kill_switch(self) -> dict[str, Any]:
        """{"on", "by", "at", "reason"}."""
        return self.remediation.kill_switch()

    def set_kill_switch(self, *, on: bool, by: str, reason: str) -> None:
        """Set it, or clear it as an administrator."""
        switch = self.remediation.remediator.kill_switch
        if on:
            switch.set(by, reason, self.clock.now())
        else:
            switch.clear(by, reason, self.clock.now(), admin=True)

    # --- health

    def not_ready(self) -> str:
        """Why the engine is not ready; empty when it is."""
        try:
            with self.state.read() as unit:
                unit.people.count_users()
        except StoreError as error:
            return str(error)
        return "" if self.scheduler.jobs else "nothing is scheduled yet"

    def unwell(self) -> str:
        """Why nobody should rely on us now, for the heartbeat; empty when all is well."""
        if why := self.not_ready():
            return why
        if self.samples.stats().get("disk_full"):
            return "the disk is full: nothing is kept"
        jobs = self.scheduler.jobs.items()
        failed = sorted(name for name, job in jobs if job.last_error and name.split("/")[0] in VITAL)
        return f"{failed[0]} fails: {self.scheduler.jobs[failed[0]].last_error}" if failed else ""

    def loop_lag(self) -> float:
        return float(self.telemetry.loop_lag._value.get())

    def exposition(self) -> bytes:
        """``/metrics``: own counters, with the ledgers of the state rows as they stand."""
        self.refresh_own()
        return self.telemetry.exposition()

    def refresh_own(self) -> None:
        """Bring gauges that mirror rows and files up to date."""
        with self.state.read() as unit:
            transitions, deliveries = unit.transitions.counts(), unit.outbox.counts()
            alerts, actions = read_ledger(unit), unit.actions.counts()
        self.telemetry.mirror_alerts(alerts.raised, alerts.outcomes())
        self.telemetry.mirror_actions(actions)
        for (kind, new_state), count in transitions.items():
            self.telemetry.transitions.labels(kind, new_state).set(count)
        for (channel, new_state), count in deliveries.items():
            self.telemetry.deliveries.labels(channel, new_state).set(count)
        for name, value in self.samples.stats().items():
            self.telemetry.store_stat(name, float(value))
        for name, value in self.lines.store.stats().items():
            self.telemetry.log_store.labels(name).set(value)

    # --- capacity

    def capacity_rows(self) -> list[dict[str, Any]]:
        return self.foreseeing.rows()

    def make_capacity_report(self, language: str, now: datetime, by: str) -> str:
        return self.foreseeing.report(language, now, by)
