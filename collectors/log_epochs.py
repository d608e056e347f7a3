"""Times that lines state as a number of seconds, or of smaller units, since 1970."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import BoolArray, IntArray

from .log_digits import FIRST, digits, value
from .log_keys import keyed
from .log_words import Buffer

#: Digits of seconds, ms, us and ns between 2001 and 2286: the unit is told by the length.
_LENGTHS = (10, 13, 16, 19)
#: Bytes of a line among which a number may stand.
DEEP = 4096


def epochs(buffer: Buffer, begins: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
    """(line, ms) of each line that states one at its start, in a field for it, or as Linux's audit does."""
    places, rows = _numbers(buffer, begins, stop)
    is_json = buffer.octets[begins[rows]] == ord("{")
    opened = (places == begins[rows] + 1) & (buffer.octets[begins[rows]] == ord("["))
    audit = (buffer.last_eights[places] >> np.uint64(16)) == int.from_bytes(b"audit(", "little")
    good = keyed(buffer, places, begins[rows], is_json) | (places == begins[rows]) | opened | audit
    places, rows = places[good], rows[good]
    times, well = _ms(buffer, places)
    rows, times = rows[well], times[well]
    new = np.ones(len(rows), bool)
    new[1:] = rows[1:] != rows[:-1]
    return rows[new], times[new]


def _numbers(buffer: Buffer, begins: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
    """(place, line) of numbers of ten digits and more that begin with 1 or 2."""
    digit = buffer.octets[: len(buffer.data)] - np.uint8(ord("0"))
    begin = (digit == 1) | (digit == 2)
    begin[1:] &= digit[:-1] > 9
    places = np.flatnonzero(begin)
    places = places[digits(buffer.eights[places + 1]) == 8]
    rows = np.searchsorted(begins, places, side="right") - 1
    kept = rows >= 0
    kept &= (places + 10 <= stop[rows]) & (places - begins[rows] < DEEP)
    return places[kept], rows[kept]


def _ms(buffer: Buffer, places: IntArray) -> tuple[IntArray, BoolArray]:
    """The numbers there in ms, and whether they have the length of a time."""
    words = buffer.eights[places + 8]
    count = digits(words)
    count[count == 8] += digits(buffer.eights[places[count == 8] + 16])
    point = buffer.octets[places + 10] == ord(".")
    plain = count == 2  # seconds: what is behind their point are thousandths
    tail = np.where(plain, _seconds_tail(words, point), words)
    ms = value(buffer.eights[places]) * 100_000 + value(tail << np.uint64(24))
    return ms, np.isin(count + 8, _LENGTHS)


def _seconds_tail(words: NDArray[np.uint64], point: BoolArray) -> NDArray[np.uint64]:
    """Two digits of seconds and three behind the point, as if they were whole ms."""
    part = words >> np.uint64(24)
    part = np.where(point, part & FIRST[np.minimum(digits(part), 3)], np.uint64(0))
    return words & np.uint64(0xFFFF) | part << np.uint64(16)
