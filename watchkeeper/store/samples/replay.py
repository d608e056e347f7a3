"""Reading the log back: every whole frame, whatever lies between."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from watchkeeper.errors import StoreError
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.frames import Frame, Gap, Salt, scan
from watchkeeper.store.samples.holes import PUSHED as PUSHED_NAME
from watchkeeper.store.samples.log import Segment, segment_number
from watchkeeper.store.samples.records import (
    COLUMNS,
    END,
    PUSHED,
    TICK,
    PushedRecord,
    TickRecord,
    parse_pushed,
    parse_tick,
)

logger = structlog.get_logger(__name__)


def segments_of(directory: Path, damage: Damage) -> list[tuple[Path, Path, Salt]]:
    """(the file's own name, where it lies, its salt) of every segment, in the order they were written.

    A segment that lies under another one's name is told by the mark at its start, so that exchanged files cost nothing.
    """
    paths, salts = sorted(directory.glob("*.log"), key=lambda path: path.name), dict[Path, Salt]()
    for path in paths:
        try:
            segment_number(path)
            salts[path] = Salt.parse(path.stem.split("-", 1)[1])
        except (ValueError, IndexError):
            damage.adopt(path, "the file's name is not one of a log segment")
    owners = {salt.mark: path for path, salt in salts.items()}
    found = []
    for path, salt in salts.items():
        own = path if (mark := _first_mark(path)) == salt.mark else owners.get(mark, path)
        found.append((own, path, salts[own]))
    return sorted(found, key=lambda one: (one[0].name, one[1].name))


def _first_mark(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        return b""


@dataclass(slots=True)
class Replay:
    """What a log directory holds. ``records`` is read once; the segments know their newest times afterwards."""

    directory: Path
    disk: Disk
    damage: Damage
    take: Callable[[bytes], Columns]  #: registers a column list as stored; raises StoreError
    columns: dict[bytes, Columns] = field(default_factory=dict)  #: by key, as met
    segments: list[Segment] = field(default_factory=list)
    sequence: int = 0
    torn_tails: int = 0
    fsync_failures: int = 0
    tidy: bool = True  #: without it no file is touched: the directory is somebody else's

    def records(self) -> Iterator[TickRecord | PushedRecord]:
        """All ticks and pushed samples, in the order they were written."""
        for _, path, salt in segments_of(self.directory, self.damage):
            yield from self._segment(path, salt)

    def _segment(self, path: Path, salt: Salt) -> Iterator[TickRecord | PushedRecord]:
        try:
            data = path.read_bytes()
        except OSError as error:  # the file stays where it is; the store opens without it
            self.damage.report(path.stem, f"a segment of the log cannot be read: {error}", b"")
            return
        segment = Segment(path, salt, size=len(data), named=True, proven=True)
        found = list(scan(data, salt))
        frames = [part for part in found if isinstance(part, Frame)]
        ended = any(frame.payload[:1] == bytes([END]) for frame in frames)
        for gap in (part for part in found if isinstance(part, Gap)):
            self._gap(path, data, gap, ended=ended)
        for frame in _of(frames, COLUMNS):
            self._take_columns(path, frame)
        for frame in _of(frames, TICK, PUSHED):
            yield from (
                self._tick(segment, frame) if frame.payload[:1] == bytes([TICK]) else self._pushed(segment, frame)
            )
        if frames:
            self.segments.append(segment)
        if self.tidy and frames and not ended:
            self._make_durable(path)
        elif self.tidy and not frames:
            path.unlink()

    def _gap(self, path: Path, data: bytes, gap: Gap, *, ended: bool) -> None:
        if gap.torn and not ended:
            self.torn_tails += 1
            return
        self.damage.report(f"{path.stem}-{gap.start}", "bytes of the log are no frame", data[gap.start : gap.end])

    def _take_columns(self, path: Path, frame: Frame) -> None:
        try:
            columns = self.take(bytes(frame.payload[1:]))
            self.columns[columns.key] = columns
        except StoreError as error:
            self.damage.report(f"{path.stem}-{frame.start}", str(error), bytes(frame.payload))

    def _tick(self, segment: Segment, frame: Frame) -> Iterator[TickRecord]:
        try:
            tick = parse_tick(frame.payload)
            if tick.key not in self.columns:
                raise StoreError(f"the column list of a tick of {tick.target} is lost")
        except StoreError as error:
            self.damage.report(f"{segment.path.stem}-{frame.start}", str(error), bytes(frame.payload))
            return
        self.sequence = max(self.sequence, tick.sequence)
        segment.samples += tick.size
        segment.last_ms[tick.target] = max(tick.time_ms, segment.last_ms.get(tick.target, tick.time_ms))
        yield tick

    def _pushed(self, segment: Segment, frame: Frame) -> Iterator[PushedRecord]:
        try:
            record = parse_pushed(frame.payload)
            if any(key not in self.columns for key in record.keys):
                raise StoreError("a list of pushed series is lost")
            _, times, _ = record.arrays()
        except StoreError as error:
            self.damage.report(f"{segment.path.stem}-{frame.start}", str(error), bytes(frame.payload))
            return
        self.sequence = max(self.sequence, record.sequence)
        segment.samples += record.size
        newest = int(times.max(initial=-(1 << 62)))
        segment.last_ms[PUSHED_NAME] = max(newest, segment.last_ms.get(PUSHED_NAME, newest))
        yield record

    def _make_durable(self, path: Path) -> None:
        """A segment that a crash left open may be in the page cache only."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.disk.sync(descriptor)
        except OSError as error:  # what was read is in memory and goes to a block; until then it is counted
            self.fsync_failures += 1
            logger.error("samples.fsync_failed", path=str(path), error=str(error))
        finally:
            os.close(descriptor)


def _of(frames: Sequence[Frame], *kinds: int) -> list[Frame]:
    return [frame for frame in frames if frame.payload[0] in kinds]
