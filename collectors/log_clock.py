"""When the lines of one file happened: by what they state, where that can be, else when they were read."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from watchkeeper.clock import to_ms
from watchkeeper.model.log import starts
from watchkeeper.model.series import IntArray

from .log_times import LineTimes, Stated
from .log_words import Buffer

#: A line that was written since the last look, and says otherwise by more, means another zone or another time.
APART = timedelta(minutes=25)


class LineClock:
    """Times of the lines of one file, in the order they stand there."""

    def __init__(self, time_zone: str) -> None:
        self._told = bool(time_zone)
        self._lines = LineTimes(ZoneInfo(time_zone) if time_zone else None)
        self._before = -1  #: of the last line, ms
        self._elsewhere = False  #: the writer's clock has another zone than the one that is taken for it
        self.doubted = 0  #: times not taken

    def times(self, buffer: Buffer, ends: IntArray, stop: IntArray, now: datetime, *, live: bool) -> IntArray:
        """ms for each line. ``stop``: where its first line ends; ``live``: all was written since the last look.

        A line that states none happened with the one before it.
        """
        read_ms = to_ms(now)
        found = self._lines.read(buffer, starts(ends), stop, now)
        times = found.times
        (self._live if live else self._old)(found, read_ms)
        silent = times < 0
        if silent.any():
            last = np.maximum.accumulate(np.where(silent, -1, np.arange(len(times))))
            times[silent] = times[last[silent]]
            times[last < 0] = self._before if self._before >= 0 else read_ms
        if len(times):
            self._before = int(times[-1])
        return times

    def pause(self) -> None:
        """The file was read to its end: the next line has nothing to do with the last one."""
        self._before = -1

    def _live(self, found: Stated, read_ms: int) -> None:
        doubtful = ~found.sure if self._told else ~(found.sure & found.own_zone)
        doubtful &= found.times >= 0
        wrong = doubtful & (np.abs(found.times - read_ms) > APART.total_seconds() * 1000)
        if (zoneless := doubtful & found.sure).any():
            self._elsewhere = bool(wrong[zoneless].all())
        self._replace(found, wrong, read_ms)

    def _old(self, found: Stated, read_ms: int) -> None:
        """Of old lines any time may be right, but a time in the middle of few lines is what they speak of."""
        loose = ~found.sure & (found.times >= 0)
        if 2 * int(loose.sum()) < len(loose):
            found.times[loose] = -1
        if self._elsewhere:
            self._replace(found, ~found.own_zone & (found.times >= 0), read_ms)

    def _replace(self, found: Stated, wrong: np.ndarray, read_ms: int) -> None:
        if wrong.any():
            self.doubted += int(wrong.sum())
            found.times[wrong] = read_ms
