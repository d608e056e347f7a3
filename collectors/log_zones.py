"""From a date and the place of a time of day to milliseconds: what follows the seconds, many lines at once."""

from __future__ import annotations

from datetime import datetime, tzinfo

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
_UTC, _GMT = 0x435455, 0x544D47


def pairs(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hours, minutes and seconds of hh:mm:ss in bytes 0, 3 and 6."""
    found: NDArray[np.uint64] = (words & np.uint64(0x0F0F000F0F000F0F)) * np.uint64(2561) >> _EIGHT
    return found


def moments(
    buffer: Buffer,
    hours: IntArray,
    days: IntArray,
    yearless: BoolArray,
    zone: tzinfo | None,
    now: datetime,
) -> tuple[IntArray, BoolArray]:
    """(ms since 1970, whether the zone is stated) of times of day whose hours begin there, on those days."""
    two = pairs(buffer.eights[hours] | np.uint64(0x10))
    seconds = (two & _BYTE) * np.uint64(3600) + (two >> np.uint64(24) & _BYTE) * np.uint64(60)
    local = days * 86_400 + (seconds + (two >> np.uint64(48) & _BYTE)).astype(np.int64)
    behind, thousandths = _fraction(buffer, hours + 8)
    offset, stated = np.zeros(len(hours), np.int64), np.zeros(len(hours), bool)
    behind += buffer.octets[behind] == ord(" ")
    some = np.flatnonzero(_SPECIAL[buffer.octets[behind]])
    if len(some):
        local[some], offset[some], stated[some] = _special(buffer, behind[some], local[some], yearless[some])
    if not stated.all():
        offset = np.where(stated, offset, _local_offsets(local, zone, now))
    return (local - offset) * 1000 + thousandths, stated


def _fraction(buffer: Buffer, places: IntArray) -> tuple[IntArray, IntArray]:
    """(behind it, thousandths) of what follows seconds."""
    mark = buffer.octets[places]
    marked = (mark == ord(".")) | (mark == ord(",")) | (mark == ord(":"))
    if not marked.any():
        return places, np.zeros(len(places), np.int64)
    words = buffer.eights[places + 1]
    count = digits(words)
    more = np.flatnonzero(count == 8)
    count[more] += digits(buffer.eights[places[more] + 9])
    count[~marked | (mark != ord(".")) & (count % 3 != 0)] = 0
    numbers = words & FIRST[np.minimum(count, 3)] & np.uint64(0x0F0F0F)
    found = (
        (numbers & _BYTE) * np.uint64(100) + (numbers >> _EIGHT & _BYTE) * np.uint64(10) + (numbers >> np.uint64(16))
    )
    return places + count + (count > 0), found.astype(np.int64)


def _special(
    buffer: Buffer, places: IntArray, local: IntArray, yearless: BoolArray
) -> tuple[IntArray, IntArray, BoolArray]:
    """(local seconds, seconds ahead of UTC, whether these are stated) with what stands there."""
    words = buffer.eights[places]
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


def _local_offsets(local: IntArray, zone: tzinfo | None, now: datetime) -> IntArray:
    """Seconds that each second of local time is ahead of UTC."""
    hours = local // 3600
    runs = np.flatnonzero(np.append(True, hours[1:] != hours[:-1]))
    each = hours[runs].tolist()
    known = dict(zip(dict.fromkeys(each), offsets(list(dict.fromkeys(each)), zone, now), strict=True))
    return np.repeat(np.array([known[hour] for hour in each], np.int64), np.diff(np.append(runs, len(hours))))
