"""Every operation that changes files, in one place: tests put a failing or recording disk here."""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """The operating system's files. Every method may raise OSError."""

    def create(self, path: Path) -> int:
        """A new file open for appending; an existing one is an error."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Make names in a directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, destination: Path) -> None:
        source.replace(destination)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def free_bytes(self, path: Path) -> int:
        """Bytes an ordinary user may still write."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write every byte or raise; a short write is continued."""
    view = memoryview(data)
    while view:
        view = view[disk.write(descriptor, view) :]
