"""What a scaling rule looks at now, and the number it would want: for people, nothing follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from watchkeeper.errors import ActionError
from watchkeeper.model import RemedyRule, Scale

from .scale_times import scheduled
from .scaling import Bounds, Count, bounds_of, expected_load, guarded, load_now, wanted
from .situation import Query

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """``unknown``: what cannot be known, and why; while there is any, the number stays as it is."""

    load: float | None
    expected: float | None  #: by the forecast
    scheduled: int  #: least number of the hour; 0 outside of all hours
    bounds: Bounds
    count: Count | None  #: None while something is not known
    unknown: tuple[str, ...]
    guard: str  #: why the budget guard forbids to add; empty: it does not, or there is none
    cost: float | None  #: money an hour of those who run; None: not declared, or not known who runs
    ceiling: float | None

    def view(self) -> dict[str, object]:
        """As docs/api.md has it."""
        return {
            "load": self.load,
            "expected": self.expected,
            "scheduled": self.scheduled,
            **asdict(self.bounds),
            "needed": self.count.needed if self.count else None,
            "wanted": self.count.count if self.count else None,
            "unknown": list(self.unknown),
            "guard": self.guard,
            "cost": self.cost,
            "ceiling": self.ceiling,
        }


def outlook(
    rule: RemedyRule, scale: Scale, running: float | None, query: Query, at: datetime, window: timedelta
) -> Outlook:
    """``running``: members of the pool as last read; None is not known. ``window``: stabilisation of scale-in."""
    unknown: list[str] = []
    load = _asked(lambda: load_now(scale, query, at, window, rule.interval), unknown)
    expected = _asked(lambda: expected_load(scale, query, at), unknown)
    if running is None:
        unknown.append("it is not known how many run")
    bounds = bounds_of(scale, at)
    count = None
    if not unknown and load is not None and running is not None:
        count = wanted(scale, load, int(running), expected=expected, bounds=bounds)
    priced = scale.cost_per_worker > 0
    return Outlook(
        load=load,
        expected=expected,
        scheduled=scheduled(scale.schedule, at),
        bounds=bounds,
        count=count,
        unknown=tuple(unknown),
        guard=_guard(scale, query, at),
        cost=scale.cost_per_worker * running if priced and running is not None else None,
        ceiling=scale.cost_ceiling if priced else None,
    )


def _asked(ask: Callable[[], T], unknown: list[str]) -> T | None:
    try:
        return ask()
    except ActionError as error:
        unknown.append(str(error))
        return None


def _guard(scale: Scale, query: Query, at: datetime) -> str:
    try:
        guarded(scale, query, at)
    except ActionError as error:
        return str(error)
    return ""
