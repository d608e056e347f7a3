"""The write-ahead log: append-only segment files of frames, made durable by one named thread.

A frame names its target, time and column list and holds its vector whole: no frame needs another tick. Column lists
are frames too, written twice and again in every segment that uses them. A segment whose fsync failed is abandoned,
never tried again: what was not yet durable is still in memory and goes to a fresh segment.
"""

from __future__ import annotations

import errno
import functools
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.disk import Disk, write_all
from watchkeeper.store.samples.frames import Salt, pack
from watchkeeper.store.samples.holes import PUSHED
from watchkeeper.store.samples.limits import Sizes
from watchkeeper.store.samples.records import END, columns_record, pushed_record, tick_record

logger = structlog.get_logger(__name__)

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
#: Pause after a disk refused to sync and to take the frames again.
RETRY_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Segment:
    """One file of the log."""

    path: Path
    salt: Salt
    descriptor: int = -1
    size: int = 0
    samples: int = 0
    named: bool = False  #: its directory entry is durable
    proven: bool = False  #: something in it was made durable
    newest: int = 0  #: highest sequence in it
    columns: set[bytes] = field(default_factory=set)  #: keys of the column lists written into it
    last_ms: dict[str, int] = field(default_factory=dict)  #: newest time per target


class Pending(NamedTuple):
    """A frame not yet durable."""

    sequence: int
    target: str
    time_ms: int  #: newest in it
    columns: Sequence[Columns]  #: the lists it speaks of
    size: int  #: samples
    record: bytes


class Entry(NamedTuple):
    """What is to be written, once its sequence is known."""

    target: str
    time_ms: int
    columns: Sequence[Columns]
    size: int
    record: Callable[[int], bytes]


class Follower(Protocol):
    """Somebody who reads the log."""

    @property
    def number(self) -> int:
        """The oldest segment that is needed."""
        ...

    def lost(self, samples: int) -> None:
        """A segment of so many samples had to go unread."""
        ...


