"""When to page: evidence beyond a limit that rises where a series would otherwise page more than its budget.

Evidence is what begins, or what has gone on for some samples and was not told. The limit is raised by the logarithm of
the series' own rate of alarms over its budget, so that strong evidence still passes where weak evidence has used the
budget up. An alarm counts against the budget some samples later, and less the more likely what followed it belonged to
something odd: a series with many incidents is no noisy one. One episode opens one alarm: within it, and for an hour,
only stronger evidence opens another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Array, State
from .fusion import chance

#: Days over which a series' own rate of alarms is counted.
DAYS = 40.0
#: Days for which a view by the time of day is new, and the evidence that is doubted then.
NEW, DOUBT = 0.125, 3.0
#: Share of the budget that is aimed at: how a series goes on is never quite how it went.
AIMED = 0.87
#: Days for which a new series is taken to have kept to its budget.
TRUSTED_DAYS = 10.0
#: Evidence at which an alarm opens while the rate equals the budget: that something begins, that it goes on.
LIMIT, LASTING_LIMIT = -1.5, -0.9
#: How much lower both are where time stamps are not real: what is looked through afterwards wakes nobody.
CLOCKLESS = 1.0
#: How much the limit rises when the rate grows by a factor of e.
RISE = 2.75
#: How much the evidence that opened an alarm must still be exceeded by falls in a sample.
FALL = 0.3
#: How much the limit is raised by an alarm, and the days in which that falls to a third.
AGAIN, AGAIN_DAYS = 2.5, 1.0 / 24.0
#: Samples after an alarm by which it is known what it was.
SETTLED = 5
#: The evidence that it goes on at which an alarm is as likely right as wrong, how fast that turns, and the largest
#: part of an alarm that does not count: a budget of a twentieth is kept whatever goes on.
EVEN, TURN, SPARED = -0.5, 3.0, 0.95
#: Samples without evidence that it goes on after which what was told is over.
CALM = 20
#: What is remembered of each series' alarms, and how exactly.
WALKED = {"rate": np.float64, "held": np.float32, "again": np.float32, "due": np.int8, "told": np.int8}


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one series."""

    a_day: float  #: alarms a day that may be false
    samples_a_day: float


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What speaks for an alarm; logits [series, time]."""

    begins: Array
    lasts: Array | None = None  #: the mean of some samples; None: not known, every alarm counts whole
    less: Array | float = 0.0  #: what both count less


def start_rows(count: int) -> dict[str, Array]:
    kinds = WALKED | {"moved": np.float64, "timed": np.float32}
    return {f"alarm_{part}": np.zeros(count, kind) for part, kind in kinds.items()}


def doubt(state: State, timed: Array, budget: Budget) -> Array | float:
    """Evidence that counts for nothing while a series is judged by the time of day for the first time.

    A new view of a series is no news of it. ``timed``: where it is judged so, [series, time].
    """
    new, before = NEW * budget.samples_a_day, state.rows["alarm_timed"]
    if (before >= new).all() or not timed.any():
        return 0.0
    count = before[:, None] + np.cumsum(timed, axis=1)
    state.rows["alarm_timed"] = np.minimum(count[:, -1], new).astype(np.float32)
    return np.asarray(np.where(timed & (count <= max(new, 1.0)), DOUBT, 0.0))


def judge(state: State, evidence: Evidence, enough: Array, seen: Array, budget: Budget) -> Array:
    """1 where an alarm opens, else 0: [series, time]. ``seen``: samples of each series before each of these.

    ``alarm_moved`` of the state, set from outside, is how much each series' limit was moved by people's words.
    """
    less = state.rows["alarm_moved"][:, None] + evidence.less
    over = np.where(enough, evidence.begins - LIMIT - less, 0.0)
    late = None if evidence.lasts is None else np.where(enough, evidence.lasts - LASTING_LIMIT - less, 0.0)
    opened, walk, length = np.zeros(over.shape), _Walk.of(state, budget), over.shape[1]
    telling: Array = (over if late is None else np.maximum(over, late)).max(axis=0, initial=0.0) > 0
    telling[[due - 1 for due in np.unique(walk.due).tolist() if 0 < due <= length]] = True
    for at in range(length):
        if telling[at]:
            cost = 1.0 if evidence.lasts is None else _cost(evidence.lasts[:, at])
            walk.go_on_to(at + 1, cost)
            rings = walk.ring(over[:, at], None if late is None else late[:, at], seen[:, at], cost)
            opened[:, at] = rings
            if at + SETTLED < length:
                telling[at + SETTLED] |= rings.any()
    walk.go_on_to(length, 1.0)
    state.rows |= {f"alarm_{part}": getattr(walk, part).astype(kind) for part, kind in WALKED.items()}
    return opened


def _cost(lasts: Array) -> Array:
    """How much an alarm counts against the budget, by what followed it."""
    return np.asarray(1.0 - SPARED * chance(TURN * (lasts - EVEN)))


@dataclass(slots=True)
class _Walk:
    """What is remembered of alarms, while a block is gone through; arrays are [series]."""

    rate: Array  #: alarms counted, forgotten over DAYS
    held: Array  #: evidence over the limit that opened the last one, 0 when forgotten
    again: Array  #: how much the limit is raised by it
    due: Array  #: samples left until it is settled; 0: it is
    told: Array  #: samples left until what it told is over
    budget: Budget
    at: int = 0  #: samples of the block gone through

    @classmethod
    def of(cls, state: State, budget: Budget) -> _Walk:
        rate, held, again, due, told = (state.rows[f"alarm_{part}"] for part in WALKED)
        return cls(rate, held, again, due, told, budget)

    def go_on_to(self, at: int, cost: Array | float) -> None:
        """Forget what so many samples make forgotten; an alarm that is due costs so much."""
        samples, days = at - self.at, (at - self.at) / self.budget.samples_a_day
        if samples:
            fewer = min(samples, CALM)  # a byte holds no more
            left = np.maximum(self.due - fewer, 0)
            self.rate = self.rate * np.exp(-days / DAYS) + ((self.due > 0) & (left == 0)) * cost
            self.held = np.maximum(self.held - FALL * samples, 0.0)
            self.again = self.again * np.exp(-days / AGAIN_DAYS)
            self.due, self.told, self.at = left, np.maximum(self.told - fewer, 0), at

    def ring(self, over: Array, late: Array | None, seen: Array, cost: Array | float) -> Array:
        """Where an alarm opens; an earlier one that is not settled yet is settled with it."""
        strength = over
        if late is not None:
            goes_on = (late > 0) & (self.told > 0)
            self.told = np.where(goes_on, CALM, self.told)
            strength = np.maximum(over, np.where(goes_on, 0.0, late))
        rings = strength > np.maximum(self._limit(seen), self.held)
        self.rate = self.rate + (rings & (self.due > 0)) * cost
        self.held = np.where(rings, strength, self.held)
        self.again = np.where(rings, AGAIN, self.again)
        self.due, self.told = np.where(rings, SETTLED, self.due), np.where(rings, CALM, self.told)
        return np.asarray(rings)

    def _limit(self, seen: Array) -> Array:
        """How much the limits are raised: by an alarm of late, and by the budgets that the alarms counted are."""
        days = DAYS * -np.expm1(-seen / (DAYS * self.budget.samples_a_day))
        budgets = (self.rate / (AIMED * self.budget.a_day) + TRUSTED_DAYS) / (days + TRUSTED_DAYS)
        return np.asarray(RISE * np.log(np.maximum(budgets, 1.0)) + self.again)
