"""Is the symptom gone, and has nothing else got worse? Measured by the observers, never by an exit code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from watchkeeper.errors import QueryError
from watchkeeper.model import Observation

from .situation import Query


def symptom(query: Query, expr: str, at: datetime, newest: Observation | None, since: datetime) -> bool | None:
    """True while it is there, False when it is gone, None when that cannot be known.

    An empty answer alone proves nothing: the rule's own evidence must have been seen, and known, after ``since``.
    """
    try:
        values = [value for _, value in query(expr, at)]
    except QueryError:
        return None
    if any(not math.isfinite(value) for value in values):
        return None
    if any(value != 0 for value in values):
        return True
    alive = newest is not None and newest.bad is not None and newest.at > since
    return False if alive else None


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
