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

from .plan import Planned
from .situation import Query, Situation

#: Finer steps than this are not asked of the past.
FINEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The number wanted, and where it comes from."""

    count: int
    load: float
    running: int
    needed: int  #: by the load alone, before limits

    def evidence(self) -> dict[str, object]:
        return {"load": self.load, "running": self.running, "needed": self.needed, "count": self.count}


def wanted(scale: Scale, load: float, running: int) -> Count:
    """Enough for the load, in the rule's one direction, inside its bounds, at most one step away."""
    needed = math.ceil(load / scale.per_worker - 1e-9)
    near = running > 0 and abs(load / (scale.per_worker * running) - 1) <= scale.tolerance
    count = running if near else min(max(needed, scale.min), scale.max)
    if scale.direction == "out":
        count = max(running, min(count, running + scale.step))
    else:
        count = min(running, max(count, running - scale.step))
    return Count(count=count, load=load, running=running, needed=needed)


def load_now(scale: Scale, query: Query, at: datetime, window: timedelta, interval: timedelta) -> float:
    """The load; for scale-in the greatest of the stabilisation window. Raises ActionError when it is not known."""
    expr = scale.load
    if scale.direction == "in":
        step = max(interval, FINEST)
        expr = f"max_over_time(({expr})[{window.total_seconds():.0f}s:{step.total_seconds():.0f}s])"
    try:
        values = [value for _, value in query(expr, at)]
    except QueryError as error:
        raise ActionError(f"scale.load cannot be asked: {error}") from error
    if len(values) != 1 or not math.isfinite(values[0]) or values[0] < 0:
        raise ActionError(f"scale.load must be one number from 0 up and is {values or 'nothing'}; write sum(...)")
    return values[0]


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
    """
    scale = rule.scale
    if scale is None:
        return rule, {}
    if planned and "count" in planned:
        return replace(rule, parameters=dict(planned)), {}
    running = reading.capacity.get("total")
    if running is None:
        raise ActionError(f"target {rule.target!r} does not say how many run: it cannot be scaled by load")
    found = wanted(scale, load_now(scale, query, at, window, rule.interval), int(running))
    return replace(rule, parameters={"count": found.count}), {"scale": found.evidence()}


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
    if not isinstance(why, Mapping) or int(why["needed"]) > rule.scale.max:
        return ""
    return f"{why['running']} run, and the load of {why['load']:g} needs {why['needed']}"
