"""A store read as it lies, without touching a file: a backup, a stopped engine, or one that is running."""

from __future__ import annotations

from pathlib import Path

from watchkeeper.errors import StoreError
from watchkeeper.store.samples.blocks import Block, open_blocks
from watchkeeper.store.samples.catalogue import Catalogue
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk
from watchkeeper.store.samples.limits import Limits, Sizes
from watchkeeper.store.samples.opening import adopt, read_log
from watchkeeper.store.samples.reader import Reader
from watchkeeper.store.samples.replay import Replay
from watchkeeper.store.samples.sealing import seal_old

#: How often a directory may change under the reader before it gives up.
ATTEMPTS = 10


class Noted(Damage):
    """Remembers what is damaged and leaves the files alone."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, Disk(), 0)
        self.found: list[tuple[str, str]] = []  #: (place, what is wrong there)

    def report(self, place: str, what: str, data: bytes) -> None:  # noqa: ARG002 - as its parent
        with self._lock:
            if place not in self._seen:
                self._seen.add(place)
                self.frames += 1
                self.found.append((place, what))

    def adopt(self, path: Path, what: str) -> None:
        self.report(path.name, what, b"")


class Snapshot(Reader):
    """The samples of a directory as they were at one moment."""

    def __init__(self, directory: Path, *, sizes: Sizes | None = None) -> None:
        """Raises StoreError when this is no store, or changes faster than it can be read."""
        if not (directory / "blocks").is_dir() or not (directory / "log").is_dir():
            raise StoreError(f"{directory} holds no samples: name the folder with `log` and `blocks` in it")
        self.directory, self._sizes = directory, sizes or Sizes()
        for _ in range(ATTEMPTS):
            before = files_of(directory)
            self._read()
            if files_of(directory) == before:
                return
        raise StoreError(f"{directory} changes while it is read; take a backup and read that")

    def _read(self) -> None:
        super().__init__(Catalogue(Limits()), self._sizes)
        self.damage = Noted(self.directory)
        take = self._catalogue.take_blob
        self.blocks: list[Block] = open_blocks(self.directory / "blocks", self.damage, tidy=False)
        adopt(self._catalogue, self.blocks, self.damage)
        self.replay = Replay(self.directory / "log", Disk(), self.damage, take, tidy=False)
        burst = 0
        for size in read_log(self._catalogue, self.replay, self._pushed, self._sizes):
            burst += 8 * size
            if burst > self._sizes.burst_bytes:
                burst = 0
                seal_old(self._catalogue, self._sizes)

    def names(self) -> list[str]:
        """The targets, sorted."""
        return sorted(self._catalogue.targets)

    def bounds(self) -> tuple[int, int] | None:
        """(first, last) time of everything; None without a sample."""
        spans = [span for target in self._catalogue.targets.values() for span in target.bounds()]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None

    def series_count(self) -> int:
        self._catalogue.load(-(1 << 62), 1 << 62)
        return len(self._catalogue.index)

    def head_samples(self) -> int:
        """Samples (and places for samples) that are in the log only."""
        pieces = [piece for target in self._catalogue.targets.values() for piece in target.head]
        return sum(len(piece.times) * len(piece.columns) for piece in pieces)


def files_of(directory: Path) -> set[str]:
    """Names of the files that hold samples."""
    return {
        path.name for kind, end in (("blocks", "block"), ("log", "log")) for path in (directory / kind).glob(f"*.{end}")
    }
