from __future__ import annotations

from datetime import timedelta

from support.remedies import NOON

from remediation.breakers import BreakerState, state_of
from remediation.situation import Ended

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def state(ends: list[tuple[int, bool]], at: int) -> BreakerState:
    """``ends``: (minute, ok); asked at minute ``at``."""
    ended = [Ended(at=NOON + MINUTE * minute, rule="r", target="t", ok=ok) for minute, ok in ends]
    return state_of(ended, NOON + MINUTE * at, limit=3, window=HOUR, rest=HOUR)


def test_three_failures_in_an_hour_open_and_two_do_not() -> None:
    assert state([(0, False), (10, False)], 11) is BreakerState.CLOSED
    assert state([(0, False), (10, False), (20, False)], 21) is BreakerState.OPEN
    assert state([(0, False), (30, False), (61, False)], 62) is BreakerState.CLOSED


def test_after_its_rest_one_try_decides() -> None:
    opened = [(0, False), (10, False), (20, False)]
    assert state(opened, 79) is BreakerState.OPEN
    assert state(opened, 80) is BreakerState.HALF_OPEN
    assert state([*opened, (85, True)], 86) is BreakerState.CLOSED
    assert state([*opened, (85, False)], 86) is BreakerState.OPEN
    assert state([*opened, (85, False)], 145) is BreakerState.HALF_OPEN


def test_a_success_that_began_before_it_opened_closes_nothing() -> None:
    assert state([(0, False), (10, False), (20, False), (25, True)], 26) is BreakerState.OPEN
