"""Whether a release made a measurement worse: what was measured before it against what is measured after it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

#: MAD times this equals the standard deviation of normal data (Iglewicz & Hoaglin, 1993).
MAD_TO_SIGMA = 1.4826
#: A difference within so many deviations of the time before is noise.
SIGMAS = 3.0
#: Below so many known points on either side nothing is concluded.
MIN_POINTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What counts as worse."""

    higher_is_worse: bool = True
    worse_by: float = 0.3  #: share of the value before
    least: float = 0.0  #: differences below it, in the measurement's unit, never count
    bound: float | None = None  #: the value that is never to be passed, whatever was before


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``verdict``: passed, failed or unknown. Values are medians, NaN where nothing is known."""

    before: float
    after: float
    allowed: float  #: the value from which it would have failed; NaN: unknown
    verdict: str
    reason: str  #: worse, bound, few_before, few_after; empty: passed


def compare(before: Sequence[float], after: Sequence[float], limit: Limit) -> Compared:
    """The medians of both times. Without a known time before only the bound can fail it, and nothing can pass it."""
    old, new = _known(before), _known(after)
    was, now = (median(old) if old else math.nan), (median(new) if new else math.nan)
    allowed = _allowed(old, limit) if len(old) >= MIN_POINTS else math.nan
    if len(new) < MIN_POINTS:
        return Compared(before=was, after=now, allowed=allowed, verdict="unknown", reason="few_after")
    if limit.bound is not None and _beyond(now, limit.bound, limit):
        return Compared(before=was, after=now, allowed=limit.bound, verdict="failed", reason="bound")
    if math.isnan(allowed):
        return Compared(before=was, after=now, allowed=allowed, verdict="unknown", reason="few_before")
    worse = _beyond(now, allowed, limit)
    return Compared(
        before=was, after=now, allowed=allowed, verdict="failed" if worse else "passed", reason="worse" if worse else ""
    )


def overall(verdicts: Iterable[str]) -> str:
    """One that failed fails all; passed only when something passed and nothing is unknown that could be judged."""
    found = set(verdicts)
    return "failed" if "failed" in found else "passed" if found == {"passed"} else "unknown"


def _allowed(old: Sequence[float], limit: Limit) -> float:
    was = median(old)
    noise = MAD_TO_SIGMA * median(abs(value - was) for value in old)
    room = max(limit.worse_by * abs(was), SIGMAS * noise, limit.least)
    return was + room if limit.higher_is_worse else was - room


def _beyond(value: float, edge: float, limit: Limit) -> bool:
    return value > edge if limit.higher_is_worse else value < edge


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
