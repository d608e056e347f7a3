"""Who behaves otherwise than usual: acts in lines become baselines, risks as series, and advice with a record."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from collectors.base import Reading as Sample
from collectors.base import Sheet
from detectors.entities import Entities, Kind, Standing, restored, state
from watchkeeper.app.paths import write_private
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.app.pipeline.entity_acts import Acts, Reading, acts_of
from watchkeeper.app.pipeline.entity_advice import Decisions
from watchkeeper.app.pipeline.entity_findings import findings
from watchkeeper.app.pipeline.entity_places import Places, read_places
from watchkeeper.clock import Clock
from watchkeeper.config import Loaded
from watchkeeper.config.security import Entities as Options
from watchkeeper.model import Event, LogBatch, Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected
from watchkeeper.store.state import State
from watchkeeper.telemetry import logger

log = logger(__name__)

#: Name of the one source that stands for all risks.
SOURCE = "entities"
RISK, REASON = "watchkeeper_entity_risk", "watchkeeper_entity_reason"
#: How often what was learned is written down, and what has faded is forgotten.
SAVED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration's section, checked before anything is taken over."""

    options: Options
    rules: Sequence[Acts]
    places: Places
    zone: ZoneInfo

    @classmethod
    def of(cls, loaded: Loaded) -> Checked:
        """Raises ConfigError with the place of a mistake."""
        options = loaded.config.security.entities
        rules = acts_of(loaded)
        table = loaded.base / options.places if options.enabled and options.places is not None else None
        return cls(options, rules, Places() if table is None else read_places(table), ZoneInfo(loaded.config.time_zone))


class Watching:
    """A collector over the risks. Lines come from the lines' thread, readings and questions from others."""

    def __init__(
        self, checked: Checked, file: Path, store: State, clock: Clock, interval: timedelta, labels: dict[str, str]
    ) -> None:
        self._file, self._clock, self._lock = file, clock, threading.Lock()
        self._sheet = Sheet(f"{SOURCE}/risks", {"job": SOURCE, **labels}, honor=True)
        self._take_over(checked)
        self.known = Entities(checked.zone, checked.options.most)
        self.decisions = Decisions(store)
        self.acts = 0
        self._saved = clock.now()
        if self.enabled:
            self._restore()
        self.source = Source(SOURCE, SOURCE, interval, self, {"job": SOURCE, **labels}, target="security.entities")

    @property
    def enabled(self) -> bool:
        return self.options.enabled

    def use(self, checked: Checked) -> None:
        """Options of a new configuration; what was learned stays."""
        with self._lock:
            before = self.enabled
            if before and not checked.options.enabled:
                self._save()
            self._take_over(checked)
            if self.enabled and not before:
                self._restore()
            self.known.zone, self.known.most = checked.zone, checked.options.most

    def take(self, batches: Sequence[LogBatch]) -> None:
        """Lines as they are kept: masked."""
        if not self.enabled:
            return
        with self._lock:
            for batch in batches:
                acts = self._reading.acts(batch)
                self.acts += len(acts)
                self.known.take(acts)

    def found(self, events: Sequence[Event], now: datetime) -> None:
        """Findings of others among these events raise the risk of whom they name."""
        if not self.enabled:
            return
        with self._lock:
            for about, reason in findings(events, now):
                self.known.doubt(about, reason)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002 - others come to us
        with self._lock:
            risks = self.known.risks(now.timestamp())
            readings = list(self._readings(risks[: self.options.series_limit]))
            if now - self._saved >= SAVED_EVERY:
                self._saved = now
                self.known.forget(now.timestamp())
                self._save()
        await asyncio.to_thread(self.decisions.step, risks, self.options, now)
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick], rejected=dict(self._sheet.rejected))

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """The end of every series, where the source is taken away."""
        tick = self._sheet.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """What was learned is kept."""
        with self._lock:
            if self.enabled:
                self._save()

    def risks(self, least: float) -> list[tuple[Standing, dict[str, Any]]]:
        """Those of at least so much risk now, the highest first, and what is usual for each."""
        now = self._clock.now().timestamp()
        with self._lock:
            return [(one, self.known.detail(one)) for one in self.known.risks(now, least)]

    def standing(self, kind: Kind, name: str) -> tuple[Standing, dict[str, Any]] | None:
        """None: never seen."""
        with self._lock:
            found = self.known.standing(kind, name, self._clock.now().timestamp())
            return None if found is None else (found, self.known.detail(found))

    def erase(self, named: Callable[[str], bool], *, dry_run: bool) -> int:
        """What was learned of these names is forgotten, in the file too; how many there were."""
        with self._lock:
            found = self.known.remove(named, dry_run=dry_run)
            if self.enabled and not dry_run:
                self._save()
        return found

    def counts(self) -> dict[str, int]:
        """Entities that are known, by kind."""
        with self._lock:
            return self.known.counts()

    def _take_over(self, checked: Checked) -> None:
        self.options = checked.options
        self._reading = Reading(checked.rules, checked.places)

    def _readings(self, risks: Sequence[Standing]) -> Iterator[Sample]:
        for one in risks:
            own = [("kind", str(one.entity.kind)), ("entity", one.entity.name)]
            service = one.entity.name if one.entity.kind == "service" else one.entity.service
            own += [("service", service)] if service else []
            yield RISK, tuple(own), round(one.risk, 2)
            for reason, points in one.reasons:
                yield REASON, (*own, ("reason", reason.name)), round(points, 2)
        for kind, count in self.known.counts().items():
            yield "watchkeeper_entities", (("kind", kind),), float(count)
            yield "watchkeeper_entity_refused_total", (("kind", kind),), float(self.known.refused[kind])
        yield "watchkeeper_entity_acts_total", (), float(self.acts)

    def _save(self) -> None:
        try:
            write_private(self._file, json.dumps(state(self.known), separators=(",", ":")))
        except OSError as error:
            log.error("what is usual for users and addresses is not written", file=str(self._file), error=str(error))

    def _restore(self) -> None:
        """Go on with what was learned; a file that cannot be read is told and learned anew."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self.known = restored(kept, self.known.zone, self.options.most)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("users and addresses are learned anew", file=str(self._file), error=repr(error))
