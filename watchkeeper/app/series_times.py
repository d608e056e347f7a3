"""Times as files write them, in seconds since the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

#: What is no time.
UNREADABLE: Final = object()
#: Numbers from which they count milliseconds, microseconds and nanoseconds: seconds reach the first in the year 5138.
UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
#: Seconds since the epoch from which numbers are moments, not the numbers of rows: 1980.
REAL = 315_532_800.0


def seconds_of(stamps: Sequence[str]) -> Any:
    """An array of them, or UNREADABLE. Numbers are seconds, or finer by their size; a date without a zone is UTC."""
    try:
        numbers = np.array([float(one) for one in stamps])
    except ValueError:
        return _dates(stamps)
    if not np.isfinite(numbers).all():
        return UNREADABLE
    typical = float(np.median(np.abs(numbers))) if len(numbers) else 0.0
    return numbers / next((unit for least, unit in UNITS if typical >= least), 1.0)


def are_real(times: Any) -> bool:
    """Whether they are moments: what counts rows has no time of day."""
    return len(times) > 0 and float(times[0]) > REAL


def interval_of(times: Any) -> float:
    """Usual seconds between two of them; 0 where there are no two."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _dates(stamps: Sequence[str]) -> Any:
    found = np.empty(len(stamps))
    for at, one in enumerate(stamps):
        try:
            moment = datetime.fromisoformat(one.replace("/", "-"))
        except ValueError:
            return UNREADABLE
        found[at] = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return found
