"""Guessing is slowed down per account and source, never for ever, and never for others."""

from __future__ import annotations

from datetime import datetime, timedelta

from watchkeeper.errors import AccessError
from watchkeeper.store.state import Unit

#: Failures before waiting begins.
FREE = 5
FIRST, LONGEST = timedelta(seconds=30), timedelta(minutes=15)
#: Failures older than this are forgotten.
MEMORY = timedelta(hours=24)


class LockedError(AccessError):
    """Too many failures; ``seconds`` says how long to wait."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"too many failed tries; wait {seconds:.0f} s")


def delay(failures: int) -> timedelta:
    """How long after that many failures the next try must wait."""
    if failures < FREE:
        return timedelta(0)
    doublings: int = 2 ** min(failures - FREE, 10)
    return min(FIRST * doublings, LONGEST)


def check(unit: Unit, account: str, source: str, now: datetime) -> None:
    """Raises LockedError while waiting."""
    failures, last = unit.people.failures(account[:80], source[:64])
    if last is None or now - last > MEMORY:
        return
    left = (last + delay(failures) - now).total_seconds()
    if left > 0:
        raise LockedError(left)


def note(unit: Unit, account: str, source: str, now: datetime) -> None:
    _, last = unit.people.failures(account[:80], source[:64])
    if last is not None and now - last > MEMORY:
        unit.people.forget_failures(account[:80], source[:64])
    unit.people.note_failure(account[:80], source[:64], now)


def forget(unit: Unit, account: str, source: str) -> None:
    unit.people.forget_failures(account[:80], source[:64])
