"""The log read by somebody who follows it: every sample in the order it was kept, from a remembered sequence on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from watchkeeper.errors import StoreError
from watchkeeper.model.series import FloatArray, IntArray, Labels
from watchkeeper.store.samples.columns import decode_series
from watchkeeper.store.samples.frames import Frame, Salt, scan
from watchkeeper.store.samples.log import Log
from watchkeeper.store.samples.records import COLUMNS, PUSHED, TICK, parse_pushed, parse_tick


@dataclass(frozen=True, slots=True)
class Told:
    """Samples of one record: sample i is of ``lists[..]`` laid end to end, at ``places[i]``."""

    sequence: int
    lists: Sequence[bytes]  #: keys of column lists
    places: IntArray
    times: IntArray
    values: FloatArray


@dataclass(slots=True)
class _Open:
    """The segment that is being read."""

    number: int
    path: Path
    salt: Salt
    position: int = 0
    columns: dict[bytes, tuple[Labels, ...]] = field(default_factory=dict)


class Tail:
    """One follower. While it is open, segments it has not read stay, within ``most_bytes`` of log."""

    def __init__(self, log: Log, *, sequence: int, most_bytes: int) -> None:
        self._log, self.sequence = log, sequence
        self._open: _Open | None = None
        self.unreadable = 0  #: records that are damaged, or whose series are
        self.dropped = 0  #: samples of segments that had to go before they were read to their end
        log.follow(self, most_bytes)

    @property
    def number(self) -> int:
        """The oldest segment still needed; 0 before the first is read."""
        return self._open.number if self._open is not None else 0

    def lost(self, samples: int) -> None:
        self.dropped += samples

    def close(self) -> None:
        self._log.unfollow(self)

    def rewind(self, sequence: int) -> None:
        """Read again everything after that sequence."""
        self._open, self.sequence = None, sequence

    def series(self, key: bytes) -> tuple[Labels, ...]:
        """A list that a record just read speaks of."""
        assert self._open is not None
        return self._open.columns[key]

    def read(self) -> Iterator[Told]:
        """What is durable and not read yet; ends when there is no more for now. Raises OSError."""
        while True:
            segment = self._open or self._next(0)
            if segment is None:
                return
            self._open = segment
            yield from self._records(segment)
            following = self._next(segment.number)
            if following is None:
                return
            yield from self._records(segment)  # what came between the two looks: nothing is added to it any more
            self._open = following

    def _next(self, after: int) -> _Open | None:
        found = next((one for one in self._log.segment_files() if one[0] > after), None)
        return None if found is None else _Open(*found)

    def _records(self, segment: _Open) -> Iterator[Told]:
        try:
            with segment.path.open("rb") as file:
                file.seek(segment.position)
                data = file.read()
        except FileNotFoundError:  # it had to go: the log is longer than it may be
            return
        start = segment.position
        for part in scan(data, segment.salt):
            if not isinstance(part, Frame):
                continue  # damage is reported by the store; an unfinished frame is read when it is whole
            kind = part.payload[0]
            if kind == COLUMNS:
                self._columns(segment, bytes(part.payload[1:]))
            elif kind in (TICK, PUSHED):
                told = self._told(segment, part)
                if told is not None and told.sequence > self._log.durable_sequence:
                    return  # read again once the disk has it
                if told is not None and told.sequence > self.sequence:
                    yield told
                    self.sequence = told.sequence
            segment.position = start + part.end

    def _columns(self, segment: _Open, blob: bytes) -> None:
        try:
            key, series = decode_series(blob)
            segment.columns[key] = tuple(series)
        except StoreError:  # its twin tells the same
            self.unreadable += 1

    def _told(self, segment: _Open, frame: Frame) -> Told | None:
        try:
            if frame.payload[0] == PUSHED:
                record = parse_pushed(frame.payload)
                told = Told(record.sequence, record.keys, *record.arrays())
            else:
                tick = parse_tick(frame.payload)
                values = tick.values()
                times = np.full(len(values), tick.time_ms, dtype=np.int64)
                told = Told(tick.sequence, [tick.key], np.arange(len(values)), times, values)
        except StoreError:
            self.unreadable += 1
            return None
        if any(key not in segment.columns for key in told.lists):
            self.unreadable += 1
            return None
        return told
