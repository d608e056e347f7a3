"""How lines of one file were written lately: a date with all that stands before it, at one place of the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from watchkeeper.model.series import BoolArray, IntArray

from .log_clocks import Clocks, times_of_day
from .log_digits import FIRST
from .log_words import WINDOW, Buffer, eights_of

#: Layouts of one file that are tried: their own date, and the length of what stands before it, differ.
MOST = 4
#: Bytes before the time of day that may be compared.
_WIDEST = 64
#: Lines of one layout in so many that were searched are worth a layout of their own.
_SHARE = 8


#: Eight bytes of each line, so many behind its begin.
Words = Callable[[int], NDArray[np.uint64]]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    prefix: bytes  #: of the line, up to the time of day
    day: int
    yearless: bool
    sure: bool

    def fits(self, words: Words, begins: IntArray, stop: IntArray) -> tuple[BoolArray, NDArray[np.uint64]]:
        """Which lines are written so, and the ``pairs`` of each."""
        size = len(self.prefix)
        found: BoolArray = begins + size + 8 <= stop
        for at in range(0, size, 8):
            part = self.prefix[at : at + 8]
            found &= (words(at) & FIRST[len(part)]) == np.uint64(int.from_bytes(part, "little"))
        well, two = times_of_day(words(size))
        found &= well
        return found, two


def _gathered(buffer: Buffer, begins: IntArray, at: int) -> NDArray[np.uint64]:
    return buffer.eights[begins + at]


@dataclass(slots=True)
class Layouts:
    """The latest ones, the last learned first."""

    _known: list[Layout] = field(default_factory=list)

    def find(self, buffer: Buffer, begins: IntArray, stop: IntArray) -> Iterator[Clocks]:
        """Lines that are written as one of them."""
        left, held = np.arange(len(begins)), buffer.windows[begins] if self._known else None
        for one in list(self._known):
            if not len(left):
                return
            size = len(one.prefix)
            if held is not None and size <= WINDOW - 17:
                words: Words = partial(eights_of, held)
            else:
                words = partial(_gathered, buffer, begins[left])
            fits, two = one.fits(words, begins[left], stop[left])
            rows, behind = left, words(size + 8)
            if not fits.all():
                rows, two, behind = left[fits], two[fits], behind[fits]
            if len(rows):
                same = np.ones(len(rows), bool)
                days = np.full(len(rows), one.day)
                yield Clocks(rows, begins[rows] + size, two, behind, days, same & one.yearless, same & one.sure)
                left, held = left[~fits], None if held is None else held[~fits]

    def learn(self, buffer: Buffer, begins: IntArray, clocks: Clocks) -> None:
        """Of lines that were searched: how the most of them are written."""
        widths = clocks.hours - begins[clocks.rows]
        near = np.flatnonzero(widths < _WIDEST)
        if not len(near):
            return
        width = int(np.bincount(widths[near]).argmax())
        rows = near[widths[near] == width]
        if len(rows) * _SHARE >= len(begins):
            first = int(rows[0])
            begin, hours = int(begins[clocks.rows[first]]), int(clocks.hours[first])
            prefix = buffer.data[begin:hours]
            one = Layout(prefix, int(clocks.days[first]), bool(clocks.yearless[first]), bool(clocks.sure[first]))
            self._known = [one, *(known for known in self._known if known.prefix != prefix)][:MOST]
