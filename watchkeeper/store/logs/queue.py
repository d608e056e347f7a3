"""Lines that wait on this machine's disk until somebody else has them, in the order they were read.

Files are those of the log store while it has not sealed them: a frame for each collection, with the position the
collector had then. A file goes when all its lines have arrived, or when the queue is over its size.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.model import LogBatch
from watchkeeper.store.logs.active import Active, Known, Place, create, reopen, unsealed
from watchkeeper.store.logs.piece import Piece, of_batches, pack_piece, pick
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.lock import DirectoryLock

#: A file takes so much text; then the next one is begun.
FILE_BYTES = 8 << 20
#: Space on the disk that is left to samples.
RESERVE_BYTES = 64 << 20
DAMAGE_BYTES = 16 << 20
#: File that says which queue this is: who has our lines remembers how far, and of what.
NAME_FILE = "queue.id"


@dataclass(slots=True, eq=False)
class _Frame:
    """One collection."""

    file: Active
    place: Place
    sequence: int = -1  #: number of its first line; -1: not looked at yet


class LineQueue:
    """Thread-safe. A collection is durable when ``append`` returns, lines and position as one fact."""

    def __init__(
        self, directory: Path, *, most_bytes: int, disk: Disk | None = None, file_bytes: int = FILE_BYTES
    ) -> None:
        """Raises StoreError when another process has the directory."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory, self._disk = directory, disk or Disk()
        self._most_bytes, self._file_bytes = most_bytes, file_bytes
        self._lock = threading.Lock()
        self._held = DirectoryLock(directory)
        self._damage = Damage(directory / "damaged", self._disk, DAMAGE_BYTES)
        self.dropped = 0  #: lines that had to go before they were sent, since the queue was opened
        self._active: Active | None = None
        try:
            known = Known()
            self._files = deque(reopen(path, known, self._damage) for path in unsealed(directory))
            self.name = self._named()
        except BaseException:
            self._held.release()
            raise
        self._positions, self._sequence = known.positions, known.sequence
        self._frames = deque(_Frame(file, place) for file in self._files for place in file.places)
        self._number = max((file.number for file in self._files), default=0)

    def _named(self) -> str:
        """What the receiver knows this queue by; a new word where nothing is left of an earlier one."""
        file = self._directory / NAME_FILE
        known = file.read_text(encoding="ascii").strip() if file.exists() and self._files else ""
        if not known:
            known = secrets.token_hex(8)
            file.write_text(known, encoding="ascii")
        return known

    def go_on_at(self, sequence: int) -> None:
        """The receiver has more than we know of, for files are gone: what waits has arrived; numbers go on there."""
        with self._lock:
            self._frames.clear()
            self._sequence = max(self._sequence, sequence)
            self._leave()  # the next file begins with the number
            self._tidy()

    # --- in ---

    def append(
        self, source: str, batches: Sequence[LogBatch], position: Mapping[str, Any] | None, now: datetime
    ) -> int:
        """Keep one collection and how far it went; answers lines kept. Raises StoreFullError, StoreError: none is."""
        with self._lock:
            if not batches and (position is None or self._positions.get(source) == position):
                return 0
            piece = of_batches(batches, self._sequence)
            payload = pack_piece(piece, {"source": source, "position": position, "sequence": self._sequence})
            file = self._write(payload, now)
            if len(piece.columns):
                self._frames.append(_Frame(file, file.places[-1], self._sequence))
            self._sequence += len(piece.columns)
            if position is not None:
                self._positions[source] = dict(position)
            self._make_room()
            return len(piece.columns)

    def _write(self, payload: bytes, now: datetime) -> Active:
        try:
            if self._disk.free_bytes(self._directory) < RESERVE_BYTES + len(payload):
                raise StoreFullError(f"less than {RESERVE_BYTES >> 20} MiB are left for {self._directory}")
            file = self._current(now)
            file.write(self._disk, payload)
        except OSError as error:
            self._leave()
            kind = StoreFullError if error.errno in (28, 122) else StoreError  # ENOSPC, EDQUOT
            raise kind(f"no log line can be written to {self._directory}: {error.strerror}") from error
        return file

    def _current(self, now: datetime) -> Active:
        active = self._active
        if active is not None and active.raw_bytes >= self._file_bytes:
            self._leave()
            active = None
        if active is None:
            active = create(self._directory, self._number + 1, self._disk, self._positions, self._sequence)
            active.first_at = now.timestamp()
            self._active, self._number = active, active.number
            self._files.append(active)
            self._tidy()
        return active

    def _leave(self) -> None:
        """The current file takes no more."""
        if self._active is not None:
            self._active.close(self._disk)
            self._active = None

    def _make_room(self) -> None:
        """Over its size the queue loses its oldest file, and says how many lines."""
        while len(self._files) > 1 and sum(file.size for file in self._files) > self._most_bytes:
            oldest = self._files[0]
            while self._frames and self._frames[0].file is oldest:
                self.dropped += self._frames.popleft().place.lines
            self._tidy()

    def _tidy(self) -> None:
        """Files without a line that is still to be sent go; the newest stays, for it knows every position."""
        while len(self._files) > 1 and not (self._frames and self._frames[0].file is self._files[0]):
            gone = self._files.popleft()
            gone.close(self._disk)
            self._disk.unlink(gone.path)

    def positions(self) -> dict[str, Any]:
        """Source -> how far its lines are kept."""
        with self._lock:
            return dict(self._positions)

    # --- out ---

    def after(self, sequence: int, most_bytes: int) -> Piece | None:
        """The next lines from that number on, some of one collection; None when there are none.

        Lines before it have arrived and are let go.
        """
        with self._lock:
            while self._frames:
                frame = self._frames[0]
                piece = self._piece(frame)
                if piece is not None and frame.sequence + frame.place.lines > sequence:
                    return _part(piece, sequence, most_bytes)
                self._frames.popleft()
                self._tidy()
            return None

    def _piece(self, frame: _Frame) -> Piece | None:
        """None when it is damaged: its lines are counted as dropped."""
        try:
            payload = frame.file.payload(frame.place)
            frame.sequence = int(payload.about()["sequence"])
            return payload.piece()
        except (StoreError, OSError, ValueError, KeyError) as error:
            self._damage.report(f"{frame.file.path.name}.{frame.place.offset}", str(error), b"")
            self.dropped += frame.place.lines
            return None

    @property
    def sequence(self) -> int:
        """Number of the next line that comes in."""
        return self._sequence

    @property
    def waiting(self) -> int:
        """Lines that have not been let go yet."""
        with self._lock:
            return sum(frame.place.lines for frame in self._frames)

    def stats(self) -> dict[str, int]:
        with self._lock:
            return {
                "segments": len(self._files),
                "bytes": sum(file.size for file in self._files),
                "damaged": self._damage.frames,
            }

    def close(self) -> None:
        with self._lock:
            self._leave()
        self._held.release()


def _part(piece: Piece, sequence: int, most_bytes: int) -> Piece:
    """From that number on, as many lines as fit, one at least."""
    first = int(np.searchsorted(piece.columns.sequences, sequence))
    begin = int(piece.columns.ends[first - 1]) + 1 if first else 0
    last = int(np.searchsorted(piece.columns.ends, begin + most_bytes))
    return pick(piece, np.arange(first, max(last, first + 1)))
