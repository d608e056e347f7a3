"""Circuit breakers folded from how actions ended: nothing is kept that a restart could forget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from .settings import Breakers
from .situation import Ended


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


def state_of(ended: Sequence[Ended], now: datetime, *, limit: int, window: timedelta, rest: timedelta) -> BreakerState:
    """``ended``: oldest first. Opens at ``limit`` failures within ``window``; after ``rest`` one try decides."""
    failures: list[datetime] = []
    opened: datetime | None = None
    for end in ended:
        if opened is not None:  # the one that was let through, or one already running when it opened
            opened = end.at if not end.ok else (None if end.at - opened >= rest else opened)
            failures = [] if opened is None else failures
            continue
        if end.ok:
            continue
        failures = [*(at for at in failures if end.at - at < window), end.at]
        opened = end.at if len(failures) >= limit else None
    if opened is None:
        return BreakerState.CLOSED
    return BreakerState.HALF_OPEN if now - opened >= rest else BreakerState.OPEN


def open_breakers(
    ended: Sequence[Ended], now: datetime, rule: str, target: str, options: Breakers
) -> dict[str, BreakerState]:
    """Every breaker over this rule, target and the whole, that is not closed."""
    rollbacks = [end for end in ended if end.ok or end.rollback_failed]
    of_rule = [end for end in ended if end.rule == rule]
    of_target = [end for end in ended if end.target == target]
    found = {
        f"rule {rule}": state_of(of_rule, now, limit=options.rule_failures, window=options.window, rest=options.rest),
        f"target {target}": state_of(
            of_target, now, limit=options.rule_failures, window=options.window, rest=options.rest
        ),
        "all": state_of(ended, now, limit=options.global_failures, window=options.window, rest=options.rest),
        "rollbacks": state_of(
            rollbacks, now, limit=options.rollback_failures, window=options.window, rest=options.rest
        ),
    }
    return {name: state for name, state in found.items() if state is not BreakerState.CLOSED}
