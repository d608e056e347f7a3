"""Failed tries are counted per account and source; the wait grows, ends by itself, and never touches a live session."""

from __future__ import annotations

from datetime import datetime, timedelta

from watchkeeper.access.errors import LockedOutError
from watchkeeper.store.state import Unit

#: Tries without any wait.
FREE = 5
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=15)
#: After this long without a failure the count starts anew.
FORGOTTEN = timedelta(hours=24)


def wait_after(failures: int) -> timedelta:
    """0 up to the fourth failure, then 1, 2, 4, 8 and at most 15 minutes."""
    if failures < FREE:
        return timedelta(0)
    return min(FIRST_WAIT * (1 << min(failures - FREE, 10)), LONGEST_WAIT)


def take_try(unit: Unit, account: str, source: str, now: datetime) -> None:
    """Count a try as failed before it is evaluated, so that parallel guesses cannot slip past; LockedOutError else."""
    account, source = _key(account), source[:64]
    failures, last = unit.people.failures(account, source)
    if last is not None and now - last >= FORGOTTEN:
        unit.people.forget_failures(account, source)
        failures, last = 0, None
    left = wait_after(failures) - (now - last) if last is not None else timedelta(0)
    if left > timedelta(0):
        raise LockedOutError(min(left, LONGEST_WAIT).total_seconds())
    unit.people.note_failure(account, source, now)


def succeed(unit: Unit, account: str, source: str) -> None:
    unit.people.forget_failures(_key(account), source[:64])


def _key(account: str) -> str:
    return account[:80].casefold()
