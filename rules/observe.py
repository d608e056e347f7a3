"""One look at one remediation rule: is it bad, who else says so, and on how fresh a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Observation, RemedyRule
from watchkeeper.ports import Query
from watchkeeper.promql import nodes, parse

#: Time of the newest sample that any selector of the expression sees at that moment; None when there is none.
Newest = Callable[[str, datetime], datetime | None]

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
#: A sample older than this many intervals is no evidence (RELIABILITY 2.1, gate 2).
FRESH_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class _Look:
    bad: bool | None
    series: Sequence[tuple[Labels, float]] = ()
    newest: datetime | None = None
    reason: str = ""


def observe(rule: RemedyRule, now: datetime, query: Query, newest: Newest) -> Observation:
    """Bad while ``when`` returns series (comparison) or a value other than 0; None when it cannot be known."""
    look = _look(rule.when, rule, now, query, newest)
    witnesses = {name: _look(expr, rule, now, query, newest) for name, expr in rule.observers.items()}
    return Observation(
        rule=rule.name,
        at=now,
        bad=look.bad,
        series=look.series,
        observers={name: one.bad for name, one in witnesses.items()},
        sampled={name: one.newest for name, one in witnesses.items() if one.newest is not None},
        newest_sample_at=look.newest,
        reason=look.reason,
    )


def _look(expr: str, rule: RemedyRule, now: datetime, query: Query, newest: Newest) -> _Look:
    try:
        sample_at = newest(expr, now)
        answer = list(query(expr, now))
    except QueryError as error:
        return _Look(None, reason=f"query_failed: {error}")
    if sample_at is None:
        return _Look(None, answer, None, "no_data")
    if now - sample_at > FRESH_INTERVALS * rule.interval:
        age = (now - sample_at).total_seconds()
        return _Look(None, answer, sample_at, f"stale: newest sample is {age:.0f} s old")
    if any(not math.isfinite(value) for _, value in answer):
        return _Look(None, answer, sample_at, "not_finite")
    if filters(expr):
        return _Look(bool(answer), answer, sample_at, "condition_met" if answer else "condition_clear")
    if not answer:
        return _Look(None, answer, sample_at, "no_data")
    bad = any(value != 0 for _, value in answer)
    return _Look(bad, answer, sample_at, "condition_met" if bad else "condition_clear")


@lru_cache(maxsize=1024)
def filters(expr: str) -> bool:
    """True when an empty answer means "all is well": the expression ends in a comparison, absent() or a set of them."""
    return _filters(parse(expr))


def _filters(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Binary):
        if node.op in COMPARISONS:
            return not node.bool
        if node.op in ("and", "unless"):
            return _filters(node.lhs) or _filters(node.rhs)
        return node.op == "or" and _filters(node.lhs) and _filters(node.rhs)
    if isinstance(node, nodes.Call):
        return node.name in ("absent", "absent_over_time")
    return isinstance(node, nodes.Aggregate) and _filters(node.expr)
