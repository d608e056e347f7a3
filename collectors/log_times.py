"""The time that log lines state, of a whole buffer of lines at once.

What the lines before looked like is tried first; the few that differ are searched. Lines without a date and a time of
day may state seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

import numpy as np

from watchkeeper.model.log import starts as line_starts
from watchkeeper.model.series import BoolArray, IntArray

from .log_clocks import Clocks, Dates, searched
from .log_epochs import epochs
from .log_layouts import Layouts
from .log_words import Buffer
from .log_zones import moments

#: Lines in one of so many that are left over are worth being copied together.
_FEW = 2


@dataclass(frozen=True, slots=True, eq=False)
class Stated:
    """What each line says; shape [lines] each."""

    times: IntArray  #: ms since 1970; -1: nothing
    own_zone: BoolArray  #: the zone is stated too
    sure: BoolArray  #: at the line's start or in a field for it; another may be any time a text speaks of


@dataclass(slots=True)
class LineTimes:
    """Reads the times of one file's lines, and remembers how they are written. ``zone`` None: this machine's."""

    zone: tzinfo | None
    _dates: Dates = field(default_factory=Dates)
    _layouts: Layouts = field(default_factory=Layouts)

    def read(self, buffer: Buffer, begins: IntArray, stop: IntArray, now: datetime) -> Stated:
        """Of lines from ``begins`` to ``stop``."""
        size = len(begins)
        found = Stated(np.full(size, -1, np.int64), np.zeros(size, bool), np.zeros(size, bool))
        if self._dates.renew(now):
            self._layouts = Layouts()
        for clocks in self._layouts.find(buffer, begins, stop):
            self._enter(found, buffer, clocks, now)
        left = np.flatnonzero(found.times < 0)
        if len(left):
            self._search(found, buffer, begins[left], stop[left], left, now)
        return found

    def _search(
        self, found: Stated, buffer: Buffer, begins: IntArray, stop: IntArray, left: IntArray, now: datetime
    ) -> None:
        if len(left) < len(found.times) // _FEW:
            buffer, begins, stop = _copied(buffer, begins, stop)
        clocks = searched(buffer, begins, stop, self._dates, now)
        self._layouts.learn(buffer, begins, clocks)
        self._enter(found, buffer, clocks, now, left)
        silent = np.flatnonzero(found.times[left] < 0)
        if len(silent):
            rows, times = epochs(buffer, begins[silent], stop[silent])
            rows = left[silent[rows]]
            found.times[rows], found.own_zone[rows], found.sure[rows] = times, True, True

    def _enter(
        self, found: Stated, buffer: Buffer, clocks: Clocks, now: datetime, lines: IntArray | None = None
    ) -> None:
        if len(clocks.rows):
            rows = clocks.rows if lines is None else lines[clocks.rows]
            times = moments(
                buffer, clocks.hours, clocks.two, clocks.behind, clocks.days, clocks.yearless, self.zone, now
            )
            found.times[rows], found.own_zone[rows] = times
            found.sure[rows] = clocks.sure


def _copied(buffer: Buffer, begins: IntArray, stop: IntArray) -> tuple[Buffer, IntArray, IntArray]:
    """Those lines alone, as a buffer of their own."""
    texts = [buffer.data[begin:end] for begin, end in zip(begins.tolist(), stop.tolist(), strict=True)]
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    return Buffer.of(b"\n".join(texts) + b"\n"), line_starts(ends), ends
