"""The key ``schedule`` of ``scale``: hours in which more workers run from the start."""

from __future__ import annotations

from datetime import time
from zoneinfo import ZoneInfo

from watchkeeper.model import ScaleTime

from .fields import Fields

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_schedule(outer: Fields, most: int) -> tuple[ScaleTime, ...]:
    """Raises ConfigError naming the line and the field."""
    value = outer.data.get("schedule")
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise outer.error("must be a list of hours", "schedule")
    return tuple(
        _line(Fields(outer.document, each, (*outer.path, "schedule", place)), most) for place, each in enumerate(value)
    )


def _line(fields: Fields, most: int) -> ScaleTime:
    fields.known("days", "from", "to", "zone", "min")
    days = fields.data.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not set(map(str, days)) <= set(DAYS):
        raise fields.error(f"must be a list of {', '.join(DAYS)}", "days")
    least = fields.number("min")
    if not 1 <= least <= most:
        raise fields.error("must be 1 or more and not above max", "min")
    zone = fields.text("zone", "UTC")
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise fields.error(f"{zone!r} is no time zone; write one such as Asia/Shanghai", "zone") from None
    start, end = _clock(fields, "from"), _clock(fields, "to")
    if start == end:
        raise fields.error("must differ from 'from'", "to")
    return ScaleTime(days=tuple(DAYS.index(str(day)) for day in days), start=start, end=end, zone=zone, min=least)


def _clock(fields: Fields, key: str) -> time:
    text = fields.text(key)
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise fields.error('must be a time of day such as "08:30"', key) from None
