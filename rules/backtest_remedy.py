"""One remediation rule over history: how often it would have been proposed, as if nothing had been done about it."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime, timedelta, tzinfo

from watchkeeper.model import Observation, RemedyRule
from watchkeeper.ports import Query

from .backtest import Backtest, Episode, steps_of
from .observe import Newest, observe

#: An episode is over after so many good evaluations in a row, as in the engine.
LEAVE_AFTER = 10


def backtest_remedy(
    rule: RemedyRule, start: datetime, end: datetime, query: Query, newest: Newest, zone: tzinfo, *,
    interval: timedelta | None = None,
) -> Backtest:  # fmt: skip
    """Confirmed as the engine confirms: k of n bad, by the rule and at least one observer, or by all that it names."""
    every = interval or rule.interval
    steps = steps_of(start, end, every)
    watch = _Watch(rule)
    for step in range(steps):
        watch.see(observe(rule, start + step * every, query, newest))
    episodes = [*watch.done, *([watch.episode(None)] if watch.proposed_at else [])]
    days = Counter(moment.astimezone(zone).date().isoformat() for moment in watch.proposals)
    bad = sum(((one.resolved_at or end) - one.fired_at for one in episodes), timedelta(0))
    return Backtest(
        rule=rule.name, start=start, end=end, evaluations=steps, failed=watch.unknown, pending_only=watch.unconfirmed,
        episodes=episodes, per_day=dict(sorted(days.items())), firing=bad, kind="remediation",
        proposals=tuple(watch.proposals), interval=every,
    )  # fmt: skip


class _Watch:
    """Follows one rule from sign to sign."""

    def __init__(self, rule: RemedyRule) -> None:
        self.rule = rule
        self.recent: deque[Observation] = deque(maxlen=max(rule.confirm_n, LEAVE_AFTER))
        self.done: list[Episode] = []
        self.proposals: list[datetime] = []
        self.unknown = self.unconfirmed = 0
        self.active_at: datetime | None = None
        self.proposed_at: datetime | None = None
        self.first: Observation | None = None
        self.peak = 0.0

    def see(self, seen: Observation) -> None:
        self.recent.append(seen)
        self.unknown += seen.bad is None
        if seen.bad:
            self.active_at = self.active_at or seen.at
            self.peak = max([self.peak, *(value for _, value in seen.series)], key=abs)
        if self.active_at is None:
            return
        if self._confirmed():
            self._propose(seen)
        last = list(self.recent)[-LEAVE_AFTER:]
        if len(last) == LEAVE_AFTER and all(one.bad is False for one in last):
            self._leave(seen.at)

    def _confirmed(self) -> bool:
        last = list(self.recent)[-self.rule.confirm_n :]
        if sum(one.bad is True for one in last) < self.rule.confirm_k:
            return False
        names = self.rule.observers
        return any(sum(one.observers.get(name) is True for one in last) >= self.rule.confirm_k for name in names)

    def _propose(self, seen: Observation) -> None:
        """Once, and again after each cooldown while it is still so."""
        if self.proposed_at is None:
            self.proposed_at, self.first = seen.at, seen
        elif seen.at - self.proposals[-1] < self.rule.cooldown:
            return
        self.proposals.append(seen.at)

    def _leave(self, at: datetime) -> None:
        if self.proposed_at is None:
            self.unconfirmed += 1
        else:
            self.done.append(self.episode(at))
        self.active_at = self.proposed_at = self.first = None
        self.peak = 0.0

    def episode(self, resolved_at: datetime | None) -> Episode:
        assert self.active_at is not None  # only called for what was proposed
        assert self.proposed_at is not None
        series = self.first.series if self.first else ()
        labels = dict(series[0][0]) if series else {}
        return Episode(
            labels=labels, active_at=self.active_at, fired_at=self.proposed_at, resolved_at=resolved_at,
            peak=self.peak, severity=None,
        )  # fmt: skip
