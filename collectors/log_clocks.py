"""Where lines state a date and a time of day.

Two colons three bytes apart with digits around them are a time of day; the date stands before it. Dates hardly change
from line to line, so that they are read by pattern once and known again by their bytes. In JSON only the fields that
hold a line's time count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import BoolArray, IntArray

from .log_dates import Written, read
from .log_digits import LAST
from .log_keys import keyed
from .log_words import Buffer
from .log_zones import pairs

#: Bytes of a line among which a time that stands by itself begins; a named field may be deeper.
LOOK, DEEP = 192, 4096
#: Bytes before a time of day among which its date stands.
DATE = 13
_MOST_DATES = 4096  #: known by their bytes
_TIME, _SIX = np.uint64(0x30303A30303A3030), np.uint64(0x0606000606000606)
_HIGH = np.uint64(0xF0F0FFF0F0FFF0F0)
_BYTE = np.uint64(0xFF)
#: Sets the highest bit of a byte where hours are above 23, minutes above 59 or seconds above 60.
_OVER = np.uint64((128 - 24) | (128 - 60) << 24 | (128 - 61) << 48)
_BEYOND = np.uint64(0x80 | 0x80 << 24 | 0x80 << 48)


@dataclass(frozen=True, slots=True, eq=False)
class Clocks:
    """One time of day of each of some lines; shape [lines found] each."""

    rows: IntArray  #: the lines
    hours: IntArray  #: where in the buffer hh:mm:ss begins
    two: NDArray[np.uint64]  #: its ``pairs``
    behind: NDArray[np.uint64]  #: the eight bytes behind it
    days: IntArray  #: of its date, since 1970
    yearless: BoolArray  #: the date states no year
    sure: BoolArray  #: at the line's start or in a field for it


@dataclass(slots=True)
class Dates:
    """Dates by the bytes they are written with, as they are read on one day."""

    today: int = -1
    known: list[Written] = field(default_factory=list)
    places: dict[tuple[int, int], int] = field(default_factory=dict)

    def renew(self, now: datetime) -> bool:
        """Forget them where the day has changed, or where they are too many."""
        new = now.toordinal() != self.today or len(self.known) > _MOST_DATES
        if new:
            self.today, self.known, self.places = now.toordinal(), [], {}
        return new

    def of(self, low: NDArray[np.uint64], high: NDArray[np.uint64], now: datetime) -> IntArray:
        """Places in ``known`` of the dates with these bytes."""
        new = np.ones(len(low), bool)
        new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        runs = np.flatnonzero(new)
        found = [self._place(pair, now) for pair in zip(low[runs].tolist(), high[runs].tolist(), strict=True)]
        return np.repeat(np.array(found, np.int64), np.diff(np.append(runs, len(low))))

    def _place(self, pair: tuple[int, int], now: datetime) -> int:
        place = self.places.get(pair)
        if place is None:
            place = self.places[pair] = len(self.known)
            raw = b"".join(number.to_bytes(8, "little") for number in pair)
            self.known.append(read(raw, now.date()) or Written(-1, 0))
        return place


def searched(buffer: Buffer, begins: IntArray, stop: IntArray, dates: Dates, now: datetime) -> Clocks:
    """The first time of day with a date of each line that has one; one that is sure before others."""
    hours, rows = _times(buffer, begins, stop)
    room = np.minimum(hours - begins[rows], DATE)
    low = buffer.last_but[hours] & LAST[np.maximum(room - 8, 0)]
    places = dates.of(low, buffer.last_eights[hours] & LAST[np.minimum(room, 8)], now)
    days, widths, access, with_year = (
        np.array([getattr(one, name) for one in dates.known], kind)[places]
        for name, kind in (("day", np.int64), ("width", np.int64), ("access", bool), ("has_year", bool))
    )
    starts = hours - widths
    is_json = buffer.octets[begins[rows]] == ord("{")
    sure = keyed(buffer, starts, begins[rows], is_json)
    kept = (days >= 0) & (sure | (starts - begins[rows] < LOOK) & ~is_json)
    sure |= (access | _leads(buffer, starts, begins[rows])) & ~is_json
    found = np.flatnonzero(kept)
    found = found[_best(rows[found], sure[found])]
    two = pairs(buffer.eights[hours[found]] | np.uint64(0x10))
    hours = hours[found]
    return Clocks(rows[found], hours, two, buffer.eights[hours + 8], days[found], ~with_year[found], sure[found])


def times_of_day(words: NDArray[np.uint64]) -> tuple[BoolArray, NDArray[np.uint64]]:
    """(whether eight bytes are hh:mm:ss, a blank for the first digit too; their ``pairs``)."""
    words = words | np.uint64(0x10)
    apart = words ^ _TIME
    good: BoolArray = (apart | apart + _SIX) & _HIGH == 0
    two = pairs(words)
    good &= (two + _OVER) & _BEYOND == 0
    return good, two


def _times(buffer: Buffer, begins: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
    """(where hours begin, the line of each) of all times of day."""
    octets = buffer.octets
    colons = octets[: len(buffer.data)] == ord(":")
    hours = np.flatnonzero(colons[:-3] & colons[3:]) - 2
    rows = np.searchsorted(begins, hours, side="right") - 1
    words = buffer.eights[hours]
    good = (words & _BYTE == ord(" ")) | (octets[hours - 1] - np.uint8(ord("0")) > 9)
    good &= times_of_day(words)[0] & (rows >= 0) & (hours + 8 <= stop[rows]) & (hours - begins[rows] < DEEP)
    return hours[good], rows[good]


def _leads(buffer: Buffer, starts: IntArray, begins: IntArray) -> BoolArray:
    """Whether the date is the first of the line: but for a bracket, a quote, a weekday or a priority of syslog."""
    column, first, last = starts - begins, buffer.octets[begins], buffer.octets[starts - 1]
    opened = (first == ord("[")) | (first == ord("(")) | (first == ord('"')) | (first == ord("'"))
    weekday = (first == ord("[")) & (column == 5) & (last == ord(" "))
    priority = (first == ord("<")) & ((last == ord(">")) | (last == ord(" "))) & (column <= 7)
    found: BoolArray = (column == 0) | opened & (column == 1) | weekday | priority
    return found


def _best(rows: IntArray, sure: BoolArray) -> IntArray:
    """Of each line the first that is sure, else the first."""
    order = np.arange(len(rows)) if sure.all() else np.lexsort((~sure, rows))
    new = np.ones(len(order), bool)
    new[1:] = rows[order][1:] != rows[order][:-1]
    return order[new]
