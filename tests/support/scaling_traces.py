"""Loads as they come, with gaps and NaN in them, and a pair of scaling rules that answers to them.

What decides is remediation's own: the load of the window, the number wanted, the rest between two actions. Only the
confirmation is left out, which would make it calmer.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from support.remedies import NOON, passing

from remediation.gates.limits import cooldown
from remediation.scaling import bounds_of, load_now, wanted
from remediation.situation import Effect, Impact, Situation
from watchkeeper.errors import ActionError
from watchkeeper.model import Labels, RiskClass, Scale

BEAT = timedelta(seconds=15)
WINDOW = timedelta(minutes=5)
LOOKS = int(WINDOW / BEAT)
REST = timedelta(minutes=10)


class Load:
    """One number a beat: finite, NaN, or no sample at all (``present`` is False there)."""

    def __init__(self, values: np.ndarray[Any, Any], present: np.ndarray[Any, Any]) -> None:
        self.values, self.present = values, present
        known = present & np.isfinite(values) & (values >= 0)
        padded = np.concatenate([np.zeros(LOOKS - 1, bool), known])
        self.known = np.lib.stride_tricks.sliding_window_view(padded, LOOKS).sum(axis=1)
        sampled = np.concatenate([np.zeros(LOOKS - 1, bool), present | np.roll(present, 1)])
        self.fresh = np.lib.stride_tricks.sliding_window_view(sampled, LOOKS).sum(axis=1)
        shown = np.concatenate([np.full(LOOKS - 1, -math.inf), np.where(known, values, -math.inf)])
        self.most = np.lib.stride_tricks.sliding_window_view(shown, LOOKS).max(axis=1)
        self.beat = 0

    def __call__(self, expr: str, at: datetime) -> Sequence[tuple[Labels, float]]:
        """PromQL's own answers to the questions that scaling asks."""
        del at
        if expr.startswith("count_over_time((count("):
            return [((), float(self.fresh[self.beat]))] if self.fresh[self.beat] else []
        if expr.startswith("count_over_time"):
            return [((), float(self.known[self.beat]))] if self.known[self.beat] else []
        if expr.startswith("max_over_time"):
            return [((), float(self.most[self.beat]))] if self.known[self.beat] else []
        return [((), float(self.values[self.beat]))] if self.present[self.beat] else []


def load(chance: random.Random, beats: int) -> np.ndarray[Any, Any]:
    """A level with noise, waves, steps and bursts."""
    made = np.random.default_rng(chance.getrandbits(32))
    time = np.arange(beats)
    level = chance.uniform(0.0, 400.0)
    wave = chance.uniform(0.0, 0.6) * np.sin(2 * math.pi * (time / chance.uniform(20, 400) + chance.random()))
    steps = made.choice([0.3, 1.0, 1.0, 1.0, 2.5], size=beats // 40 + 1).repeat(40)[:beats]
    noise = made.normal(1.0, chance.uniform(0.0, 0.2), beats)
    made_up: np.ndarray[Any, Any] = np.maximum(level * (1 + wave) * steps * noise, 0.0)
    return made_up


def holes(chance: random.Random, values: np.ndarray[Any, Any]) -> Load:
    """The same load with gaps and NaN in it."""
    spoiled, present = values.copy(), np.ones(len(values), bool)
    for _ in range(chance.randint(1, 6)):
        first, length = chance.randrange(len(values)), chance.choice((1, 1, 2, 5, 20, 60))
        if chance.random() < 0.5:
            present[first : first + length] = False
        else:
            spoiled[first : first + length] = chance.choice((math.nan, math.inf, -1.0))
    return Load(spoiled, present)


def rules(chance: random.Random) -> tuple[Scale, Scale]:
    least = chance.randint(1, 5)
    common: dict[str, Any] = {
        "load": "load",
        "per_worker": chance.uniform(2.0, 60.0),
        "min": least,
        "max": least + chance.randint(0, 30),
        "tolerance": chance.choice((0.0, 0.05, 0.1, 0.2)),
    }
    out = Scale(direction="out", step=chance.choice((1, 2, 100)), **common)
    return out, Scale(direction="in", step=chance.choice((1, 1, 2)), **common)


@dataclass
class Pool:
    """So many run, changed by the two rules alone. ``changes``: beat, before, after."""

    scales: tuple[Scale, Scale]
    running: int
    effects: list[Effect] = field(default_factory=list)
    changes: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert not any(scale.schedule for scale in self.scales)  # the same bounds all day
        self._bounds = {scale: bounds_of(scale, NOON) for scale in self.scales}

    def decide(self, scale: Scale, seen: Load) -> int:
        """The number the rule asks for now; what is not known asks for nothing."""
        now = NOON + seen.beat * BEAT
        try:
            found = load_now(scale, seen, now, WINDOW, BEAT)
        except ActionError:
            return self.running
        return wanted(scale, found, self.running, bounds=self._bounds[scale]).count

    def decisions(self, seen: Load) -> dict[str, int]:
        return {scale.direction: self.decide(scale, seen) for scale in self.scales}

    def beat(self, seen: Load, asked: Mapping[str, int] | None = None) -> None:
        """The first rule that asks for another number gets it, when the pool has rested."""
        now = NOON + seen.beat * BEAT
        for direction, count in (asked or self.decisions(seen)).items():
            if count != self.running and self._rested(direction, now):
                self.effects = [*self.effects, _effect(now, direction)][-3:]
                self.changes.append((seen.beat, self.running, count))
                self.running = count
                return

    def _rested(self, direction: str, now: datetime) -> bool:
        base = SITUATIONS[direction]
        return cooldown(replace(base, now=now, effects=tuple(self.effects))).passed


def _situation(direction: str) -> Situation:
    impact = Impact(
        touched=("x",),
        healthy_after=1.0,
        total=1.0,
        floor=1.0,
        ceiling=99.0,
        direction=direction,
        risk=RiskClass.A2,
        scaling=True,
    )
    base = passing()
    return replace(base, impact=impact, rule=replace(base.rule, cooldown=REST))


SITUATIONS = {direction: _situation(direction) for direction in ("out", "in")}


def _effect(at: datetime, direction: str) -> Effect:
    return Effect(at=at, action_id="act", rule="r", target="web", operation="execute", direction=direction)


def reversals(changes: Sequence[tuple[int, int, int]]) -> list[timedelta]:
    """Time between each change and the one before it, where the two went opposite ways."""
    pairs = itertools.pairwise(changes)
    return [(two[0] - one[0]) * BEAT for one, two in pairs if (one[2] > one[1]) != (two[2] > two[1])]
