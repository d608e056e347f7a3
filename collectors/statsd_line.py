"""One line of StatsD: ``name:value|type|@rate|#tag:value``, with DogStatsD's and InfluxDB's tags."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "timer", "set"]
KINDS: dict[str, tuple[Kind, float]] = {
    "c": ("counter", 1.0),
    "g": ("gauge", 1.0),
    "ms": ("timer", 0.001),  # base units: seconds
    "h": ("timer", 1.0),
    "d": ("timer", 1.0),
    "s": ("set", 1.0),
}
_BAD_NAME, _BAD_LABEL = re.compile(r"[^a-zA-Z0-9_:]"), re.compile(r"[^a-zA-Z0-9_]")
#: Labels of one series, and characters of a name or value.
MOST_LABELS, MOST_CHARACTERS = 64, 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One reported value. ``weight``: how often it stands for, after sampling."""

    kind: Kind
    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    weight: float = 1.0
    relative: bool = False  #: a gauge's +1 or -1
    member: str = ""  #: what a set counts


def parse(line: str) -> list[Event]:
    """The events of a line: DogStatsD packs several values. Raises ValueError for what is no StatsD."""
    head, _, rest = line.partition("|")
    name, colon, packed = head.partition(":")
    word, *extras = rest.split("|")
    if not colon or word not in KINDS:
        raise ValueError("no name:value|type")
    rate, tags = 1.0, ""
    for extra in extras:
        if extra.startswith("@"):
            rate = float(extra[1:])
        elif extra.startswith("#"):
            tags = extra[1:]
    if not 0 < rate <= 1:
        raise ValueError("a rate is above 0 and at most 1")
    kind, scale = KINDS[word]
    metric, labels = _named(name, tags)
    return [_event(kind, metric, labels, value, scale, rate) for value in packed.split(":")]


def _event(kind: Kind, name: str, labels: tuple[tuple[str, str], ...], value: str, scale: float, rate: float) -> Event:
    if kind == "set":
        return Event(kind, name, labels, 1.0, member=value[:MOST_CHARACTERS])
    number = float(value) * scale
    if not math.isfinite(number) or (kind == "counter" and number < 0) or "_" in value:
        raise ValueError("a value is a finite number, of a counter none below 0")
    return Event(kind, name, labels, number, 1 / rate, kind == "gauge" and value[:1] in "+-")


def _named(name: str, tags: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Metric name and labels, with characters that Prometheus does not know as underscores."""
    name, *influx = name.split(",")
    pairs = [one.partition("=") for one in influx]
    pairs += [one.partition(":") for one in tags.split(",") if one]
    found = {_clean(key, _BAD_LABEL): value for key, _, value in pairs if key and value}
    if not name or len(name) > MOST_CHARACTERS or len(found) > MOST_LABELS:
        raise ValueError("the name is empty or too long, or there are too many tags")
    if any(len(key) + len(value) > MOST_CHARACTERS for key, value in found.items()):
        raise ValueError("a tag is too long")
    return _clean(name, _BAD_NAME), tuple(sorted(found.items()))


def _clean(word: str, bad: re.Pattern[str]) -> str:
    cleaned = bad.sub("_", word)
    return f"_{cleaned}" if cleaned[0].isdigit() else cleaned
