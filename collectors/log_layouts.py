"""How lines of one file were written lately: a date with all that stands before it, at one place of the line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from watchkeeper.model.series import BoolArray, IntArray

from .log_clocks import Clocks, is_time
from .log_digits import FIRST
from .log_words import Buffer

#: Layouts of one file that are tried: their own date, and the length of what stands before it, differ.
MOST = 4
#: Bytes before the time of day that may be compared.
_WIDEST = 64
#: Lines of one layout in so many that were searched are worth a layout of their own.
_SHARE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    prefix: bytes  #: of the line, up to the time of day
    day: int
    yearless: bool
    sure: bool

    def fits(self, buffer: Buffer, begins: IntArray, stop: IntArray) -> BoolArray:
        """Which lines are written so."""
        size = len(self.prefix)
        found: BoolArray = begins + size + 8 <= stop
        for at in range(0, size, 8):
            part = self.prefix[at : at + 8]
            words = buffer.eights[begins + at]
            found &= (words & FIRST[len(part)]) == np.uint64(int.from_bytes(part, "little"))
        found &= is_time(buffer.eights[begins + size])
        return found


@dataclass(slots=True)
class Layouts:
    """The latest ones, the last learned first."""

    _known: list[Layout] = field(default_factory=list)

    def find(self, buffer: Buffer, begins: IntArray, stop: IntArray) -> Iterator[Clocks]:
        """Lines that are written as one of them."""
        left = np.arange(len(begins))
        for one in list(self._known):
            if not len(left):
                return
            whole = len(left) == len(begins)
            fits = one.fits(buffer, begins if whole else begins[left], stop if whole else stop[left])
            rows = left if fits.all() else left[fits]
            if len(rows):
                same = np.ones(len(rows), bool)
                yield Clocks(
                    rows,
                    begins[rows] + len(one.prefix),
                    np.full(len(rows), one.day),
                    same & one.yearless,
                    same & one.sure,
                )
                left = left[~fits]

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
