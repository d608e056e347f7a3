"""Times and durations as Prometheus's API takes them."""

from __future__ import annotations

import math
import re
from datetime import datetime

from watchkeeper.app.api.prometheus.answers import first, quoted
from watchkeeper.clock import to_ms
from watchkeeper.errors import QueryError
from watchkeeper.promql import parse_duration

#: Times of queries are within ten thousand years of 1970: far from what 64 bits of milliseconds hold.
LATEST_SECONDS = 3.2e11
LATEST_MS = round(LATEST_SECONDS * 1000)
#: How clients in Go write the first and the last time there is.
EDGES = {"-292273086-05-16T16:47:06Z": -LATEST_MS, "292277025-08-18T07:12:54.999999999Z": LATEST_MS}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def moment_ms(found: dict[str, list[str]], name: str, default: int | None = None) -> int:
    """Unix seconds or RFC 3339 as milliseconds; without a default it must be there. Raises QueryError."""
    text = first(found, name)
    if not text and default is not None:
        return default
    try:
        return EDGES[text] if text in EDGES else _moment_ms(text)
    except (ValueError, OverflowError):
        optional = "" if default is None else f"Invalid time value for '{name}': "
        said = f"{optional}cannot parse {quoted(text)} to a valid timestamp"
        raise QueryError(f'invalid parameter "{name}": {said}') from None


def _moment_ms(text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        if RFC3339.fullmatch(text) is None:
            raise
        return to_ms(datetime.fromisoformat(text.upper()))
    if not abs(seconds) <= LATEST_SECONDS:  # NaN too
        raise ValueError
    return round(seconds * 1000)


def duration_ms(found: dict[str, list[str]], name: str) -> int:
    """Seconds, or a duration such as 1m30s, as milliseconds. Raises QueryError."""
    text = first(found, name)
    try:
        milliseconds = parse_duration(text).total_seconds() * 1000
    except (QueryError, ValueError, OverflowError):
        milliseconds = math.inf
    if not abs(milliseconds) <= LATEST_MS:
        raise QueryError(f'invalid parameter "{name}": cannot parse {quoted(text)} to a valid duration')
    return round(milliseconds)


def step_ms(found: dict[str, list[str]]) -> int:
    milliseconds = duration_ms(found, "step")
    if milliseconds <= 0:
        raise QueryError(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted.'
            " Try a positive integer"
        )
    return milliseconds


def span_ms(found: dict[str, list[str]], start: int | None = None, end: int | None = None) -> tuple[int, int]:
    """(start, end), the defaults where there are none. Raises QueryError."""
    span = moment_ms(found, "start", start), moment_ms(found, "end", end)
    if span[1] < span[0]:
        raise QueryError('invalid parameter "end": end timestamp must not be before start time')
    return span
