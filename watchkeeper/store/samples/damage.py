"""Damaged bytes are set aside, counted and told of; what lies around them is kept."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from watchkeeper.store.samples.disk import Disk, write_all

log = structlog.get_logger(__name__)


class Damage:
    """The ``damaged/`` directory: one file per damaged place, written once, up to a total size."""

    def __init__(self, directory: Path, disk: Disk, limit_bytes: int) -> None:
        self._directory, self._disk, self._limit = directory, disk, limit_bytes
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._used: int | None = None  #: bytes in the directory; counted when first needed
        self.frames = 0  #: damaged places found since the store was opened

    def report(self, place: str, what: str, data: bytes) -> None:
        """Count damage at ``place`` (unique, fit for a file name) once, and keep its bytes."""
        with self._lock:
            if place in self._seen:
                return
            self._seen.add(place)
            self.frames += 1
            log.error("samples.damaged", place=place, what=what, bytes=len(data))
            self._keep(self._directory / f"{place}.bin", data)

    def adopt(self, path: Path, what: str) -> None:
        """Set a whole file aside."""
        with self._lock:
            self.frames += 1
            log.error("samples.damaged", place=path.name, what=what, bytes=path.stat().st_size)
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._disk.rename(path, self._directory / path.name)

    def _keep(self, path: Path, data: bytes) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if self._used is None:
            self._used = sum(entry.stat().st_size for entry in self._directory.iterdir())
        if path.exists() or not data or self._used + len(data) > self._limit:
            return
        self._used += len(data)
        try:
            descriptor = self._disk.create(path)
            try:
                write_all(self._disk, descriptor, data)
            finally:
                self._disk.close(descriptor)
        except OSError as error:  # a full disk must not stop the store from opening; the count stands
            log.warning("samples.damaged_not_kept", place=path.name, error=str(error))
