"""Hours of a healthy dual link seen through an unreliable watcher: the real remediation engine and rule evaluation on a
manual clock, with observers that lose probes, fall silent and are cut off.

Nothing is ever wrong with the primary unless ``fault`` says so, so every effect is a wrong one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from support.fast_state import without_threads
from support.hours_leap import leap, uneventful
from support.memory_state import MemoryState
from support.remediator import World
from support.remedies import NOON, RULE

from remediation.situation import Facts, Watched
from rules.observe import observe
from watchkeeper.model import Labels

#: Seconds between two evaluations, the default of rules and sources.
BEAT = 15.0
#: A lost probe looks like a dead target.
LOSS = 0.01
#: A user's own broken connection, in a healthy pool.
NOISE = 0.001
#: Means, in hours, between two pauses, partitions, restarts and steps of the wall clock.
PAUSE_EVERY, PARTITION_EVERY, RESTART_EVERY, JUMP_EVERY = 3.0, 2.0, 48.0, 72.0
LOOKBACK = timedelta(minutes=5)
#: The passive signal is a rate over a minute: what a cut added to it stays for so many seconds.
LINGER = 60.0

#: What chance decides at every beat, in this order: four mishaps, whether each of the six readings is lost, and noise.
MISHAPS = np.array([BEAT / 3600 / every for every in (PAUSE_EVERY, PARTITION_EVERY, RESTART_EVERY, JUMP_EVERY)])
LIMITS = np.array([*MISHAPS, *[LOSS] * 6, NOISE])
#: Beats whose chances are drawn at once.
BLOCK = 4096

PRIMARY, BACKUP, FRONT = (f'probe_success{{copy="{name}"}}' for name in ("primary", "backup", "front"))
ERRORS = "rate(errors_total[1m])"
NORTH, SOUTH = "north", "south"
PROBED = (PRIMARY, BACKUP, FRONT, NORTH, SOUTH)
EVERYTHING = frozenset({PRIMARY, BACKUP, FRONT, ERRORS, NORTH, SOUTH})
HOURS_RULE = replace(
    RULE,
    name="maps",
    link="maps",
    target="",
    parameters={},
    when=f"{PRIMARY} == 0",
    observers={"passive": f"{ERRORS} > 0"},
    verify=f"{FRONT} == 0",
)
LINK: dict[str, Any] = {
    "name": "maps",
    "service": "shop",
    "target": "web",
    "primary": "web1",
    "backup": "web2",
    "primary_probe": PRIMARY,
    "backup_probe": BACKUP,
}


@dataclass(frozen=True, slots=True)
class Partition:
    """What cannot be seen, and what looks broken although it is not."""

    name: str
    lost: frozenset[str]  #: no sample comes
    dead: frozenset[str]  #: the probe says that its target is dead
    errors: bool = False  #: the passive signal shows errors of the cut, not of the service


PARTITIONS = (
    Partition("from everything", frozenset({ERRORS}), EVERYTHING - {ERRORS}),
    Partition("from everything, silently", EVERYTHING, frozenset()),
    Partition("from the primary", frozenset(), frozenset({PRIMARY})),
    Partition("from the backup", frozenset(), frozenset({BACKUP})),
    Partition("from the primary's site", frozenset({ERRORS}), frozenset({PRIMARY, FRONT})),
    Partition("of our own uplink", frozenset(), frozenset({PRIMARY, FRONT, NORTH, SOUTH}), errors=True),
    Partition("from the canaries", frozenset(), frozenset({NORTH, SOUTH})),
)


def healthy(_now: datetime) -> bool:
    """The primary's truth while no test says otherwise."""
    return False


@lru_cache(maxsize=32)
def _watched(name: str, up: bool | None) -> Watched:
    return Watched(name=name, service=name if name in (NORTH, SOUTH) else "shop", up=up)


