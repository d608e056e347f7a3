"""Lines for charts: how fast a budget goes, and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from .slo_windows import Counts, Span, burn, standing

#: Points that a chart draws.
DRAWN = 216


def burn_path(pieces: Mapping[int, Counts], window: timedelta, target: Decimal) -> list[tuple[int, float]]:
    """Burn rate of a sliding window at up to ``DRAWN`` moments, oldest first."""
    ends = sorted(pieces)
    if not ends:
        return []
    length = round(window.total_seconds() * 1000)
    every = max(len(ends) // DRAWN, 1)
    wanted = set(ends[::-1][::every])
    found, inside, first = [], Counts(), 0
    for end in ends:
        inside = inside + pieces[end]
        while ends[first] <= end - length:
            inside = _without(inside, pieces[ends[first]])
            first += 1
        if end in wanted:
            found.append((end, burn(inside, window, target)))
    return found


def budget_path(
    rows: Mapping[int, Counts], span: Span, *, target: Decimal, contract: Decimal | None
) -> list[tuple[int, float]]:
    """What was left of the budget, 1 to 0 and below, after each hour or day of the window. Keys are in milliseconds."""
    first, last = span.start.timestamp() * 1000, span.end.timestamp() * 1000
    found, so_far = [], Counts()
    for at in sorted(at for at in rows if first <= at < last):
        so_far = so_far + rows[at]
        left = standing(span, so_far, target=target, contract=contract, now=span.end).left_ratio
        found.append((at, left))
    every = max(len(found) // DRAWN, 1)
    return found[::-1][::every][::-1]


def _without(found: Counts, gone: Counts) -> Counts:
    """Sliding sums drift by rounding: what should be nothing stays nothing."""
    parts = (
        found.good - gone.good, found.bad - gone.bad, found.excluded - gone.excluded,
        found.events - gone.events, found.bad_events - gone.bad_events,
    )  # fmt: skip
    return Counts(*(0.0 if part < 1e-6 else part for part in parts))
