"""Behaviour on a full disk: appends are refused until there is room, and the engine's own state gets the ballast."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from watchkeeper.errors import StoreFullError
from watchkeeper.store.samples.disk import Disk, write_all

logger = structlog.get_logger(__name__)


class Space:
    """Knows whether the disk is full. The ballast is a file of real bytes that is given up when it is."""

    def __init__(self, directory: Path, disk: Disk, ballast_bytes: int) -> None:
        self._directory, self._disk, self._ballast_bytes = directory, disk, ballast_bytes
        self._ballast = directory / "ballast"
        self.full = False
        self.full_times = 0  #: how often the disk was found full since the store was opened
        self.hold()

    def found_full(self) -> None:
        """Give up the ballast, so that alarms and state can still be written."""
        if not self.full:
            self.full, self.full_times = True, self.full_times + 1
            logger.error("samples.disk_full", path=str(self._directory))
        try:
            self._disk.unlink(self._ballast)
        except OSError as error:
            logger.error("samples.ballast_stuck", path=str(self._ballast), error=str(error))

    def check(self, needed: int) -> None:
        """Raises StoreFullError while the disk is still full. What the ballast left free is not for samples."""
        if not self.full:
            return
        if self._disk.free_bytes(self._directory) >= 2 * self._ballast_bytes + 2 * needed:
            self.full = False
            self.hold()
        if self.full:
            raise StoreFullError(f"no space left for {self._directory}: free some, or lower the retention")
        logger.info("samples.disk_has_room", path=str(self._directory))

    def hold(self) -> None:
        """Put the ballast in place, unless the disk is too full for it."""
        if self._ballast.exists() and self._ballast.stat().st_size == self._ballast_bytes:
            return
        try:
            self._disk.unlink(self._ballast)
            descriptor = self._disk.create(self._ballast)
            try:
                write_all(self._disk, descriptor, os.urandom(self._ballast_bytes))  # random: no file system packs it
            finally:
                self._disk.close(descriptor)
        except OSError as error:
            logger.warning("samples.no_ballast", path=str(self._ballast), error=str(error))
            self.found_full()
