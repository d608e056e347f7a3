"""Whether the value at a place of a line stands in a field that holds the line's own time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import BoolArray, IntArray

from .log_words import LOWER, Buffer, mask, number

#: Names of such fields, as JSON and key=value lines have them; any case.
NAMES = (
    "time", "ts", "timestamp", "@timestamp", "datetime", "asctime", "eventtime", "event_time", "time_local",
    "time_iso8601", "logtime", "log_time", "msec", "date", "@t", "t",
)  # fmt: skip


def keyed(buffer: Buffer, values: IntArray, begins: IntArray, is_json: BoolArray) -> BoolArray:
    """``values`` may begin behind a quote, and blanks may stand around what parts them from their name."""
    octets = buffer.octets
    at = values - 1
    at = at - (octets[at] == ord('"'))
    at = at - (octets[at] == ord(" "))
    mark = octets[at]
    parted = np.where(is_json, mark == ord(":"), mark == ord("="))
    at = at - 1
    at = at - (is_json & (octets[at] == ord(" ")))
    quoted = octets[at] == ord('"')
    ends = at + ~quoted  # behind the name
    rows = np.flatnonzero(parted & (quoted | ~is_json) & (ends > begins))
    found = np.zeros(len(values), bool)
    if len(rows):
        found[rows] = _named(buffer, ends[rows], begins[rows])
    return found


def _named(buffer: Buffer, ends: IntArray, begins: IntArray) -> BoolArray:
    found = np.zeros(len(ends), bool)
    last, first = buffer.last_eights[ends] | LOWER, buffer.last_but[ends] | LOWER
    for name in NAMES:
        raw, size = name.encode(), len(name)
        tail, rest = raw[-8:], raw[:-8]
        same = _ends_with(last, tail)
        if rest:
            same &= _ends_with(first, rest)
        before = buffer.octets[ends - size - 1]
        alone = (before == ord('"')) | (before == ord(" ")) | (before == ord(",")) | (before == ord("{"))
        found |= same & (alone | (ends - size == begins)) & (ends - size >= begins)
    return found


def _ends_with(words: NDArray[np.uint64], text: bytes) -> BoolArray:
    left = 8 - len(text)
    found: BoolArray = (words & ~mask(left)) == (number(bytes(left) + text) | LOWER & ~mask(left))
    return found
