"""Foretell failures: a risk for every service from what came before its incidents, scored against what happened."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.risk import HORIZON, LEAST_INCIDENTS, LEAST_SLOTS, SLOT, WARN, Risk, Watch, worth
from watchkeeper.app.api import shapes
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.pipeline.signs import Around, Signs, around, open_before, open_now, signs_of
from watchkeeper.app.pipeline.taught import service_of
from watchkeeper.app.schedule import every
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, labels
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

STEP = timedelta(seconds=SLOT)
#: How far back an engine learns that has learned nothing yet.
BACK = timedelta(days=14)
#: Rows are looked through for so many slots at a time.
NEAR = timedelta(hours=6)
#: Document of the state database.
DOCUMENT = "risk"
#: What a sign is worth before anything was learned, in natural logarithms of odds.
PRIOR = {"exhaustion": 2.0, "need": 1.0, "change": 0.7, "again": 0.7, "anomaly": 0.5, "many": 0.5}
#: A sign that raises the odds by less than a tenth is no advice.
LEAST_WEIGHT = 0.1
#: In this order.
STATES = ("open", "warning", "calm", "learning")
#: Advice shown at most.
MOST_ADVICE = 50
#: Anomalies of one service among it at most.
MOST_ANOMALIES = 3


@dataclass(slots=True, eq=False)
class Foretelling:
    """``step`` each slot; what was learned stays over restarts."""

    engine: Engine
    watches: dict[str, Watch] = field(default_factory=dict)
    risks: dict[str, Risk] = field(default_factory=dict)
    signs: dict[str, Signs] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)  #: services with an open incident: nothing is to be foretold of them
    last: datetime | None = None
    _begun: bool = False  #: what was missed before this start is learned
    _published: Published = field(default_factory=lambda: Published("risk"))

    async def step(self, now: datetime) -> None:
        rows = await asyncio.to_thread(self._step, now)
        if rows or len(self._published):
            await self.engine.collecting.append_derived("risk", [self._published.tick(rows, now)])

    def _step(self, now: datetime) -> list[Row]:
        if not self._begun:
            self._begin(now)
        known = around(self.engine, now - BACK, now)
        self._tick(open_now(self.engine, now), known, now)
        with self.engine.state.begin() as unit:
            unit.documents.put(DOCUMENT, self._plain(), at=now)
        return [row for name in sorted(self.watches) for row in self._rows(name)]

    def _tick(self, found: list[Labels], known: Around, now: datetime) -> None:
        since, busy = self.last or now - STEP, known.open_at(now)
        signs, struck = signs_of(found, known, now), known.opened(since, now)
        names = {one.name for one in self.engine.cataloguing.services} | set(signs) | set(struck) | set(self.watches)
        for name in names:
            watch = self.watches.setdefault(name, Watch())
            moments = [at.timestamp() for at in struck.get(name, ())]
            self.risks[name] = watch.tick(now.timestamp(), signs.get(name, {}), moments, busy=name in busy)
        self.signs, self.busy, self.last = signs, busy, now

    def take_up(self, now: datetime) -> None:
        """What was learned before a restart, and the risks told last: nobody waits for them until the next look."""
        with self.engine.state.read() as unit:
            kept, still_open = unit.documents.get(DOCUMENT), unit.incidents.open()
        if kept is None:
            return
        self.watches = {name: Watch.of(one) for name, one in kept["services"].items()}
        self.last = from_ms(kept["last_ms"])
        self.busy = {service_of(one.labels) for one in still_open}
        if now - self.last <= timedelta(seconds=HORIZON):
            self.risks = {name: watch.newest(self.last.timestamp()) for name, watch in self.watches.items()}

    def _begin(self, now: datetime) -> None:
        """Take up what was learned; what was missed meanwhile, or everything that is kept, is learned now."""
        self._begun = True
        self.take_up(now)
        start = now - BACK if self.last is None else max(now - BACK, self.last + STEP)
        oldest = int(self.engine.samples.stats().get("oldest_ms", to_ms(now)))
        start = max(start, from_ms(oldest))
        known = around(self.engine, start, now)
        known = Around(known.incidents, known.changes, known.needs)  # what runs out now did not then
        near, until = known, start
        try:
            for at, found in open_before(self.engine, start, now - STEP):
                if at >= until:
                    until = at + NEAR
                    near = known.within(at - 2 * STEP, until)
                self._tick(found, near, at)
        except QueryError as error:
            log.warning("failures before now are not learned from", error=str(error))

    def _plain(self) -> dict[str, Any]:
        services = {name: watch.plain() for name, watch in self.watches.items()}
        return {"last_ms": to_ms(self.last) if self.last else 0, "services": services}

    def _value(self, name: str) -> float:
        """NaN while the service is learned about, and while it has an incident."""
        found = self.risks.get(name)
        return math.nan if found is None or name in self.busy else found.value

    def _rows(self, name: str) -> list[Row]:
        found, told = self.risks.get(name), worth(self.watches[name].memory.record)
        pairs = {"service": name}
        learning = found is None or found.learning
        return [
            (labels("watchkeeper_service_failure_risk", pairs), self._value(name)),
            (labels("watchkeeper_service_failure_learning", pairs), 1.0 if learning else math.nan),
            (labels("watchkeeper_failure_prediction_brier_score", pairs), told.brier),
            (labels("watchkeeper_failure_prediction_skill", pairs), told.skill),
            (labels("watchkeeper_failure_prediction_hit_ratio", pairs), told.hit_rate),
            (labels("watchkeeper_failure_prediction_lead_seconds", pairs), told.lead_seconds),
        ]

    # --- answers -----------------------------------------------------------------------------------------------------

    def view(self, limit: int | None = None) -> dict[str, Any]:
        """Services in trouble, then by risk, then those that are learned about; and the advice, ranked."""
        rows = [self._service(name) for name in sorted(self.watches)]
        rows.sort(key=lambda row: (STATES.index(row["state"]), -(row["risk"] or 0.0), row["service"]))
        advice = [
            {"service": row["service"], "risk": row["risk"], "rank": _rank(row["risk"], sign), **sign}
            for row in rows
            for sign in row["signs"]
            if _rank(row["risk"], sign) > 0
        ]
        advice.sort(key=lambda one: (-one["rank"], one["service"], one["sign"]))
        advice = _worth_reading(advice)
        return {
            "at": shapes.moment(self.last),
            "horizon_seconds": HORIZON,
            "warn": WARN,
            "services": rows[:limit],
            "more": len(rows[limit:]) if limit is not None else 0,
            "advice": advice[:MOST_ADVICE],
        }

    def _service(self, name: str) -> dict[str, Any]:
        watch, found = self.watches[name], self.risks.get(name, Risk(math.nan, math.nan))
        about = self.signs.get(name, {})
        memory, value = watch.memory, self._value(name)
        judged = "learning" if found.learning else "warning" if value >= WARN else "calm"
        return {
            "service": name,
            "state": "open" if name in self.busy else judged,
            "risk": shapes.number(value),
            "base": None if found.learning else shapes.number(found.base),  # of few slots it is mostly our doubt
            "incidents": memory.incidents,
            "incidents_needed": max(LEAST_INCIDENTS - memory.incidents, 0),
            "slots_needed": max(round(LEAST_SLOTS - memory.slots), 0),
            "signs": [{**asdict(part), **about.get(part.sign, {})} for part in found.parts if part.sign in about],
            "worth": shapes.plain(asdict(worth(memory.record))),
        }


def _worth_reading(advice: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a service's anomalies the first few, each metric once: the others stand among its signs."""
    kept, told = list[dict[str, Any]](), dict[str, set[str]]()
    for one in advice:
        metrics = told.setdefault(one["service"], set())
        if one["kind"] == "anomaly":
            if one["what"] in metrics or len(metrics) >= MOST_ANOMALIES:
                continue
            metrics.add(one["what"])
        kept.append(one)
    return kept


def _rank(value: float | None, sign: dict[str, Any]) -> float:
    """By what was learned; before that by what such a sign is usually worth."""
    if value is None:
        return PRIOR.get(str(sign["kind"]), 0.0) * 0.1
    return float(value * sign["weight"]) if sign["weight"] >= LEAST_WEIGHT else 0.0


def schedule(engine: Engine, now: datetime) -> None:
    engine.foretelling.take_up(now)
    engine.scheduler.add("risk", every(STEP, now + timedelta(seconds=50)), engine.foretelling.step)
