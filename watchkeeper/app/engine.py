"""The engine: everything composed, held together, and the questions the API asks of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from watchkeeper.app.paths import DataDir
from watchkeeper.app.pipeline.collect import Collecting, Source
from watchkeeper.app.pipeline.score import Scoring
from watchkeeper.app.schedule import Scheduler
from watchkeeper.app.workers import Workers
from watchkeeper.clock import Clock
from watchkeeper.config import Config, Loaded
from watchkeeper.errors import StoreError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Detector, SampleStore
from watchkeeper.promql import Engine as PromQL
from watchkeeper.store.state import State
from watchkeeper.telemetry import Telemetry

if TYPE_CHECKING:
    from watchkeeper.app.pipeline.act import Acting
    from watchkeeper.app.pipeline.foresee import Foreseeing
    from watchkeeper.app.pipeline.judge import Judging
    from watchkeeper.app.pipeline.tell import Telling


@dataclass(slots=True, eq=False)
class Engine:
    """Built by ``compose``; every field is ready to use."""

    loaded: Loaded
    data: DataDir
    clock: Clock
    telemetry: Telemetry
    samples: SampleStore
    state: State
    promql: PromQL
    outbound: Outbound
    detector: Detector
    scoring: Scoring
    scheduler: Scheduler
    workers: Workers
    started_at: datetime
    threads: dict[str, ThreadPoolExecutor]
    sources: dict[str, Source] = field(default_factory=dict)
    collecting: Collecting = field(init=False)
    judging: Judging = field(init=False)
    telling: Telling = field(init=False)
    remediation: Acting = field(init=False)
    foreseeing: Foreseeing = field(init=False)

    @property
    def config(self) -> Config:
        return self.loaded.config

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

    def loop_lag(self) -> float:
        return float(self.telemetry.loop_lag._value.get())

    def exposition(self) -> bytes:
        """``/metrics``: own counters, with the ledgers of the state rows as they stand."""
        with self.state.read() as unit:
            transitions, deliveries = unit.transitions.counts(), unit.outbox.counts()
        for (kind, new_state), count in transitions.items():
            self.telemetry.transitions.labels(kind, new_state).set(count)
        for (channel, new_state), count in deliveries.items():
            self.telemetry.deliveries.labels(channel, new_state).set(count)
        for name, value in self.samples.stats().items():
            self.telemetry.store_stat(name, float(value))
        return self.telemetry.exposition()

    # --- capacity

    def capacity_rows(self) -> list[dict[str, Any]]:
        return self.foreseeing.rows()

    def make_capacity_report(self, language: str, now: datetime, by: str) -> str:
        return self.foreseeing.report(language, now, by)
