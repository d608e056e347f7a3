"""What the lines of one file say of themselves: when they happened, and how severe they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np

from watchkeeper.clock import to_ms
from watchkeeper.model import LogBatch

from .log_clock import LineClock
from .log_severity import Severities
from .log_text import line_ends
from .log_words import Buffer


class LineReader:
    """Remembers how the lines of its file are written. ``clock`` None: they happened when they were read."""

    def __init__(self, clock: LineClock | None) -> None:
        self.clock = clock
        self._severities = Severities()

    def read(self, batch: LogBatch, now: datetime, *, live: bool, joined: bool) -> LogBatch:
        """The lines with what they say; a record of several (``joined``) says the time in its first line."""
        buffer, ends = Buffer.of(batch.data), batch.ends
        if self.clock is None:
            times = np.full(len(ends), to_ms(now), np.int64)
        else:
            stop = _first_ends(batch) if joined else ends
            times = self.clock.times(buffer, ends, stop, now, live=live)
        return replace(batch, times=times, severity=self._severities.read(buffer, ends))


def _first_ends(batch: LogBatch) -> np.ndarray:
    """Where the first line of each record ends."""
    newlines = line_ends(batch.data)
    found: np.ndarray = newlines[np.searchsorted(newlines, batch.starts)]
    return found