class Log:
    """Appends from any thread, one at a time; ``sync`` from any thread."""

    def __init__(self, directory: Path, *, disk: Disk, sizes: Sizes, sequence: int, closed: Iterable[Segment]) -> None:
        self._directory, self._disk, self._sizes = directory, disk, sizes
        self._changed = threading.Condition()
        self._closed: list[Segment] = list(closed)  #: no longer written, in order
        self._dirty: list[Segment] = []  #: hold frames that are not durable
        self._pending: deque[Pending] = deque()
        self._pending_bytes = 0
        self._current: Segment | None = None
        self._number = max((segment_number(segment.path) for segment in self._closed), default=0)
        self._written = self._durable = self._asked = sequence
        self._closing = self._stopped = self._unwritten = False
        self._streak = 0  #: failures to make anything durable, in a row
        self.fsync_failures = self.fsyncs = 0
        self._followers: dict[Follower, int] = {}  #: with the length the log may have for their sake
        self._thread = threading.Thread(target=self._run, name="watchkeeper-log-sync", daemon=True)
        self._thread.start()

    @property
    def sequence(self) -> int:
        return self._written

    @property
    def durable_sequence(self) -> int:
        return self._durable

    @property
    def nbytes(self) -> int:
        with self._changed:
            return sum(segment.size for segment in (*self._closed, *([self._current] if self._current else [])))

    def append_all(self, ticks: Sequence[tuple[str, int, Columns, FloatArray]]) -> list[int]:
        """Write ticks to the file at once: (target, ms, columns, values) each; returns their sequences.

        Raises StoreFullError, StoreError: then none was kept.
        """
        return self._add(
            [
                Entry(target, at, [columns], len(values), functools.partial(tick_record, target, at, columns, values))
                for target, at, columns, values in ticks
            ]
        )

    def append_pushed(self, lists: Sequence[Columns], places: IntArray, times: IntArray, values: FloatArray) -> int:
        """Write pushed samples: sample i is of the series at ``places[i]`` of the lists laid end to end. Raises so."""
        record = functools.partial(pushed_record, lists, places, times, values)
        return self._add([Entry(PUSHED, int(times.max()), lists, len(values), record)])[0]

    def _add(self, entries: Sequence[Entry]) -> list[int]:
        with self._changed:
            self._wait_for_room()
            if self._unwritten:
                self._rewrite()  # older ticks first: within a target the log is in time order
            ticks = [
                Pending(sequence, one.target, one.time_ms, one.columns, one.size, one.record(sequence))
                for sequence, one in enumerate(entries, self._written + 1)
            ]
            self._put(ticks)
            self._written += len(ticks)
            self._pending += ticks
            self._pending_bytes += sum([len(tick.record) for tick in ticks])
            self._changed.notify_all()
            return [tick.sequence for tick in ticks]

    def _wait_for_room(self) -> None:
        if self._closing:
            raise StoreError("the sample store is closed")
        if self._pending_bytes <= self._sizes.pending_bytes:
            return
        self._asked = self._written
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._pending_bytes <= self._sizes.pending_bytes or self._streak > 1)
        if self._pending_bytes > self._sizes.pending_bytes:
            raise StoreError(f"{self._directory} cannot be made durable: the disk refuses fsync; look at the disk")

    def _put(self, ticks: Sequence[Pending]) -> None:
        """Write frames, with the column lists that the segment lacks; all of it or nothing."""
        segment = self._writable()
        missing = {one.key: one for tick in ticks for one in tick.columns if one.key not in segment.columns}
        parts = [pack(segment.salt, columns_record(one)) * 2 for one in missing.values()]
        parts += [pack(segment.salt, tick.record) for tick in ticks]
        self._write(segment, b"".join(parts))
        segment.columns.update(missing)
        segment.newest = max(segment.newest, ticks[-1].sequence)
        segment.samples += sum([tick.size for tick in ticks])
        last_ms = segment.last_ms
        for tick in ticks:
            if tick.time_ms > last_ms.get(tick.target, -(1 << 62)):
                last_ms[tick.target] = tick.time_ms

    def _writable(self) -> Segment:
        if self._current is not None and self._current.size >= self._sizes.segment_bytes:
            self._retire()
        if self._current is None:
            self._number += 1
            salt = secrets.token_hex(8)
            path = self._directory / f"{self._number:012d}-{salt}.log"
            try:
                descriptor = self._disk.create(path)
            except OSError as error:
                raise self._refused(path, error) from error
            self._current = Segment(path, Salt.parse(salt), descriptor)
        return self._current

    def _write(self, segment: Segment, data: bytes) -> None:
        try:
            write_all(self._disk, segment.descriptor, data)
        except OSError as error:
            self._take_back(segment)
            raise self._refused(segment.path, error) from error
        segment.size += len(data)
        if segment not in self._dirty:
            self._dirty.append(segment)

    def _take_back(self, segment: Segment) -> None:
        """Cut off a half-written frame; where even that fails, leave it behind as a torn tail."""
        try:
            self._disk.truncate(segment.descriptor, segment.size)
        except OSError as error:
            logger.error("samples.segment_torn", path=str(segment.path), error=str(error))
            self._leave(segment)

    def _refused(self, path: Path, error: OSError) -> StoreError:
        if error.errno in NO_SPACE:
            return StoreFullError(f"no space left for {path}: free some, or lower the retention")
        return StoreError(f"cannot write {path}: {error.strerror}")

    def _retire(self) -> None:
        """End the current segment in good order; the next append opens another."""
        segment = self._current
        if segment is None:
            return
        try:
            self._write(segment, pack(segment.salt, bytes([END])))
        except StoreError as error:  # the segment stays readable without its end mark
            logger.warning("samples.segment_unmarked", path=str(segment.path), error=str(error))
        if self._current is segment:
            self._leave(segment)

    def _leave(self, segment: Segment) -> None:
        self._current = None
        self._closed.append(segment)
        if segment not in self._dirty:
            self._close_file(segment)

    def _close_file(self, segment: Segment) -> None:
        if segment.descriptor >= 0:
            descriptor, segment.descriptor = segment.descriptor, -1
            try:
                self._disk.close(descriptor)
            except OSError as error:  # its data was synced or is written again; the descriptor is gone either way
                logger.warning("samples.segment_close_failed", path=str(segment.path), error=str(error))

    # --- durability ---

    def sync(self) -> int:
        """Wait until everything appended so far is on the disk. Raises StoreError when the disk refuses."""
        with self._changed:
            wanted, self._asked = self._written, self._written
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._durable >= wanted or self._streak > 1 or self._stopped)
            if self._durable < wanted:
                raise StoreError(f"{self._directory} cannot be made durable: the disk refuses fsync; look at the disk")
            return self._durable

    def _run(self) -> None:
        try:
            while self._round():
                pass
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def _round(self) -> bool:
        """Make one batch durable; False when the log is closed and nothing more can be done."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._lagging())
            if not self._lagging():
                return False
            wait = self._sizes.sync_seconds if self._streak < 2 else RETRY_SECONDS
            self._changed.wait_for(lambda: self._closing or self._wanted(), timeout=wait)
            if self._unwritten:
                self._try_rewrite()
            batch, upto = list(self._dirty), self._durable if self._unwritten else self._written
        failed = self._sync_files(batch)
        with self._changed:
            self._settle(batch, upto, failed=failed)
            return not (self._closing and self._streak > 1)

    def _lagging(self) -> bool:
        return self._durable < self._written or bool(self._dirty)

    def _wanted(self) -> bool:
        """Somebody waits for the disk, and it is not in the middle of refusing."""
        return self._asked > self._durable and self._streak < 2

    def _sync_files(self, batch: list[Segment]) -> bool:
        """Whether the disk refused."""
        try:
            for segment in batch:
                self._disk.sync(segment.descriptor)
            if any(not segment.named for segment in batch):
                self._disk.sync_directory(self._directory)
        except OSError as error:
            logger.error("samples.fsync_failed", path=str(self._directory), error=str(error))
            return True
        self.fsyncs += 1
        return False

    def _settle(self, batch: list[Segment], upto: int, *, failed: bool) -> None:
        if failed:
            self.fsync_failures += 1
            self._streak += 1
            self._abandon()
        else:
            self._streak = self._streak + 1 if self._unwritten else 0
            self._durable = upto
            while self._pending and self._pending[0].sequence <= upto:
                self._pending_bytes -= len(self._pending.popleft().record)
            for segment in batch:
                self._synced(segment, upto)
        self._changed.notify_all()

    def _synced(self, segment: Segment, upto: int) -> None:
        segment.named = segment.proven = True
        if segment.newest > upto or segment not in self._dirty:
            return
        self._dirty.remove(segment)
        if segment is not self._current:
            self._close_file(segment)

    def _abandon(self) -> None:
        """Never sync these files again; write what they may have lost to a fresh one."""
        for segment in self._dirty:
            self._close_file(segment)
            if segment is self._current:
                self._closed.append(segment)
                self._current = None
            if not segment.proven and self._streak > 1:  # a copy of what is in memory, and not the only one
                self._closed.remove(segment)
                self._discard(segment.path)
        self._dirty.clear()
        self._unwritten = bool(self._pending)
        if self._unwritten and self._streak < 2:
            self._try_rewrite()

    def _discard(self, path: Path) -> None:
        try:
            self._disk.unlink(path)
        except OSError as error:  # it is read again at the next start and changes nothing
            logger.warning("samples.segment_left", path=str(path), error=str(error))

    def _try_rewrite(self) -> None:
        try:
            self._rewrite()
        except StoreError as error:
            logger.error("samples.log_not_rewritten", path=str(self._directory), error=str(error))

    def _rewrite(self) -> None:
        """Write what is not durable to the current segment. Raises StoreError."""
        for tick in self._pending:
            self._put([tick])
        self._unwritten = False

    # --- upkeep ---

    def rotate(self) -> None:
        """Close the current segment, so that it can be dropped or copied."""
        with self._changed:
            if self._current is not None and self._current.size:
                self._retire()

    def closed_segments(self) -> list[Path]:
        with self._changed:
            return [segment.path for segment in self._closed]

    def segment_files(self) -> list[tuple[int, Path, Salt]]:
        """(number, path, salt) of every segment, oldest first."""
        with self._changed:
            segments = [*self._closed, *([self._current] if self._current else [])]
            return sorted((segment_number(one.path), one.path, one.salt) for one in segments)

    def follow(self, reader: Follower, most_bytes: int) -> None:
        """Keep what this reader has not read, while the log is not longer than ``most_bytes``."""
        with self._changed:
            self._followers[reader] = most_bytes

    def unfollow(self, reader: Follower) -> None:
        with self._changed:
            self._followers.pop(reader, None)

    def _wanted_by_readers(self, segment: Segment, nbytes: int) -> bool:
        number = segment_number(segment.path)
        return any(number >= reader.number and nbytes <= most for reader, most in self._followers.items())

    def drop_covered(self, covered: Callable[[str, int], bool]) -> int:
        """Unlink the closed segments whose every target is covered up to its newest time; returns how many."""
        with self._changed:
            done = []
            nbytes = sum(segment.size for segment in self._closed)
            for segment in self._closed:
                finished = segment not in self._dirty and all(covered(*last) for last in segment.last_ms.items())
                if finished and not self._wanted_by_readers(segment, nbytes):
                    done.append(segment)
                    nbytes -= segment.size
                    for reader in self._followers:
                        if segment_number(segment.path) >= reader.number:
                            reader.lost(segment.samples)
            for segment in done:
                self._disk.unlink(segment.path)
                self._closed.remove(segment)
            return len(done)

    def close(self) -> None:
        """Make everything durable and stop. Raises StoreError when the disk refuses."""
        with self._changed:
            if not self._closing:
                self._retire()
            self._closing = True
            self._asked = self._written
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            for segment in list(self._dirty):
                self._close_file(segment)
            if self._durable < self._written:
                raise StoreError(f"{self._directory}: the last samples could not be made durable; look at the disk")


def segment_number(path: Path) -> int:
    return int(path.name.split("-", 1)[0])
