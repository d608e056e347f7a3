"""One sample line of the text exposition format, taken apart: series, value, time stamp.

Classic text 0.0.4, OpenMetrics 1.0 and quoted UTF-8 names (Prometheus 3). The verdict is Prometheus's own, see
``model/textparse/promlex.l`` and ``openmetricslex.l``; tests compare it with the official Python client's parser.
"""

from __future__ import annotations

import re

from watchkeeper.model import METRIC_NAME

#: A series with more labels than this is refused; Prometheus's own limit is off by default.
MAX_LABELS = 64
#: Longest label value in characters.
MAX_LABEL_VALUE = 4096

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
#: One ``name="value"`` pair with the comma or brace behind it; the value may hold any escaped character.
_PAIR = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*|"(?:[^"\\\n]|\\.)*")[ \t]*=[ \t]*"((?:[^"\\\n]|\\.)*)"[ \t]*([,}])')
#: A quoted metric name inside the braces, as Prometheus 3 writes names that are not plain words.
_QUOTED_NAME = re.compile(r'[ \t]*"((?:[^"\\\n]|\\.)*)"[ \t]*([,}])')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


class BrokenKeyError(ValueError):
    """The start of the line is no series: where it begins and ends cannot be known."""


class LimitError(ValueError):
    """The series is well formed and over a limit of labels."""


def parse_key(text: str) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """(metric name, its labels, the line behind them). Raises BrokenKeyError or LimitError."""
    name, at = "", _skip(text, 0)
    plain = _NAME.match(text, at)
    if plain:
        name, at = plain.group(), plain.end()
    brace = _skip(text, at)
    pairs: list[tuple[str, str]] = []
    braced = text[brace : brace + 1] == "{"
    if braced:
        name, pairs, at = _braces(text, brace + 1, name)
    if not name:
        raise BrokenKeyError("no metric name")
    tail = text[at:]
    if not tail.strip() or not (braced or tail[0] in " \t"):
        raise BrokenKeyError("no value behind the series")
    _check_limits(pairs)
    return name, tuple(pairs), tail


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at


def _braces(text: str, at: int, name: str) -> tuple[str, list[tuple[str, str]], int]:
    pairs: list[tuple[str, str]] = []
    while True:
        quoted = None if name else _QUOTED_NAME.match(text, at)
        if quoted:
            name, end, at = _unescape(quoted.group(1)), quoted.group(2), quoted.end()
        else:
            pair = _PAIR.match(text, at)
            if pair is None:
                return name, pairs, _closing(text, at)
            key, end, at = pair.group(1), pair.group(3), pair.end()
            pairs.append((_unescape(key[1:-1]) if key[0] == '"' else key, _unescape(pair.group(2))))
        if end == "}":
            return name, pairs, at


def _closing(text: str, at: int) -> int:
    """Position behind a brace that closes an empty list or follows a trailing comma."""
    at = _skip(text, at)
    if text[at : at + 1] != "}":
        raise BrokenKeyError("labels are not closed")
    return at + 1


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found.group(1), found.group()), text)


def _check_limits(pairs: list[tuple[str, str]]) -> None:
    names = {key for key, _ in pairs}
    if len(names) != len(pairs) or METRIC_NAME in names:
        raise BrokenKeyError("a label is named twice")
    if len(pairs) > MAX_LABELS:
        raise LimitError(f"more than {MAX_LABELS} labels")
    if any(len(value) > MAX_LABEL_VALUE for _, value in pairs):
        raise LimitError(f"a label value is longer than {MAX_LABEL_VALUE} characters")


def parse_value(rest: str) -> tuple[float, bool]:
    """(value, whether a time stamp follows). Exemplars are read over. Raises ValueError."""
    head = rest.split(" # ", 1)[0] if " # " in rest else rest
    parts = head.split()
    if not 1 <= len(parts) <= 2:
        raise ValueError("not one value and at most one time stamp")
    value = number(parts[0])
    if len(parts) == 2:
        number(parts[1])
    return value, len(parts) == 2


def number(text: str | bytes) -> float:
    """A float as Go's ParseFloat before 1.13 reads it: no digit separators, ASCII digits only."""
    raw = text.encode() if isinstance(text, str) else text
    if b"_" in raw:
        raise ValueError("digit separators are not allowed")
    return float(raw)
