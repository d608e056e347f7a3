"""One alerting rule over history: how often it would have fired, for how long, on which days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from watchkeeper.errors import QueryError
from watchkeeper.model import AlertState, Severity
from watchkeeper.ports import Query

from .alerts import Active
from .book import AlertRule, Group, RuleBook
from .evaluate import Evaluator
from .persist import Saved

#: More evaluations than this are asked for by mistake.
MAX_STEPS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One alert that would have fired."""

    labels: Mapping[str, str]
    active_at: datetime
    fired_at: datetime
    resolved_at: datetime | None  #: None: still firing at the end
    peak: float  #: value farthest from zero while it was there
    severity: Severity | None  #: None: of a remediation, which has that of its incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    rule: str
    start: datetime
    end: datetime
    evaluations: int
    failed: int  #: evaluations whose query failed: nothing is known about them
    pending_only: int  #: conditions that cleared before their ``for`` was over
    episodes: Sequence[Episode]
    per_day: Mapping[str, int]  #: ISO date in the given zone -> episodes that began to fire
    firing: timedelta  #: sum over all episodes
    kind: str = "alerting"  #: or remediation: ``fired_at`` is when it would have been proposed
    proposals: Sequence[datetime] = ()  #: of a remediation: the first of each episode, and one after each cooldown
    interval: timedelta = timedelta(0)  #: time between two evaluations


def backtest(
    rule: AlertRule, start: datetime, end: datetime, query: Query, zone: tzinfo, *,
    interval: timedelta = timedelta(seconds=15), severities: Mapping[str, str] | None = None,
) -> Backtest:  # fmt: skip
    """Evaluate the rule at every interval from start to end."""
    steps = steps_of(start, end, interval)
    group = Group(name="backtest", file="", rules=(rule,), interval=interval)
    evaluator = Evaluator(RuleBook(groups=(group,)), severities)
    watch = _Watch()
    failed = 0
    for step in range(steps):
        now = start + step * interval
        result = evaluator.evaluate_group(group, now, query)
        failed += result.failures
        saved = [
            Saved(alert=change.alert, old=change.old, reason=change.reason)
            for change in result.changes
        ]  # fmt: skip
        evaluator.confirm(saved)
        for one in saved:
            if one.changed and one.alert.state is AlertState.INACTIVE:
                watch.pending_only += 1
            elif one.changed and one.alert.state is AlertState.RESOLVED:
                watch.close(one.alert.fingerprint, now)
        for _, active in evaluator.active():
            watch.see(active)
    episodes = sorted(watch.done + [_episode(*one, None) for one in watch.open.values()], key=lambda e: e.fired_at)
    days = Counter(episode.fired_at.astimezone(zone).date().isoformat() for episode in episodes)
    firing = sum(((one.resolved_at or end) - one.fired_at for one in episodes), timedelta(0))
    return Backtest(
        rule=rule.name, start=start, end=end, evaluations=steps, failed=failed, pending_only=watch.pending_only,
        episodes=episodes, per_day=dict(sorted(days.items())), firing=firing, interval=interval,
    )  # fmt: skip


def steps_of(start: datetime, end: datetime, interval: timedelta) -> int:
    """How many evaluations that is. Raises QueryError when it is none, or far too many."""
    if interval <= timedelta(0) or end < start:
        raise QueryError("a back-test needs an end after its start and an interval above 0")
    steps = (end - start) // interval + 1
    if steps > MAX_STEPS:
        raise QueryError(f"a back-test of {steps} evaluations is too long; take a longer interval or less time")
    return steps


class _Watch:
    """Follows firing alerts to collect their episodes."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[Active, float]] = {}
        self.done: list[Episode] = []
        self.pending_only = 0

    def see(self, active: Active) -> None:
        if active.firing and active.fired_at is not None:
            peak = self.open[active.fingerprint][1] if active.fingerprint in self.open else active.value
            peak = active.value if abs(active.value) > abs(peak) else peak
            self.open[active.fingerprint] = (active, peak)

    def close(self, mark: str, now: datetime) -> None:
        self.done.append(_episode(*self.open.pop(mark), now))


def _episode(active: Active, peak: float, resolved_at: datetime | None) -> Episode:
    assert active.fired_at is not None  # only firing alerts are watched
    return Episode(
        labels=active.labels, active_at=active.active_at, fired_at=active.fired_at, resolved_at=resolved_at,
        peak=peak, severity=active.severity,
    )  # fmt: skip