class Hours(World):
    """``run`` lets hours pass; ``events`` counts what befell the watcher. ``leaps``: over beats where all is well."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        fault: Callable[[datetime], bool] = healthy,
        leaps: bool = True,
        open_state: Callable[[str], Any] = MemoryState,
    ) -> None:
        super().__init__(folder, HOURS_RULE, links=[LINK], canaries=[NORTH, SOUTH], open_state=open_state)
        self.chance, self.fault, self.leaps = random.Random(seed), fault, leaps
        self._dice = np.random.default_rng(seed)
        self._place, self._chances = BLOCK, [[1.0]]
        self._eventful = np.zeros(0, np.intp)  #: places in the block at which something happens
        self.samples: dict[str, tuple[datetime, float]] = {}
        self.events: Counter[str] = Counter()
        self.partition: Partition | None = None
        self.until = self.lingers_until = self.clock.monotonic()  #: of the world, whatever the watcher's clock says
        self.beats, self.canary_every = 0, 1  #: canaries are tried once in so many beats
        self.pool.servers = {"web1": {"state": "ready", "weight": 100}, "web2": {"state": "maint", "weight": 100}}
        self.remediator.people.declare("maps", "ada", "a dual link", NOON)

    def run(self, hours: float, enough: Callable[[], bool] = lambda: False) -> float:
        """Let so many hours pass; answers how many did before ``enough`` was true."""
        with without_threads():
            return asyncio.run(self._run(hours, enough))

    async def _run(self, hours: float, enough: Callable[[], bool]) -> float:
        began = self.clock.monotonic()
        end = began + hours * 3600
        while self.clock.monotonic() < end and not enough():
            if self.leaps and (beats := uneventful(self, int((end - self.clock.monotonic()) / BEAT))):
                leap(self, beats)
                continue
            self._befall()
            await self._beat()
            self._place += 1
        return (self.clock.monotonic() - began) / 3600

    def now_drawn(self) -> list[float]:
        """The chances of this beat."""
        if self._place >= BLOCK:
            drawn = self._dice.random((BLOCK, len(LIMITS)))
            self._chances, self._place = drawn.tolist(), 0
            self._eventful = np.flatnonzero((drawn < LIMITS).any(axis=1))
        return self._chances[self._place]

    def uneventful_drawn(self) -> int:
        """At how many beats from this one on chance lets all be well, as far as it is drawn."""
        self.now_drawn()
        found = int(np.searchsorted(self._eventful, self._place))
        return int(self._eventful[found] if found < len(self._eventful) else BLOCK) - self._place

    def drawn(self, beats: int) -> None:
        """So many beats are over."""
        self._place += beats

    async def _beat(self) -> None:
        self.clock.advance(BEAT)
        self._collect()
        await self._look()

    async def _look(self) -> None:
        now = self.clock.now()
        seen = [observe(rule, now, self.query, self.newest) for rule in self.rules]
        await self.remediator.step(now, self.clock.monotonic(), seen, self._facts())

    def _facts(self) -> Facts:
        reached = {name: self._reached(name) for name in PROBED}
        watched = [_watched(name, up) for name, up in reached.items()]
        canaries = {name: reached[name] for name in (NORTH, SOUTH)}
        asked = {name: self.samples[name][0] for name in (NORTH, SOUTH) if name in self.samples}
        incidents = [self.incident] if self.incident else []
        return Facts(query=self.query, watched=watched, canaries=canaries, asked=asked, incidents=incidents)

    # --- what is seen ---

    def query(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        series, _, _limit = expr.partition(" == 0") if " == 0" in expr else expr.partition(" > 0")
        filtered, sample = series != expr, self.samples.get(series)
        if sample is None or at - sample[0] > LOOKBACK:
            return []
        value = sample[1]
        if not filtered:
            return [((), value)]
        met = value == 0 if expr.endswith("== 0") else value > 0
        return [((), value)] if met else []

    def newest(self, expr: str, at: datetime) -> datetime | None:
        sample = self.samples.get(expr.removesuffix(" == 0").removesuffix(" > 0"))
        return sample[0] if sample is not None and at - sample[0] <= LOOKBACK else None

    def _reached(self, name: str) -> bool | None:
        sample = self.samples.get(name)
        return None if sample is None else sample[1] > 0

    def _collect(self) -> None:
        """One round of probes, by what is true, what is cut and what gets lost."""
        now, cut = self.clock.now(), self._cut()
        self.beats += 1
        dead, drawn = self.fault(now), self.now_drawn()[len(MISHAPS) :]
        serves = self.pool.servers["web2" if dead else "web1"]["state"] == "ready"
        truth = {PRIMARY: not dead, BACKUP: True, FRONT: serves, NORTH: True, SOUTH: True}
        for number, (name, alive) in enumerate(truth.items()):
            if name in (NORTH, SOUTH) and self.beats % self.canary_every:
                continue
            if cut is None or name not in cut.lost:
                lost = drawn[number] < LOSS or (cut is not None and name in cut.dead)
                self.samples[name] = (now, float(alive and not lost))
        if (cut is None or ERRORS not in cut.lost) and drawn[-2] >= LOSS:
            used = self.pool.servers["web1"]["state"] == "ready"
            if (dead and used) or (cut is not None and cut.errors):
                self.lingers_until = self.clock.monotonic() + LINGER
            bad = self.clock.monotonic() < self.lingers_until or drawn[-1] < NOISE
            self.samples[ERRORS] = (now, float(bad))

    def _cut(self) -> Partition | None:
        return self.partition if self.clock.monotonic() < self.until else None

    # --- what befalls the watcher ---

    def _befall(self) -> None:
        happen = (self._pause, self._divide, self._restart, self._jump)
        for drawn, limit, befalls in zip(self.now_drawn(), MISHAPS, happen, strict=False):
            if drawn < limit:
                befalls()

    def _pause(self) -> None:
        """The watcher stands still, sometimes while it is cut off; the world does not."""
        self.events["pauses"] += 1
        self.clock.advance(self.chance.choice((5.0, 20.0, 43.0, 300.0, 3600.0)) * self.chance.uniform(0.5, 1.5))

    def _divide(self) -> None:
        self.partition = self.chance.choice(PARTITIONS)
        self.events[f"partitions {self.partition.name}"] += 1
        minutes = self.chance.choice((0.5, 0.75, 3.0, 20.0)) * self.chance.uniform(0.5, 1.5)
        self.until = self.clock.monotonic() + minutes * 60

    def _restart(self) -> None:
        self.events["restarts"] += 1
        self.start()

    def _jump(self) -> None:
        self.events["jumps of the clock"] += 1
        self.clock.jump(timedelta(seconds=self.chance.choice((-3600, -300, 300, 3600))))

    def close(self) -> None:
        self.actuator.core._journal.close()
        self.state.close()
