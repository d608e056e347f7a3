"""Is the symptom gone, and has nothing else got worse? Measured by the observers, never by an exit code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher, Observation
from watchkeeper.promql import nodes, parse, selectors

from .situation import Facts, Query

#: A sample of the symptom older than this says nothing of now, however seldom it is asked for.
STALE = timedelta(minutes=1)
#: Series of our own that are there only while something is wrong.
OURS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


def symptom(facts: Facts, expr: str, at: datetime, newest: Observation | None, since: datetime) -> bool | None:
    """True while it is there, False when it is gone, None when that cannot be known.

    An empty answer alone proves nothing: the rule's own evidence must have been seen, and known, after ``since``, and
    everything that the expression asks for must have brought a sample since then.
    """
    try:
        values = [value for _, value in facts.query(expr, at)]
        moments = [facts.newest(part, at) for part in needed(expr)]
    except QueryError:
        return None
    if any(not math.isfinite(value) for value in values):
        return None
    if any(value != 0 for value in values):
        return True
    alive = newest is not None and newest.bad is not None and newest.at > since
    told = all(moment is not None and moment > since and at - moment <= STALE for moment in moments)
    return False if alive and told else None


@lru_cache(maxsize=1024)
def needed(expr: str) -> tuple[Sequence[Matcher], ...]:
    """Selectors whose silence is no answer. ``x or vector(0)`` says itself what the silence of x means.

    Raises QueryError.
    """
    return tuple(dict.fromkeys(_needed(parse(expr))))


def _needed(node: nodes.Node) -> Iterator[tuple[Matcher, ...]]:
    if isinstance(node, nodes.Selector):
        if not any(each.name == "__name__" and each.value in OURS for each in node.matchers):
            yield node.matchers
        return
    if isinstance(node, nodes.Binary) and node.op == "or" and _is_number(node.rhs):
        return
    for child in nodes.children(node):
        yield from _needed(child)


def _is_number(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and node.name == "vector"


def silent(facts: Facts, guards: Iterable[str], at: datetime, since: datetime) -> str:
    """The first guard that nothing is known of since the effect; empty for none."""
    for expr in guards:
        moments = [facts.newest(matchers, at) for matchers, _range, _offset in selectors(expr)]
        known = all(moment is not None and moment > since for moment in moments)
        if not known or guards_now(facts.query, [expr], at)[expr] is None:
            return expr
    return ""


def guards_now(query: Query, guards: Sequence[str], at: datetime) -> dict[str, float | None]:
    """The worst value of every guarded SLI; None when it cannot be known."""
    found: dict[str, float | None] = {}
    for expr in guards:
        try:
            values = [value for _, value in query(expr, at)]
        except QueryError:
            values = []
        known = bool(values) and all(math.isfinite(value) for value in values)
        found[expr] = max(values) if known else None
    return found


def worse(before: Mapping[str, float | None], now: Mapping[str, float | None], tolerance: float) -> str:
    """The first guard that got worse, with both values; empty for none. Higher is worse."""
    for expr, was in before.items():
        value = now.get(expr)
        if was is not None and value is not None and value > was + tolerance * abs(was) + 1e-9:
            return f"{expr} rose from {was:g} to {value:g}"
    return ""
