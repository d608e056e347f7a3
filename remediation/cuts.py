"""What we saw while we were cut off proves nothing, and neither does what reaches back to then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from watchkeeper.errors import QueryError
from watchkeeper.model import RemedyRule
from watchkeeper.promql import reach

from .gates.evidence import FRESH_INTERVALS, cut_off
from .settings import Settings
from .situation import Facts


@dataclass(slots=True)
class Cut:
    """The last time at which a rule was cut off, and until when its evidence reaches back to it. Steady times."""

    last: datetime
    until: datetime


class Cuts:
    """One entry a rule. In memory only: a process that was not there saw nothing wrong."""

    def __init__(self) -> None:
        self._cuts: dict[str, Cut] = {}

    def look(self, rule: RemedyRule, settings: Settings, facts: Facts, now: datetime) -> bool:
        """Take in what is reached now. True when a cut has worn off: what was seen before must be forgotten."""
        if _dark(rule, settings, facts):
            self._cuts[rule.name] = Cut(now, now + FRESH_INTERVALS * rule.interval + _reach(rule))
        cut = self._cuts.get(rule.name)
        if cut is None or now <= cut.until:
            return False
        del self._cuts[rule.name]
        return True

    def why(self, rule: str, now: datetime) -> str:
        """Why what the rule sees may not be trusted; empty when it may, and while gate 4 has its own, better reason."""
        cut = self._cuts.get(rule)
        if cut is None or now <= cut.last:
            return ""
        return f"we were cut off {(now - cut.last).total_seconds():.0f} s ago: observing only"


def _dark(rule: RemedyRule, settings: Settings, facts: Facts) -> bool:
    """Gate 4 would refuse, and not only because nothing is known yet."""
    known = any(up is False for up in facts.canaries.values()) or any(one.up is False for one in facts.watched)
    return known and not cut_off(rule.service, settings.canaries, facts.canaries, facts.watched).passed


@lru_cache(maxsize=1024)
def _reach_of(exprs: tuple[str, ...]) -> timedelta:
    found = timedelta()
    for expr in exprs:
        try:
            found = max(found, reach(expr))
        except QueryError:  # such an expression is unknown at every look, and says nothing of any time
            continue
    return found


def _reach(rule: RemedyRule) -> timedelta:
    return _reach_of((rule.when, *rule.observers.values()))
