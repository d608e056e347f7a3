"""Hours in which more workers run from the start: a schedule, in the time of the place it is written for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from watchkeeper.model import ScaleTime


def scheduled(schedule: Sequence[ScaleTime], at: datetime) -> int:
    """The most that any line of the schedule asks for now; 0 outside of all of them."""
    return max((line.min for line in schedule if _now(line, at)), default=0)


def _now(line: ScaleTime, at: datetime) -> bool:
    local = at.astimezone(ZoneInfo(line.zone))
    clock, today = local.time(), local.weekday()
    yesterday = (local - timedelta(days=1)).weekday()
    if line.start < line.end:
        return today in line.days and line.start <= clock < line.end
    return (today in line.days and clock >= line.start) or (yesterday in line.days and clock < line.end)
