"""A disk that remembers every operation, and the states a power cut could leave behind.

After a power cut a file holds what was synced; of what was written since, every 512-byte sector may be there or not,
and the file may end anywhere in between. A name that was made, changed or removed is sure only after its directory was
synced.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.store.samples.disk import Disk

SECTOR = 512


@dataclass(eq=False)
class File:
    """One inode: its content after each change, by position in the history."""

    versions: list[tuple[int, bytes]] = field(default_factory=list)
    synced: list[tuple[int, int]] = field(default_factory=list)  #: (position of the sync, versions it covers)

    def at(self, position: int) -> tuple[bytes, bytes]:
        """(content that is safe, content that was written) at a position of the history."""
        covered = max((count for when, count in self.synced if when < position), default=0)
        written = [content for when, content in self.versions if when < position]
        return (self.versions[covered - 1][1] if covered else b""), (written[-1] if written else b"")


@dataclass(frozen=True)
class Naming:
    """A change of a directory: ``path`` now names ``file``, or nothing."""

    position: int
    path: Path
    file: File | None


class RecordingDisk(Disk):
    """Real files, with a history."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.position = 0
        self._open: dict[int, File] = {}
        self._named: dict[Path, File] = {}
        self.namings: list[Naming] = []
        self.directory_syncs: list[tuple[int, Path]] = []
        self.acknowledged: list[tuple[int, int]] = []

    def acknowledge(self, number: int) -> None:
        with self._lock:
            self.acknowledged.append((self._step(), number))

    def _step(self) -> int:
        self.position += 1
        return self.position

    def _name(self, path: Path, file: File | None) -> None:
        self.namings.append(Naming(self._step(), path, file))
        if file is None:
            self._named.pop(path, None)
        else:
            self._named[path] = file

    def create(self, path: Path) -> int:
        with self._lock:
            descriptor = super().create(path)
            self._open[descriptor] = File()
            self._name(path, self._open[descriptor])
            return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        with self._lock:
            done = super().write(descriptor, data)
            file = self._open[descriptor]
            before = file.versions[-1][1] if file.versions else b""
            file.versions.append((self._step(), before + bytes(data[:done])))
            return done

    def sync(self, descriptor: int) -> None:
        with self._lock:
            file = self._open.get(descriptor)
            covered = len(file.versions) if file else 0
        super().sync(descriptor)
        with self._lock:
            if file:
                file.synced.append((self._step(), covered))

    def close(self, descriptor: int) -> None:
        with self._lock:
            super().close(descriptor)
            del self._open[descriptor]

    def sync_directory(self, path: Path) -> None:
        with self._lock:
            started = self.position
        super().sync_directory(path)
        with self._lock:
            self._step()
            self.directory_syncs.append((started, path))

    def rename(self, source: Path, destination: Path) -> None:
        with self._lock:
            super().rename(source, destination)
            file = self._named[source]
            self._name(destination, file)
            self._name(source, None)

    def unlink(self, path: Path) -> None:
        with self._lock:
            super().unlink(path)
            if path in self._named:
                self._name(path, None)

    def after_power_cut(self, position: int, chance: random.Random) -> dict[Path, bytes]:
        """One legal state of the disk when the power goes at this position of the history."""
        names: dict[Path, File | None] = {}
        for naming in self.namings:
            if naming.position >= position:
                break
            safe = any(
                naming.position <= started < position and naming.path.parent == path
                for started, path in self.directory_syncs
            )
            if safe or chance.random() < 0.5:
                names[naming.path] = naming.file
        return {path: _torn(*file.at(position), chance) for path, file in names.items() if file is not None}


def _torn(safe: bytes, written: bytes, chance: random.Random) -> bytes:
    """The safe bytes with some of what was written since."""
    size = chance.randint(len(safe), max(len(safe), len(written)))
    content = bytearray(written[:size])
    for start in range(len(safe) // SECTOR * SECTOR, size, SECTOR):
        if chance.random() < 0.3:
            low, high = max(start, len(safe)), min(start + SECTOR, size)
            content[low:high] = bytes(max(high - low, 0))
    return bytes(content)


def lay_out(state: dict[Path, bytes], source: Path, destination: Path) -> None:
    """The state as real files, in another directory."""
    for path, content in state.items():
        target = destination / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
