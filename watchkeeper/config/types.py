"""Types of options: durations as people write them, strict parts, secrets that do not print."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr

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


#: Suffixes of quantities as Kubernetes writes them: thousandths, decimal and binary multiples.
_SUFFIX = {"": 1.0, "m": 0.001} | {
    f"{letter}{rest}": float(base**power)
    for power, letter in enumerate("kMGTP", start=1)
    for rest, base in (("", 1000), ("B", 1000), ("i", 1024), ("iB", 1024))
} | {"K": 1000.0, "KB": 1000.0, "Ki": 1024.0, "KiB": 1024.0}  # fmt: skip
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_quantity(value: Any) -> Any:
    """``512Mi`` in bytes, ``1000m`` in cores, ``10GB``, or a plain number; never negative."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or found[2] not in _SUFFIX:
        raise ValueError("write a quantity such as 2, 1000m, 512Mi or 10GB")
    return float(found[1]) * _SUFFIX[found[2]]


def _switch(value: Any) -> Any:
    """``on`` and ``off`` as people write them."""
    return {"on": True, "off": False}.get(value, value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Quantity = Annotated[float, BeforeValidator(parse_quantity), Field(ge=0, allow_inf_nan=False)]

__all__ = [
    "STRICT",
    "Duration",
    "Quantity",
    "SecretStr",
    "Switch",
    "format_duration",
    "parse_duration",
    "parse_quantity",
]
