"""Types of options: durations as people write them, strict parts, secrets that do not print."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, SecretStr

#: Every options class uses this: unknown keys are mistakes.
STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")


def parse_duration(text: Any) -> Any:
    """``1h30m`` as a timedelta; numbers are refused because their unit would be a guess. 0 needs none."""
    if isinstance(text, timedelta):
        return text
    if text in (0, "0"):
        return timedelta(0)
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError("write a duration with its unit, for example 30s, 5m, 1h30m or 7d")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def format_duration(duration: timedelta) -> str:
    """The shortest exact form: ``90s`` is ``1m30s``."""
    left, parts = round(duration.total_seconds() * 1000), []
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_UNITS[unit] * 1000)
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]

__all__ = ["STRICT", "Duration", "SecretStr", "format_duration", "parse_duration"]
