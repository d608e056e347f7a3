"""Durations as Prometheus writes them: ``1h30m``, ``500ms``, plain seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from watchkeeper.errors import QueryError
from watchkeeper.promql import nodes
from watchkeeper.promql.arithmetic import evaluate

if TYPE_CHECKING:
    from watchkeeper.promql.context import Context

#: A year is always 365 d, a week 7 d, a day 24 h, as in Prometheus (model/time.go).
UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
ORDER = ("y", "w", "d", "h", "m", "s", "ms")


def duration_ms(text: str) -> int:
    """Milliseconds of ``1h30m`` and the like; units in falling order, each at most once. Raises QueryError."""
    found = DURATION.fullmatch(text)
    if not text or found is None:
        raise QueryError(f"not a valid duration string: {text!r}")
    return sum(int(count) * UNIT_MS[unit] for count, unit in zip(found.groups(), ORDER, strict=True) if count)


def parse_duration(text: str) -> timedelta:
    """``5m`` as a timedelta; a bare number is seconds. Raises QueryError when it is neither."""
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        return timedelta(milliseconds=duration_ms(text))


def format_duration(duration: timedelta) -> str:
    """The shortest text Prometheus reads back as the same duration, to the millisecond: ``1h30m``."""
    left = round(abs(duration) / timedelta(milliseconds=1))
    if left == 0:
        return "0s"
    parts = ["-" if duration < timedelta(0) else ""]
    for unit in ORDER:
        exact_only = unit in ("y", "w", "d")  # Prometheus prints 25h as 1d1h but never 8d as 1w1d
        count, rest = divmod(left, UNIT_MS[unit])
        if count and not (exact_only and unit != "d" and rest):
            parts.append(f"{count}{unit}")
            left = rest
    return "".join(parts)


def milliseconds(duration: nodes.Duration, context: Context, *, positive: bool = False) -> int:
    """The duration in whole milliseconds for this query. ``positive``: a range or step, which must not be 0."""
    ms = duration.ms
    if duration.expression:
        known = {"step": context.query_step_ms / 1000, "range": (context.end_ms - context.start_ms) / 1000}
        ms = evaluate(duration.expression, known) * 1000
    if positive and ms <= 0:
        raise QueryError("duration must be greater than 0")
    return round(ms)
