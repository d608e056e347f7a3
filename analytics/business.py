"""Key figures of a business: readings folded into periods, and what a value means against its target. Pure.

Money stays exact: values are ``Decimal`` until a detector or a chart needs a float.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from .business_periods import Period, start_of

Direction = Literal["up", "down", "band"]
Fold = Literal["sum", "last", "max", "min", "mean", "count"]
#: A score from here on is called unusual, as everywhere else.
UNUSUAL = 0.5
#: Periods with a value that a band needs before it says anything.
LEAST_HISTORY = 20


class Status(StrEnum):
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    LEARNING = "learning"  #: no target, and too little history to know what is usual
    UNKNOWN = "unknown"  #: never shown as healthy


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is wanted. ``warn`` is the distance to the edge, as a share of it, from which a good value is amber."""

    direction: Direction
    target: Decimal | None = None
    low: Decimal | None = None  #: edges of the wanted band
    high: Decimal | None = None
    warn: Decimal = Decimal(0)

    @property
    def edges(self) -> tuple[Decimal | None, Decimal | None]:
        """(lowest, highest) value that is still wanted; None where there is no such edge."""
        if self.direction == "up":
            return self.target, None
        if self.direction == "down":
            return None, self.target
        return self.low, self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What a detector expected of the period, NaN-free; None is not known."""

    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    status: Status
    reasons: tuple[str, ...] = ()  #: message keys' last parts: target_missed, near_target, unusual, ...


def fold(how: Fold, values: Sequence[Decimal]) -> Decimal:
    """Many readings of one period as one value. ``values`` are in time order and not empty."""
    if how == "sum":
        return sum(values, Decimal(0))
    if how == "mean":
        return sum(values, Decimal(0)) / len(values)
    if how == "count":
        return Decimal(len(values))
    return {"last": values[-1], "max": max(values), "min": min(values)}[how]


def into_periods(
    points: Sequence[tuple[datetime, Decimal]], period: Period, zone: ZoneInfo, how: Fold
) -> dict[datetime, Decimal]:
    """Points of any grain as one value a period; a period without a point is not in the answer."""
    found: dict[datetime, list[Decimal]] = {}
    for moment, value in sorted(points, key=lambda point: point[0]):
        found.setdefault(start_of(period, moment, zone), []).append(value)
    return {start: fold(how, values) for start, values in found.items()}


def ratio(
    above: Mapping[datetime, Decimal | None], below: Mapping[datetime, Decimal | None]
) -> dict[datetime, Decimal]:
    """One figure over another, period by period; where the lower one is 0 or unknown there is no answer."""
    found = {}
    for start, value in above.items():
        divisor = below.get(start)
        if value is not None and divisor:
            found[start] = value / divisor
    return found


def change(value: Decimal | None, reference: Decimal | None) -> float | None:
    """Relative change: -0.5 is half of the reference. None where either is unknown or the reference is 0."""
    if value is None or not reference:
        return None
    return float((value - reference) / abs(reference))


def relative_target(reference: Decimal | None, wanted: Decimal) -> Decimal | None:
    """The value that is ``wanted`` (-0.5: half) away from the reference."""
    return None if reference is None else reference + abs(reference) * wanted


def without_prelude(values: Sequence[Decimal | None], direction: Direction = "up") -> int:
    """How many leading periods say nothing: before the first value that is neither unknown nor 0.

    A shop that opened last month has no sales before; those zeros must not teach anybody what is usual. Where less
    is better (failures, refunds) a 0 is a good value like any other.
    """
    for place, value in enumerate(values):
        if value or (value is not None and direction == "down"):
            return place
    return 0 if any(value is not None for value in values) else len(values)


def judge(value: Decimal | None, goal: Goal, usual: Usual) -> Verdict:
    """Red when the target is missed; amber when it is near, or when the value is unusual in the unwanted direction."""
    if value is None:
        return Verdict(status=Status.UNKNOWN, reasons=("no_value",))
    if missed(value, goal):
        return Verdict(status=Status.BAD, reasons=("target_missed",))
    reasons = []
    if near(value, goal):
        reasons.append("near_target")
    if unusual(float(value), goal.direction, usual):
        reasons.append("unusual")
    if reasons:
        return Verdict(status=Status.WARN, reasons=tuple(reasons))
    if goal.edges == (None, None) and usual.score is None:
        return Verdict(status=Status.LEARNING, reasons=("learning",))
    return Verdict(status=Status.GOOD)


def missed(value: Decimal, goal: Goal) -> bool:
    low, high = goal.edges
    return (low is not None and value < low) or (high is not None and value > high)


def near(value: Decimal, goal: Goal) -> bool:
    """Inside, but closer to an edge than the warning distance."""
    low, high = goal.edges
    if not goal.warn:
        return False
    below = low is not None and value < low + abs(low) * goal.warn
    above = high is not None and value > high - abs(high) * goal.warn
    return below or above


def unusual(value: float, direction: Direction, usual: Usual) -> bool:
    """Outside of what was expected, on the side nobody wants."""
    if usual.score is None or usual.score < UNUSUAL:
        return False
    below = usual.lower is not None and value < usual.lower
    above = usual.upper is not None and value > usual.upper
    return (below and direction != "down") or (above and direction != "up")
