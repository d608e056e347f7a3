"""From a date and the place of a time of day to milliseconds: what follows the seconds, many lines at once."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import BoolArray, IntArray

from .log_dates import offsets
from .log_digits import FIRST, digits
from .log_words import Buffer

_EIGHT, _BYTE = np.uint64(8), np.uint64(0xFF)
#: What a zone, AM, PM or a year behind the time begins with.
_SPECIAL = np.zeros(256, bool)
_SPECIAL[list(b"+-ZUGAPap0123456789")] = True
#: What stands between seconds and their fraction.
_MARKS = np.zeros(256, bool)
_MARKS[list(b".,:")] = True
_UTC, _GMT = 0x435455, 0x544D47
#: Where what follows the seconds ends, a blank included; thousandths; the octet there.
Behind = tuple[IntArray, IntArray, NDArray[np.integer[Any]]]


def pairs(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hours, minutes and seconds of hh:mm:ss in bytes 0, 3 and 6."""
    found: NDArray[np.uint64] = (words & np.uint64(0x0F0F000F0F000F0F)) * np.uint64(2561) >> _EIGHT
    return found


def moments(
    buffer: Buffer,
    hours: IntArray,
    two: NDArray[np.uint64],
    after: NDArray[np.uint64],
    days: IntArray,
    yearless: BoolArray,
    zone: tzinfo | None,
    now: datetime,
) -> tuple[IntArray, BoolArray]:
    """(ms since 1970, whether the zone is stated) of times of day whose hours begin there, on those days.

    ``two`` are their ``pairs``, ``after`` the eight bytes behind the seconds.
    """
    hour = (two & _BYTE).astype(np.int64)
    rest = (two >> np.uint64(24) & _BYTE) * np.uint64(60) + (two >> np.uint64(48))
    local = (days * 24 + hour) * 3600 + rest.astype(np.int64)
    behind, thousandths, next_octet = _alike(after, hours + 8) or _fraction(buffer, hours + 8)
    offset, stated = np.zeros(len(hours), np.int64), np.zeros(len(hours), bool)
    some = np.flatnonzero(_SPECIAL.take(next_octet))
    if len(some):
        local[some], offset[some], stated[some] = _special(buffer, behind[some], local[some], yearless[some])
    if not stated.all():
        offset = np.where(stated, offset, _local_offsets(days * 24 + hour, zone, now))
    return (local - offset) * 1000 + thousandths, stated


def _alike(words: NDArray[np.uint64], places: IntArray) -> Behind | None:
    """What follows seconds where all lines write it as the first one does; None where they do not, or at length."""
    first = int(words[0])
    mark, count = first & 0xFF, int(digits(words[:1] >> _EIGHT)[0])
    if mark not in b".,:" or (mark != ord(".") and count % 3):
        mark, count = 0, 0
    if count > 5:
        return None
    size = count + 1 if count else 0
    if count:
        form = mark | int.from_bytes(b"0" * count, "little") << 8
        apart = (words & FIRST[size]) ^ np.uint64(form)
        sixes, high = (int.from_bytes(bytes([octet]) * count, "little") << 8 for octet in (6, 0xF0))
        if ((apart | apart + np.uint64(sixes)) & np.uint64(high | 0xFF)).any():
            return None
    next_two = words >> np.uint64(8 * size)
    octet = next_two & _BYTE
    digit = octet - np.uint64(ord("0")) < 10
    if digit.any() if count else _MARKS.take(octet).any():
        return None
    blank = octet == ord(" ")
    octet = np.where(blank, next_two >> _EIGHT & _BYTE, octet)
    return places + (blank + np.int64(size)), _thousandths(words >> _EIGHT, count), octet


def _thousandths(words: NDArray[np.uint64], count: int | IntArray) -> IntArray:
    numbers = words & FIRST[np.minimum(count, 3)] & np.uint64(0x0F0F0F)
    found = (numbers & _BYTE) * np.uint64(100) + (numbers >> _EIGHT & _BYTE) * np.uint64(10)
    whole: IntArray = (found + (numbers >> np.uint64(16))).astype(np.int64)
    return whole


