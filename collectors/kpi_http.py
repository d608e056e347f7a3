"""Key figures out of somebody's JSON over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .kpi_points import Clockwork, Point, number

MOST_BYTES = 8 << 20


async def fetch(outbound: Outbound, url: str, *, path: str, headers: Mapping[str, str], timeout: float) -> Any:
    """What stands at ``path`` (``data.items`` or ``data.0.value``), numbers as exact decimals.

    Raises CollectError or OutboundError.
    """
    sent = {"accept": "application/json", **headers}
    answer = await outbound.request("GET", url, headers=sent, timeout=timeout, max_bytes=MOST_BYTES)
    if answer.status != 200:
        raise CollectError(f"HTTP {answer.status}", reason="http")
    try:
        found = json.loads(answer.body, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise CollectError("the answer is no JSON", reason="json") from None
    return at_path(found, path)


def at_path(found: Any, path: str) -> Any:
    """One step a name or a place in a list. Raises CollectError with the step that leads nowhere."""
    for step in filter(None, path.split(".")):
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            raise CollectError(f"the answer has no {step!r} of {path!r}", reason="path")
    return found


def now_value(found: Any, minor_units: int) -> Decimal | None:
    """A single value that is true now."""
    if isinstance(found, list | dict):
        raise CollectError("there is a list or an object, not one value; name time and value, or a longer path",
                           reason="path")  # fmt: skip
    return number(found, minor_units)


def points(found: Any, *, time: str, value: str, clockwork: Clockwork, minor_units: int) -> list[Point]:
    """A list of objects, each with a time and a value."""
    if not isinstance(found, list):
        raise CollectError("there is no list of values with times at this path", reason="path")
    answer = []
    for row in found:
        if not isinstance(row, dict) or time not in row or value not in row:
            raise CollectError(f"a row lacks {time!r} or {value!r}", reason="path")
        figure = number(row[value], minor_units)
        if figure is not None:
            answer.append((clockwork.moment(row[time]), figure))
    return answer
