"""What a plan says of the world after it, in figures; and how far off it was.

A prediction is made with the plan, whatever the mode, and kept in its evidence: the hash that people approve does not
cover it, since figures move while the plan stays the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from watchkeeper.errors import QueryError
from watchkeeper.model import Expectation, RemedyRule

from .gates import GATES
from .links import RETURN
from .plan import Planned
from .settings import Settings
from .situation import Query, Situation

#: A figure that was promised "about" may be off by this share.
ABOUT = 0.2
#: Nothing is divided by less than this.
TINY = 1e-9


def prediction(
    rule: RemedyRule, planned: Planned, settings: Settings, query: Query, at: datetime, counted: Mapping[str, Any]
) -> dict[str, object]:
    """Metric before and expected after, symptom now, and money an hour before and after; None is not known.

    ``counted``: the evidence of a scaling rule's number, empty for others.
    """
    return {
        "metrics": [_foretold(one, query, at) for one in _expectations(rule, counted)],
        "symptom_before": _there(query, rule.verify, at),
        "touched": list(planned.impact.touched),
        "healthy_after": planned.impact.healthy_after,
        "unchecked_after": planned.impact.unchecked_after,
        "cost": _cost(rule, settings, counted),
    }


def objections(situation: Situation, *, last: str = "approval") -> list[dict[str, str]]:
    """Everything that speaks against it, not the first alone: what a plan in dry-run tells people."""
    found: list[dict[str, str]] = []
    for name, gate in GATES:
        verdict = gate(situation)
        if not verdict.passed:
            found.append({"gate": name, "reason": verdict.reason})
        if name == last:
            break
    return found


def measured(foretold: Mapping[str, Any], query: Query, at: datetime) -> dict[str, object]:
    """Every metric of a prediction as it is now, and how far off: a share of what was said, positive is worse."""
    found = []
    for one in foretold.get("metrics") or []:
        value = worst(query, one["metric"], one["sense"], at)
        error = None if value is None else off(one["sense"], one["value"], value)
        found.append({"metric": one["metric"], "value": value, "error": error, "kept": _kept(one["sense"], error)})
    return {"metrics": found}


def worst(query: Query, expr: str, sense: str, at: datetime) -> float | None:
    """The series that keeps the promise least; None when nothing is known."""
    try:
        values = [value for _, value in query(expr, at)]
    except QueryError:
        return None
    if not values or not all(math.isfinite(value) for value in values):
        return None
    return min(values) if sense == "at_least" else max(values)


def off(sense: str, said: float, value: float) -> float:
    """How much worse than said, as a share of what was said; below 0 it is better."""
    if sense == "other_than":
        return float(value == said)
    gap = said - value if sense == "at_least" else value - said
    return gap / max(abs(said), TINY) if said else gap


def _kept(sense: str, error: float | None) -> bool | None:
    if error is None:
        return None
    return abs(error) <= ABOUT if sense == "about" else error <= TINY


def _expectations(rule: RemedyRule, counted: Mapping[str, Any]) -> list[Expectation]:
    found = [rule.expect] if rule.expect else []
    if rule.scale is not None and counted:
        share, per = counted["load"] / max(counted["count"], 1), rule.scale.per_worker * (1 + rule.scale.tolerance)
        each = f"({rule.scale.load}) / {counted['count']}"
        found.append(Expectation(metric=each, sense="at_most", value=max(share, per)))
    return found


def _foretold(one: Expectation, query: Query, at: datetime) -> dict[str, object]:
    before = worst(query, one.metric, one.sense, at)
    return {"metric": one.metric, "sense": one.sense, "value": one.value, "before": before}


def _there(query: Query, expr: str, at: datetime) -> bool | None:
    """Is the symptom there now? An empty answer is "no": it decides nothing here, it is only told."""
    try:
        values = [value for _, value in query(expr, at)]
    except QueryError:
        return None
    return None if any(math.isnan(value) for value in values) else any(value != 0 for value in values)


def _cost(rule: RemedyRule, settings: Settings, counted: Mapping[str, Any]) -> dict[str, float] | None:
    """Money an hour, from what is declared: for each worker, for each side of a link, or by the rule itself."""
    link = settings.link(rule.link)
    if rule.scale is not None and rule.scale.cost_per_worker > 0 and counted:
        before, after = (rule.scale.cost_per_worker * counted[key] for key in ("running", "count"))
    elif link is not None and (link.primary_cost or link.backup_cost):
        before, after = link.primary_cost, link.backup_cost
        if rule.name.endswith(RETURN):
            before, after = after, before
    elif rule.expect is not None and rule.expect.cost_per_hour is not None:
        return {"change": rule.expect.cost_per_hour}
    else:
        return None
    return {"before": before, "after": after, "change": after - before}