def _fraction(buffer: Buffer, places: IntArray) -> Behind:
    """The same where lines differ."""
    mark = buffer.octets[places]
    marked = _MARKS.take(mark)
    words = buffer.eights[places + 1]
    count = digits(words)
    more = np.flatnonzero(count == 8)
    count[more] += digits(buffer.eights[places[more] + 9])
    count[~marked | (mark != ord(".")) & (count % 3 != 0)] = 0
    behind = places + count + (count > 0)
    behind += buffer.octets[behind] == ord(" ")
    return behind, _thousandths(words, count), buffer.octets[behind]


def _special(
    buffer: Buffer, places: IntArray, local: IntArray, yearless: BoolArray
) -> tuple[IntArray, IntArray, BoolArray]:
    """(local seconds, seconds ahead of UTC, whether these are stated) with what stands there."""
    words = buffer.eights[places]
    if (words & _BYTE == ord("Z")).all():  # most often
        return local, np.zeros(len(places), np.int64), ~_alphanumeric(words >> _EIGHT & _BYTE)
    local, clock = _afternoon(words, local)
    rows = np.flatnonzero(yearless & (digits(words) == 4))
    local[rows] = [
        _in_year(second, word) for second, word in zip(local[rows].tolist(), words[rows].tolist(), strict=True)
    ]
    if clock.any():
        words = np.where(clock, buffer.eights[places + 3], words)
    first, three = words & _BYTE, words & np.uint64(0xFFFFFF)
    named = (three == _UTC) | (three == _GMT)
    stated = named | (first == ord("Z"))
    stated &= ~_alphanumeric(np.where(named, words >> np.uint64(24), words >> _EIGHT) & _BYTE)
    offset = np.zeros(len(places), np.int64)
    rows = np.flatnonzero((first == ord("+")) | (first == ord("-")))
    if len(rows):
        offset[rows], stated[rows] = _signed(words[rows])
    return local, offset, stated


def _afternoon(words: NDArray[np.uint64], local: IntArray) -> tuple[IntArray, BoolArray]:
    """Clocks of twelve hours say AM and PM."""
    two = words & np.uint64(0xDFDF)
    marked = ((two == 0x4D50) | (two == 0x4D41)) & ~_alphanumeric(words >> np.uint64(16) & _BYTE)
    if marked.any():
        late = local // 86_400 * 86_400 + local % 43_200 + np.where(two == 0x4D50, 43_200, 0)
        local = np.where(marked, late, local)
    return local, marked


def _in_year(second: int, word: int) -> int:
    """Apache and ctime write the year behind the time."""
    year, at = int(word.to_bytes(8, "little")[:4]), np.datetime64(second, "s").item()
    if not 1990 <= year <= 2100 or (at.month, at.day) == (2, 29):
        return second
    return int(np.datetime64(at.replace(year=year), "s").astype(np.int64))


def _signed(words: NDArray[np.uint64]) -> tuple[IntArray, BoolArray]:
    """+hh:mm, +hhmm and +hh."""
    hours, rest = words >> _EIGHT & np.uint64(0xFFFF), words >> np.uint64(24)
    rest = np.where(rest & _BYTE == ord(":"), rest >> _EIGHT, rest)
    size = digits(rest)
    minutes = np.where(size == 2, rest & np.uint64(0xFFFF), np.uint64(0x3030))
    each = [
        ((pair & np.uint64(0xF)) * np.uint64(10) + (pair >> _EIGHT & np.uint64(0xF))).astype(np.int64)
        for pair in (hours, minutes)
    ]
    well = (digits(hours) == 2) & ((size == 2) | (size == 0)) & (each[0] <= 14) & (each[1] % 15 == 0)
    seconds = np.where(words & _BYTE == ord("-"), -1, 1) * (each[0] * 3600 + each[1] * 60)
    return np.where(well, seconds, 0), well


def _alphanumeric(octets: NDArray[np.uint64]) -> BoolArray:
    found: BoolArray = ((octets | np.uint64(0x20)) - np.uint64(ord("a")) < 26) | (octets - np.uint64(ord("0")) < 10)
    return found


def _local_offsets(hours: IntArray, zone: tzinfo | None, now: datetime) -> IntArray:
    """Seconds that each hour of local time, since 1970, is ahead of UTC."""
    runs = np.flatnonzero(np.append(True, hours[1:] != hours[:-1]))
    each = hours[runs].tolist()
    known = dict(zip(dict.fromkeys(each), offsets(list(dict.fromkeys(each)), zone, now), strict=True))
    return np.repeat(np.array([known[hour] for hour in each], np.int64), np.diff(np.append(runs, len(hours))))
