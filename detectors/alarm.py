"""When to page: onsets beyond a limit that rises where a series would otherwise page more than its budget.

The limit is raised by the logarithm of the series' own rate of alarms over its budget, and faster beyond four budgets,
so that strong evidence still passes where weak evidence has used the budget up. One episode opens one alarm: within it
only stronger evidence opens another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Array, State

#: Days over which a series' own rate of alarms is counted.
DAYS = 20.0
#: Days for which a view by the time of day is new, and the evidence that is doubted then.
NEW, DOUBT = 0.125, 3.0
#: Days for which a new series is taken to have kept to its budget.
TRUSTED_DAYS = 10.0
#: Evidence at which an alarm opens while the rate equals the budget.
LIMIT = -2.0
#: How much the limit rises when the rate grows by a factor of e.
RISE = 2.0
#: Alarms over the budget by this factor make the limit rise by one for each further budget.
KNEE = 8.0
#: How much the evidence that opened an alarm must still be exceeded by falls in a sample.
FALL = 0.3


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one series."""

    a_day: float  #: alarms a day that may be false
    samples_a_day: float


def start_rows(count: int) -> dict[str, Array]:
    return {f"alarm_{part}": np.zeros(count) for part in ("rate", "held", "moved", "timed")}


def doubt(state: State, timed: Array, budget: Budget) -> Array | float:
    """Evidence that counts for nothing while a series is judged by the time of day for the first time.

    A new view of a series is no news of it. ``timed``: where it is judged so, [series, time].
    """
    new, before = NEW * budget.samples_a_day, state.rows["alarm_timed"]
    if (before >= new).all() or not timed.any():
        return 0.0
    count = before[:, None] + np.cumsum(timed, axis=1)
    state.rows["alarm_timed"] = np.minimum(count[:, -1], new)
    return np.asarray(np.where(timed & (count <= max(new, 1.0)), DOUBT, 0.0))


def judge(state: State, begins: Array, enough: Array, seen: Array, budget: Budget) -> Array:
    """1 where an alarm opens, else 0: [series, time]. ``seen``: samples of each series before each of these.

    ``alarm_moved`` of the state, set from outside, is how much each series' limit was moved by people's words.
    """
    rate, held = state.rows["alarm_rate"], state.rows["alarm_held"]  # held: evidence over LIMIT, 0 when forgotten
    keep = float(np.exp(-1.0 / (DAYS * budget.samples_a_day)))
    over = np.where(enough, begins - LIMIT - state.rows["alarm_moved"][:, None], 0.0)
    opened, done = np.zeros(begins.shape), 0
    for at in np.flatnonzero((over > 0).any(axis=0)).tolist():
        rate, held, done = rate * keep ** (at - done), np.maximum(held - FALL * (at - done), 0.0), at
        limit = _raised(_budgets(rate, seen[:, at], budget))
        rings = over[:, at] > np.maximum(limit, held)
        rate, held = rate + rings, np.where(rings, over[:, at], held)
        opened[:, at] = rings
    waited = begins.shape[1] - done
    state.rows["alarm_rate"], state.rows["alarm_held"] = rate * keep**waited, np.maximum(held - FALL * waited, 0.0)
    return opened


def _budgets(rate: Array, seen: Array, budget: Budget) -> Array:
    """How many budgets the alarms counted are, for the days counted and those trusted."""
    days = DAYS * -np.expm1(-seen / (DAYS * budget.samples_a_day))
    return np.asarray((rate / budget.a_day + TRUSTED_DAYS) / (days + TRUSTED_DAYS))


def _raised(budgets: Array) -> Array:
    """How much the limit is raised where the rate of alarms is so many budgets."""
    return np.asarray(RISE * np.log(np.maximum(budgets, 1.0)) + np.maximum(budgets - KNEE, 0.0))
