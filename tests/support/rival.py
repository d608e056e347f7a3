"""A pool of workers that two scaling rules and somebody else's controller change: the real engine on a manual clock."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from support.fast_state import without_threads
from support.memory_state import MemoryState
from support.remediator import World
from support.remedies import NOON, RULE

from remediation.actions.base import state_hash
from remediation.actions.supervisord import Supervisord
from remediation.book import REHEARSED_KEY
from remediation.situation import Facts, Watched
from watchkeeper.model import Intent, Labels, Observation, Scale, Target
from watchkeeper.ports import Reading

BEAT = 15.0
PER_WORKER, LEAST, MOST, SLOTS = 10.0, 3, 30, 40
COMMON: dict[str, Any] = {"load": "load", "per_worker": PER_WORKER, "min": LEAST, "max": MOST}
OUT = replace(
    RULE, name="more", action="supervisord", target="jobs", parameters={}, when="high", observers={"probe": "high"},
    verify="worse", scale=Scale(direction="out", step=5, **COMMON), service="jobs",
)  # fmt: skip
IN = replace(OUT, name="fewer", when="low", observers={"probe": "low"}, scale=Scale(direction="in", step=1, **COMMON))


@dataclass
class Slots(Supervisord):
    """Slots of a group in memory, with supervisord's own arithmetic; ``changes``: moment, who, before, after."""

    running: int = 10
    changes: list[tuple[datetime, str, int, int]] = field(default_factory=list)
    now: datetime = NOON

    def names(self, count: int) -> list[str]:
        return [f"jobs:jobs_{number}" for number in range(count)]

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        by_hand = {"running": self.names(self.running), "slots": self.names(SLOTS)}
        state: dict[str, object] = {**by_hand, "started": dict.fromkeys(by_hand["running"], 1)}
        capacity = {"healthy": float(self.running), "total": float(self.running), "slots": float(SLOTS)}
        return Reading(state=state, epoch=state_hash(by_hand), capacity=capacity)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        wanted: Any = desired["running"]
        self.set("we", len(wanted))
        return {"token": intent.token}

    def set(self, who: str, count: int) -> None:
        if count != self.running:
            self.changes.append((self.now, who, self.running, count))
            self.running = count


class Rivalry(World):
    """``rival_every``: seconds between two looks of the other controller; 0: there is none."""

    def __init__(self, folder: Path, seed: int, *, rival_every: float) -> None:
        targets = [{"name": "jobs", "kind": "supervisord", "server": "/nowhere", "group": "jobs"}]
        super().__init__(folder, OUT, IN, rehearsed=False, open_state=MemoryState, targets=targets)
        self.chance, self.rival_every, self.rival_at = random.Random(seed), rival_every, NOON + timedelta(minutes=2)
        self.pool: Any = Slots()
        self.start()
        self.level, self.phase = self.chance.uniform(40, 250), self.chance.random() * 2 * math.pi
        with self.state.begin() as unit:
            unit.documents.put(f"{REHEARSED_KEY}supervisord/jobs", {"at": NOON.isoformat()}, at=NOON)
        for rule in (OUT, IN):
            self.remediator.people.declare(rule.name, "ada", "inside its bounds", NOON)

    def load(self, at: datetime) -> float:
        day = (at - NOON).total_seconds() / 86_400
        return max(self.level * (1 + 0.5 * math.sin(2 * math.pi * 3 * day + self.phase)) + self.noise, 0.0)

    def run(self, hours: float) -> None:
        with without_threads():
            asyncio.run(self._run(hours))

    async def _run(self, hours: float) -> None:
        end = self.clock.monotonic() + hours * 3600
        self.noise = 0.0
        recent: list[float] = []
        while self.clock.monotonic() < end:
            self.clock.advance(BEAT)
            now = self.pool.now = self.clock.now()
            self.noise = self.level * self.chance.gauss(0, 0.05)
            recent = [*recent, self.load(now)][-20:]
            self._rival(now)
            found = self._answers(recent)

            def query(
                expr: str, at: datetime, found: dict[str, float | None] = found
            ) -> Sequence[tuple[Labels, float]]:
                value = found.get(expr.split("(")[0])
                return [] if value is None else [((), value)]

            seen = [self._seen(rule.name, now, found[rule.when]) for rule in (OUT, IN)]
            watched = [Watched(name=f"t{number}", service=f"s{number}", up=True) for number in range(5)]
            facts = Facts(query=query, watched=watched, incidents=[self.incident] if self.incident else [])
            await self.remediator.step(now, self.clock.monotonic(), seen, facts)

    def _answers(self, recent: list[float]) -> dict[str, float | None]:
        load, room = recent[-1], PER_WORKER * self.pool.running
        return {
            "load": load,
            "max_over_time": max(recent),
            "count_over_time": float(len(recent)),
            "high": 1.0 if load > 1.1 * room else None,
            "low": 1.0 if load < 0.8 * room and self.pool.running > LEAST else None,
            "worse": None,
        }

    @staticmethod
    def _seen(rule: str, now: datetime, value: float | None) -> Observation:
        bad = value is not None
        newest = now - timedelta(seconds=1)
        return Observation(rule=rule, at=now, bad=bad, observers={"probe": bad}, newest_sample_at=newest)

    def _rival(self, now: datetime) -> None:
        """Somebody else's idea of the right size, from their own figures."""
        if not self.rival_every or now < self.rival_at:
            return
        self.rival_at = now + timedelta(seconds=self.rival_every * self.chance.uniform(0.5, 1.5))
        if self.chance.random() < 0.5:
            wanted = math.ceil(self.load(now) * self.chance.uniform(0.7, 1.4) / PER_WORKER)
            self.pool.set("they", min(max(wanted, LEAST), MOST))

    def fights(self, within: timedelta = timedelta(minutes=5)) -> list[tuple[Any, Any]]:
        """Changes of ours that undo a change, ours or theirs, of the last minutes."""
        found = []
        for place, later in enumerate(self.pool.changes):
            for earlier in self.pool.changes[:place]:
                opposite = (later[3] > later[2]) != (earlier[3] > earlier[2])
                if later[1] == "we" and opposite and later[0] - earlier[0] < within:
                    found.append((earlier, later))
        return found

    def ours(self) -> int:
        return sum(who == "we" for _, who, _, _ in self.pool.changes)

    def close(self) -> None:
        self.actuator.core._journal.close()
        self.state.close()
