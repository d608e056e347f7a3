"""Was what a query looks at there all the time? Instant selectors bridge five minutes; this asks for the samples."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache

from .parse import selectors


@lru_cache(maxsize=256)
def unbroken(expr: str, window: timedelta, step: timedelta, fresh: timedelta) -> tuple[str, ...]:
    """For each selector of ``expr`` a query for the number of looks in the window at which a fresh sample was there.

    A look is every ``step``; fresh is a sample no older than ``fresh``. No look at all is an empty answer.
    """
    found = []
    for matchers, _, offset in selectors(expr):
        inner = ",".join(f"{one.name}{one.op.value}{json.dumps(one.value, ensure_ascii=False)}" for one in matchers)
        back = f" offset {_seconds(offset)}" if offset else ""
        span = f"[{_seconds(window)}:{_seconds(step)}]"
        found.append(f"count_over_time((count(count_over_time({{{inner}}}[{_seconds(fresh)}]{back}))){span})")
    return tuple(dict.fromkeys(found))


def _seconds(duration: timedelta) -> str:
    return f"{round(duration.total_seconds() * 1000)}ms"
