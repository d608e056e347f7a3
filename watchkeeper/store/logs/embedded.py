"""The log store: takes collections with their positions, seals what is old enough, drops what is too old."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from watchkeeper.errors import StoreError, StoreFullError
from watchkeeper.model import LogBatch
from watchkeeper.person import Person
from watchkeeper.store.logs.active import Active, Known, create, reopen, unsealed
from watchkeeper.store.logs.erasing import ErasedLines, count, erase, newest
from watchkeeper.store.logs.piece import of_batches, pack_piece
from watchkeeper.store.logs.retention import DEFAULT, RetentionClass
from watchkeeper.store.logs.sealed import Sealed, of_path, seal
from watchkeeper.store.logs.search import Found, Question, Searching
from watchkeeper.store.samples.copying import copy_store
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.lock import DirectoryLock

logger = structlog.get_logger(__name__)

#: An active file is sealed at this much text, or at this age.
SEAL_BYTES, SEAL_AGE = 64 << 20, timedelta(hours=1)
#: Space on the disk that is left to samples and state.
RESERVE_BYTES = 64 << 20
DAMAGE_BYTES = 64 << 20


class LogLines:
    """Thread-safe. A collection is durable when ``append`` returns, lines and position as one fact."""

    def __init__(
        self,
        directory: Path,
        *,
        retention: timedelta = timedelta(days=15),
        classes: Sequence[RetentionClass] = (),
        retention_bytes: int | None = None,
        disk: Disk | None = None,
        seal_bytes: int = SEAL_BYTES,
    ) -> None:
        """Raises StoreError when another process has the directory."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory, self._disk, self._seal_bytes = directory, disk or Disk(), seal_bytes
        self.retention, self.classes, self.retention_bytes = retention, tuple(classes), retention_bytes
        self._lock, self._sealing = threading.Lock(), threading.Lock()
        self._held = DirectoryLock(directory)
        self._damage = Damage(directory / "damaged", self._disk, DAMAGE_BYTES)
        self._closed: list[Active] = []
        self._sealed: list[Sealed] = []
        self._active: Active | None = None
        try:
            self._positions, self._sequence = self._find()
        except BaseException:
            self._held.release()
            raise
        self._number = max([0, *(one.number for one in self._closed), *(one.number for one in self._sealed)])
        self._searching = Searching(self._snapshot, self._damage)
        self.full = False

    def _find(self) -> tuple[dict[str, Any], int]:
        """Take up what lies here: (positions, number of the next line). What was made of a file that is still there
        is removed, and leftovers too.
        """
        known = Known()
        self._closed = [reopen(path, known, self._damage) for path in unsealed(self._directory)]
        waiting = {one.number for one in self._closed}
        for path in sorted(self._directory.iterdir()):
            one = of_path(path)
            if path.name.endswith(".tmp") or (one is not None and one.number in waiting):
                self._disk.unlink(path)
            elif one is not None:
                self._sealed.append(one)
        self._sealed = newest(self._sealed, self._disk)
        return known.positions, known.sequence

    def keep_for(self, retention: timedelta, classes: Sequence[RetentionClass], retention_bytes: int | None) -> None:
        """Other ages and sizes from now on; lines stay in the class they were sealed in."""
        self.retention, self.classes, self.retention_bytes = retention, tuple(classes), retention_bytes

    # --- in ---

    def append(
        self, source: str, batches: Sequence[LogBatch], position: Mapping[str, Any] | None, now: datetime
    ) -> int:
        """Keep one collection and how far it went; answers lines kept. Raises StoreFullError, StoreError: none is."""
        with self._lock:
            if position is not None and not batches and self._positions.get(source) == position:
                return 0
            piece = of_batches(batches, self._sequence)
            about = {"source": source, "position": position, "sequence": self._sequence}
            self._write(pack_piece(piece, about), now)
            self._sequence += len(piece.columns)
            if position is not None:
                self._positions[source] = dict(position)
            return len(piece.columns)

    def _write(self, payload: bytes, now: datetime) -> None:
        try:
            if self._disk.free_bytes(self._directory) < RESERVE_BYTES + len(payload):
                raise StoreFullError(f"less than {RESERVE_BYTES >> 20} MiB are left for {self._directory}")
            self._current(now).write(self._disk, payload)
        except StoreFullError:
            self.full = True
            raise
        except OSError as error:
            self._abandon()
            self.full = error.errno in (28, 122)  # ENOSPC, EDQUOT
            kind = StoreFullError if self.full else StoreError
            raise kind(f"no log line can be written to {self._directory}: {error.strerror}") from error
        self.full = False

    def _current(self, now: datetime) -> Active:
        active = self._active
        if active is not None and self._due(active, now):
            self._abandon()
            active = None
        if active is None:
            active = create(self._directory, self._number + 1, self._disk, self._positions, self._sequence)
            active.first_at = now.timestamp()
            self._active, self._number = active, active.number
        return active

    def _due(self, active: Active, now: datetime) -> bool:
        aged = now.timestamp() - active.first_at >= SEAL_AGE.total_seconds()
        return active.raw_bytes >= self._seal_bytes or (aged and bool(active.places))

    def _abandon(self) -> None:
        """The current file takes no more."""
        if self._active is not None:
            self._active.close(self._disk)
            self._closed.append(self._active)
            self._active = None

    def positions(self) -> dict[str, Any]:
        """Source -> how far its lines are kept."""
        with self._lock:
            return dict(self._positions)

    # --- out ---

    def search(self, question: Question) -> Found:
        """Raises QueryError for a question that cannot be read, or when too many are being answered."""
        return self._searching.answer(question)

    def _snapshot(self) -> list[Active | Sealed]:
        with self._lock:
            return [*self._sealed, *self._closed, *([self._active] if self._active else [])]

    # --- upkeep ---

    def maintain(self, now: datetime) -> dict[str, int]:
        """Seal closed files, drop segments by age and size; counts for the log."""
        with self._sealing:
            sealed = sum(self._seal(active) for active in self._to_seal(now))
            return {"sealed": sealed, "dropped": self._drop(now)}

    def _to_seal(self, now: datetime) -> list[Active]:
        """Closed files. The current one knows every position by then: no other will when they are gone."""
        with self._lock:
            due = self._active is not None and self._due(self._active, now)
            if not due and not self._closed:
                return []
            try:
                self._current(now)
            except OSError as error:
                logger.error("logs.not_sealed", path=str(self._directory), error=str(error))
                return []
            return list(self._closed)

    def _seal(self, active: Active) -> int:
        try:
            made = seal(active, self.classes, self._disk, self._damage)
        except OSError as error:  # the file itself still answers; tried again at the next look
            logger.error("logs.not_sealed", path=str(active.path), error=str(error))
            return 0
        with self._lock:
            self._closed.remove(active)
            self._sealed += made
        return 1

    def erase(self, person: Person, now: datetime, *, dry_run: bool) -> ErasedLines:
        """Take every line out that names the person; ``dry_run`` counts them. Raises StoreError: some may be left."""
        found = ErasedLines()
        try:
            with self._sealing:
                for one in self._all_sealed(now):
                    if dry_run:
                        count(one, person, self._damage, found)
                    else:
                        self._replace(one, erase(one, person, self._disk, self._damage, found))
        except OSError as error:
            why = f"not every line could be looked at in {self._directory}: {error.strerror}"
            raise StoreError(f"{why}; {found.lines} are done, ask again") from error
        return found

    def _all_sealed(self, now: datetime) -> list[Sealed]:
        """Everything kept so far. Raises OSError, StoreError where the newest lines cannot be sealed."""
        with self._lock:
            if self._active is not None and self._active.places:
                self._abandon()
                self._current(now)
            closed = list(self._closed)
        if sum(self._seal(active) for active in closed) < len(closed):
            raise StoreError(f"the newest lines in {self._directory} cannot be sealed now; ask again")
        with self._lock:
            return list(self._sealed)

    def _replace(self, one: Sealed, other: Sealed | None) -> None:
        if other is one:
            return
        with self._lock:
            self._sealed = [found for found in self._sealed if found is not one] + ([other] if other else [])
        self._disk.unlink(one.path)

    def _drop(self, now: datetime) -> int:
        keep = {one.name: one.retention for one in self.classes}
        keep[DEFAULT] = self.retention
        ages = {name: (now - span).timestamp() * 1000 for name, span in keep.items()}
        with self._lock:
            by_age = sorted(self._sealed, key=lambda one: one.last_ms)
        gone = [one for one in by_age if one.last_ms < ages.get(one.klass, ages[DEFAULT])]
        if self.retention_bytes is not None:
            kept = [one for one in by_age if one not in gone]
            total = sum(one.nbytes for one in kept)
            for one in kept:
                if total <= self.retention_bytes:
                    break
                gone.append(one)
                total -= one.nbytes
        with self._lock:
            self._sealed = [one for one in self._sealed if one not in gone]
        for one in gone:
            self._disk.unlink(one.path)
        return len(gone)

    def backup(self, destination: Path, *, link: bool = False) -> int:
        """A copy that opens as a store, with every line appended before the call; returns its bytes.

        ``link``: second names instead of copies, where they can be had. Raises StoreError; the destination is new.
        """
        with self._sealing:  # files stay until they are copied
            with self._lock:
                self._abandon()
                paths = [*(one.path for one in self._sealed), *(one.path for one in self._closed)]
            return copy_store(destination, {".": paths}, link=link)

    def stats(self) -> dict[str, int]:
        """segments, bytes, oldest_ms, newest_ms, damaged, full."""
        snapshot = self._snapshot()
        return {
            "segments": len(snapshot),
            "bytes": sum(one.nbytes if isinstance(one, Sealed) else one.size for one in snapshot),
            "damaged": self._damage.frames,
            "full": int(self.full),
        }

    def close(self) -> None:
        with self._lock:
            if self._active is not None:
                self._active.close(self._disk)
                self._closed.append(self._active)
                self._active = None
        self._held.release()
