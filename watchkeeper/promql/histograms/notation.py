"""Histograms in Prometheus's test notation: ``{{schema:0 sum:5 count:4 buckets:[1 2 1]}}+{{count:1}}x3``."""

from __future__ import annotations

import re

from watchkeeper.errors import QueryError
from watchkeeper.promql.histograms.combine import IncompatibleError, add, subtract
from watchkeeper.promql.histograms.model import (
    CUSTOM,
    GAUGE,
    HIGHEST_SCHEMA,
    LOWEST_SCHEMA,
    NOT_RESET,
    RESET,
    UNKNOWN,
    Histogram,
)

ITEM = re.compile(r"(?P<base>\{\{[^}]*\}\})(?:(?P<sign>[+-])(?P<step>\{\{[^}]*\}\}))?(?:x(?P<times>\d+))?")
FIELD = re.compile(r"\s*(?P<name>[a-z_]+)\s*:\s*(?:\[(?P<list>[^\]]*)\]|(?P<one>[^\s\[\]]+))\s*")
HINTS = (UNKNOWN, RESET, NOT_RESET, GAUGE)
LISTS = ("buckets", "n_buckets", "custom_values")
NUMBERS = ("schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset")
KNOWN = (*LISTS, *NUMBERS, "counter_reset_hint")

#: A value as written: one word, or the words in brackets.
Raw = str | list[str]


def parse_histograms(item: str) -> list[Histogram] | None:
    """The histograms that one item of a value line stands for; None when it is no histogram. Raises QueryError."""
    found = ITEM.fullmatch(item)
    if found is None:
        return None
    value = parse_histogram(found["base"])
    if found["times"] is None:
        return [value]
    step = None if found["step"] is None else parse_histogram(found["step"])
    answer = [value]
    for _ in range(int(found["times"])):
        value = value if step is None else _stepped(value, step, found["sign"], item)
        answer.append(value)
    return answer


def _stepped(value: Histogram, step: Histogram, sign: str, item: str) -> Histogram:
    try:
        made = (add if sign == "+" else subtract)(value, step).histogram
    except IncompatibleError:
        raise QueryError(f"exponential and custom buckets cannot be added: {item!r}") from None
    return made.with_hint(value.hint)


def parse_histogram(text: str) -> Histogram:
    """``{{...}}``; what is not named is 0. Raises QueryError naming what cannot be read."""
    inside = text.strip()
    if not (inside.startswith("{{") and inside.endswith("}}")):
        raise QueryError(f"not a histogram: {text!r}")
    fields = _fields(inside[2:-2], text)
    try:
        return _made(fields, text)
    except ValueError as error:
        raise QueryError(f"cannot read the histogram {text!r}: {error}") from None


def _fields(inside: str, text: str) -> dict[str, Raw]:
    answer: dict[str, Raw] = {}
    place = 0
    while inside[place:].strip():
        found = FIELD.match(inside, place)
        if found is None or found["name"] not in KNOWN:
            raise QueryError(f"cannot read {inside[place:].strip()!r} in the histogram {text!r}")
        answer[found["name"]] = found["one"] if found["list"] is None else found["list"].split()
        place = found.end()
    return answer


def _made(fields: dict[str, Raw], text: str) -> Histogram:
    schema = int(_one(fields, "schema"))
    if schema != CUSTOM and not LOWEST_SCHEMA <= schema <= HIGHEST_SCHEMA:
        raise QueryError(f"schema {schema} of {text!r} is neither {LOWEST_SCHEMA} to {HIGHEST_SCHEMA} nor {CUSTOM}")
    return Histogram(
        schema=schema,
        count=float(_one(fields, "count")),
        sum=float(_one(fields, "sum")),
        zero_count=float(_one(fields, "z_bucket")),
        zero_threshold=float(_one(fields, "z_bucket_w")),
        positive=dict(enumerate(_list(fields, "buckets"), int(_one(fields, "offset")))),
        negative=dict(enumerate(_list(fields, "n_buckets"), int(_one(fields, "n_offset")))),
        custom=tuple(_list(fields, "custom_values")),
        hint=_hint(fields),
    )


def _one(fields: dict[str, Raw], name: str) -> str:
    value = fields.get(name, "0")
    if isinstance(value, list):
        raise ValueError(f"{name} is one value, not {value}")
    return value


def _list(fields: dict[str, Raw], name: str) -> list[float]:
    value = fields.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} are values in brackets, not {value!r}")
    return [float(one) for one in value]


def _hint(fields: dict[str, Raw]) -> str:
    value = fields.get("counter_reset_hint", "")
    if value and value not in HINTS:
        raise ValueError(f"counter_reset_hint is one of {', '.join(HINTS)}, not {value!r}")
    return str(value)
