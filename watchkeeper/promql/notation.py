"""Prometheus's notation for test series: ``up{job="a"} 1+1x10 _x3 stale NaN``."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator

from watchkeeper.errors import QueryError
from watchkeeper.model import STALE_NAN, Labels, labels
from watchkeeper.promql.durations import duration_ms
from watchkeeper.promql.histograms.model import Histogram
from watchkeeper.promql.histograms.notation import parse_histograms

PAIR = re.compile(
    r'\s*("(?:\\.|[^"\\])*"|[^\s=,{}"\']+)\s*(?:=\s*("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`))?\s*(,|\})'
)
NAME = re.compile(r"\s*([A-Za-z_:][\w:]*)?\s*")
#: No hexadecimal: ``0x59`` is sixty zeros.
FLOAT = r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf|nan))"
ITEM = re.compile(rf"(?P<start>{FLOAT})(?:(?P<step>[+-](?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))?(?:x(?P<times>\d+))?")
GAP = re.compile(r"_(?:x(\d+))?")


def parse_series(text: str) -> Labels:
    """The labels of ``name{a="b"}``; nothing may follow."""
    series, rest = split_series(text)
    if rest.strip():
        raise QueryError(f"unexpected text after the series: {rest.strip()!r}")
    return series


def split_series(text: str) -> tuple[Labels, str]:
    """The labels at the start of the line, and what follows them."""
    found = NAME.match(text)
    assert found is not None  # the pattern matches the empty text
    name, end = found.group(1), found.end()
    pairs: dict[str, str] = {}
    if text[end : end + 1] == "{" and text[end : end + 2] != "{{":
        end += 1
        while not text[end:].lstrip().startswith("}"):
            pair = PAIR.match(text, end)
            if pair is None:
                raise QueryError(f"cannot read the labels of {text.strip()!r}")
            key, value = _unquote(pair.group(1)), pair.group(2)
            if value is None:
                name = key
            else:
                pairs[key] = _unquote(value)
            end = pair.end() - (pair.group(3) == "}")
        end = text.index("}", end) + 1
    elif name is None:
        raise QueryError(f"no series in {text.strip()!r}")
    return labels(name, pairs), text[end:]


def _unquote(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]
    return str(ast.literal_eval(text)) if text[0] in "\"'" else text


#: One sample of a test series: a number, a histogram, or a gap.
Value = float | Histogram | None
#: Blanks end an item, but not those inside a histogram.
WORD = re.compile(r"(?:\{\{[^}]*\}\}|[^\s{])+")


def parse_values(text: str) -> list[Value]:
    """Values by position: ``1+2x3`` is 1 3 5 7, ``_`` a gap, ``stale`` the marker, ``{{...}}`` a histogram."""
    values: list[Value] = []
    for item in WORD.findall(text) if "{{" in text else text.split():
        if item[0] == "{" and (histograms := parse_histograms(item)) is not None:
            values += histograms
            continue
        gap, found = GAP.fullmatch(item), ITEM.fullmatch(item)
        if gap:
            values += [None] * int(gap.group(1) or 1)
        elif item == "stale":
            values.append(STALE_NAN)
        elif found:
            values += _series_of(found)
        else:
            raise QueryError(f"cannot read the value {item!r} in {text.strip()!r}")
    return values


def _series_of(found: re.Match[str]) -> list[float | None]:
    start = float(found["start"])
    if found["times"] is None:
        return [start]
    step, value = float(found["step"] or 0), start
    values: list[float | None] = []
    for _ in range(int(found["times"]) + 1):
        values.append(value)
        value = value + step if step or not math.isinf(value) else value
    return values


def parse_load(interval: str, text: str) -> Iterator[tuple[Labels, list[tuple[int, float | Histogram]]]]:
    """Series with their (milliseconds, value) samples, one line each; ``#`` starts a comment line."""
    step = duration_ms(interval)
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        series, rest = split_series(line)
        yield series, [(i * step, value) for i, value in enumerate(parse_values(rest)) if value is not None]


START = re.compile(r"(?P<start>[+-]?\d+[a-wyz]*)(?:(?P<sign>[+-])(?P<step>\d+[a-wyz]*))?(?:x(?P<times>\d+))?")


def parse_starts(text: str) -> list[int | None]:
    """Start times relative to their samples, in milliseconds: ``-30s-1mx2`` is -30 s, -90 s, -150 s; ``_`` none."""
    starts: list[int | None] = []
    for item in text.split():
        gap, found = GAP.fullmatch(item), START.fullmatch(item)
        if gap:
            starts += [None] * int(gap.group(1) or 1)
        elif item[0] == "*":
            starts += [next((one for one in reversed(starts) if one is not None), 0)] * (int(item[2:] or 0) + 1)
        elif found:
            first, step = _signed(found["start"]), _signed((found["sign"] or "") + (found["step"] or "0s"))
            starts += [first + i * step for i in range(int(found["times"] or 0) + 1)]
        else:
            raise QueryError(f"cannot read the start time {item!r}")
    return starts


def _signed(text: str) -> int:
    size = text.lstrip("+-")
    milliseconds = 0 if size == "0" else duration_ms(size)
    return -milliseconds if text[0] == "-" else milliseconds
