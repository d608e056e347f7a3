"""OTLP's names in Prometheus's words, as Prometheus translates them: units and ``_total`` behind, ``_`` for the rest.

Source: Prometheus's OTLP translation ("UnderscoreEscapingWithSuffixes", its default), and UCUM for the units.
"""

from __future__ import annotations

import re
from functools import lru_cache

UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes",
    "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams",
    "Cel": "celsius", "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
#: What stands behind the slash: By/s is bytes per second.
PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
WORDS = re.compile(r"[a-zA-Z0-9:]+")
NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")
#: Names kept translated. Exporters repeat theirs with every request.
KEPT = 8192


@lru_cache(maxsize=KEPT)
def metric_name(name: str, unit: str, kind: str) -> str:
    """``kind``: counter (a monotonic sum), gauge, or any other word. Empty when the name has nothing to keep."""
    words = WORDS.findall(name)
    main, _, per = unit.partition("/")
    words += _unit(main, UNITS, words)
    rate = _unit(per, PER, words)
    words += ["per", *rate] if rate else []
    if kind == "counter":
        words = [word for word in words if word != "total"] + ["total"]
    if kind == "gauge" and unit == "1":
        words = [word for word in words if word != "ratio"] + ["ratio"]
    found = "_".join(words)
    return f"_{found}" if found[:1].isdigit() else found


def _unit(text: str, known: dict[str, str], words: list[str]) -> list[str]:
    """The unit's word unless the name says it already. ``{requests}`` is a remark, not a unit."""
    text = text.strip()
    if not text or "{" in text or "}" in text:
        return []
    found = "_".join(WORDS.findall(known.get(text, text)))
    return [found] if found and found not in words else []


@lru_cache(maxsize=KEPT)
def label_name(name: str) -> str:
    found = NO_LABEL.sub("_", name)
    if found[:1].isdigit():
        return f"key_{found}"
    return f"key{found}" if found.startswith("_") and not found.startswith("__") else found
