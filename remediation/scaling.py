"""How many workers a load needs: an absolute number, between a declared floor and ceiling, by limited steps.

The number follows from the load, never from the last number, so that the same load gives the same number however
often it is asked. What is not known changes nothing: the caller refuses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchkeeper.errors import ActionError, QueryError
from watchkeeper.model import RemedyRule, Scale
from watchkeeper.ports import Reading
from watchkeeper.promql import unbroken

from .gates.evidence import FRESH_INTERVALS
from .plan import Planned
from .scale_times import scheduled
from .situation import Query, Situation

#: More is never needed: a load without bounds asks for no infinite number.
MOST_WORKERS = 1e9
#: Finer steps than this are not asked of the past.
FINEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Least and most that may run now: by the rule, the hour and the money. The least is kept whatever it costs."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The number wanted, and where it comes from."""

    count: int
    load: float
    running: int
    needed: int  #: by the load alone, before limits
    expected: float | None = None  #: the forecast's load
    bounds: Bounds

    def evidence(self) -> dict[str, object]:
        found: dict[str, object] = {
            "load": self.load,
            "running": self.running,
            "needed": self.needed,
            "count": self.count,
            "least": self.bounds.least,
            "most": self.bounds.most,
        }
        return found if self.expected is None else {**found, "expected": self.expected}


def bounds_of(scale: Scale, at: datetime) -> Bounds:
    """``min`` and ``max``, the hour's own least, and what the ceiling of cost affords."""
    least = min(max(scale.min, scheduled(scale.schedule, at)), scale.max)
    most = scale.max
    if scale.cost_ceiling > 0 and scale.cost_per_worker > 0:
        most = min(most, math.floor(scale.cost_ceiling / scale.cost_per_worker + 1e-9))
    return Bounds(least=least, most=max(most, least))


def wanted(
    scale: Scale, load: float, running: int, *, expected: float | None = None, bounds: Bounds | None = None
) -> Count:
    """Enough for the load, in the rule's one direction, inside its bounds, at most one step away.

    Those who stay after a scale-in still have ``tolerance`` in hand, so that a load which swings by less asks for
    nobody back.
    """
    bounds = bounds or Bounds(least=scale.min, most=scale.max)
    work = max(load, expected or 0.0)
    needed = _workers(work, scale)
    near = running > 0 and abs(work / (scale.per_worker * running) - 1) <= scale.tolerance
    if scale.direction == "out":
        count = running if near else needed
        count = max(running, min(max(min(count, bounds.most), bounds.least), running + scale.step))
    else:
        roomy = _workers(work * (1 + scale.tolerance), scale)
        count = running if near else min(max(roomy, bounds.least), bounds.most)
        count = min(running, max(count, running - scale.step))
    return Count(count=count, load=load, running=running, needed=needed, expected=expected, bounds=bounds)


def _workers(work: float, scale: Scale) -> int:
    return math.ceil(min(work / scale.per_worker, MOST_WORKERS) - 1e-9)


def load_now(scale: Scale, query: Query, at: datetime, window: timedelta, interval: timedelta) -> float:
    """The load; for scale-in the greatest of the stabilisation window, known at every look of it.

    Raises ActionError when it is not known: one gap or NaN in the window is enough.
    """
    if scale.direction == "out":
        return one_number("scale.load", scale.load, query, at)
    step = max(interval, FINEST)
    span = f"[{window.total_seconds():.0f}s:{step.total_seconds():.0f}s]"
    looks = math.floor(window / step)
    fresh = unbroken(scale.load, window, step, FRESH_INTERVALS * step)
    for asked in (f"count_over_time((({scale.load})>=0){span})", *fresh):
        known = one_number("scale.load", asked, query, at)
        if known < looks:
            raise ActionError(f"scale.load was known at {known:.0f} of {looks} looks: nobody is taken away")
    return one_number("scale.load", f"max_over_time(({scale.load}){span})", query, at)


def one_number(what: str, expr: str, query: Query, at: datetime) -> float:
    """Raises ActionError unless the answer is one finite number from 0 up."""
    try:
        values = [value for _, value in query(expr, at)]
    except QueryError as error:
        raise ActionError(f"{what} cannot be asked: {error}") from error
    if len(values) != 1 or not math.isfinite(values[0]) or values[0] < 0:
        raise ActionError(f"{what} must be one number from 0 up and is {values or 'nothing'}; write sum(...)")
    return values[0]


def expected_load(scale: Scale, query: Query, at: datetime) -> float | None:
    """The forecast. One that is not known adds nobody, and nobody is taken away without it."""
    if not scale.forecast:
        return None
    try:
        return one_number("scale.forecast", scale.forecast, query, at)
    except ActionError:
        if scale.direction == "in":
            raise
        return None


def guarded(scale: Scale, query: Query, at: datetime) -> None:
    """Raises ActionError while the budget guard has tripped, or cannot be known."""
    if not scale.cost_guard or scale.direction != "out":
        return
    try:
        values = [value for _, value in query(scale.cost_guard, at)]
    except QueryError as error:
        raise ActionError(f"scale.cost.guard cannot be asked: {error}") from error
    if any(value != 0 for value in values):  # NaN is not 0 either
        raise ActionError("the budget guard has tripped: nobody is added")


def resolved(
    rule: RemedyRule,
    planned: Mapping[str, object] | None,
    reading: Reading,
    query: Query,
    at: datetime,
    window: timedelta,
) -> tuple[RemedyRule, Mapping[str, object]]:
    """The rule with its scale as a plain ``count``, and why. ``planned``: parameters of the plan so far.

    Resolved once: a plan that names a count keeps it, or the plan that was approved would not be the one carried out.
    What it was made from is asked anew all the same: people may take their time. Raises ActionError when it is not
    known any more, when the budget guard has tripped, or when those who would be taken away are needed by now.
    """
    scale = rule.scale
    if scale is None:
        return rule, {}
    running = reading.capacity.get("total")
    if running is None:
        raise ActionError(f"target {rule.target!r} does not say how many run: it cannot be scaled by load")
    guarded(scale, query, at)
    load, expected = load_now(scale, query, at, window, rule.interval), expected_load(scale, query, at)
    found = wanted(scale, load, int(running), expected=expected, bounds=bounds_of(scale, at))
    if not planned or "count" not in planned:
        return replace(rule, parameters={"count": found.count}), {"scale": found.evidence()}
    if scale.direction == "in" and found.count > int(str(planned["count"])):
        raise ActionError(f"the load of {load:g} needs {found.count} by now: nobody is taken away")
    return replace(rule, parameters=dict(planned)), {}


def bounded(s: Situation) -> bool:
    """True when the plan is a step of a scaling rule between the minimum and maximum that its rule declares."""
    scale = s.rule.scale
    if scale is None or not s.impact.scaling or s.impact.direction != scale.direction:
        return False
    after = s.impact.total - (len(s.impact.touched) if scale.direction == "in" else 0)
    return scale.min <= after <= scale.max and len(s.impact.touched) <= scale.step


def scaled_enough(rule: RemedyRule, planned: Planned) -> str:
    """Why a scaling rule has nothing to do; empty when it has, or when the load needs more than may be run."""
    if rule.scale is None or planned.impact.problem or planned.impact.touched:
        return ""
    why = planned.plan.evidence.get("scale")
    if not isinstance(why, Mapping) or int(why["needed"]) > int(why["most"]):
        return ""
    return f"{why['running']} run, and the load of {why['load']:g} needs {why['needed']}"
