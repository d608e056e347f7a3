"""The file that takes lines: one frame for each collection, with the position the collector has then."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchkeeper.errors import StoreError
from watchkeeper.store.logs.piece import LINES, POSITIONS, Payload, pack_about
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk, write_all
from watchkeeper.store.samples.frames import HEADER, Gap, Salt, pack, scan

NAME = re.compile(r"(\d{10})-([0-9a-f]{16})\.active")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame's payload is, and what time it speaks of."""

    offset: int
    length: int
    first_ms: int
    last_ms: int
    lines: int


@dataclass(slots=True, eq=False)
class Active:
    """One such file; whoever holds the store's lock writes to it."""

    path: Path
    salt: Salt
    number: int
    descriptor: int = -1
    size: int = 0
    raw_bytes: int = 0  #: of text
    first_at: float = 0.0  #: seconds since the epoch of its first frame
    places: list[Place] = field(default_factory=list)

    def write(self, disk: Disk, payload: bytes) -> None:
        """Append a frame and make it durable. Raises OSError; then the file is as it was, as far as the disk allows."""
        frame = pack(self.salt, payload)
        try:
            write_all(disk, self.descriptor, frame)
            disk.sync(self.descriptor)
        except OSError:
            disk.truncate(self.descriptor, self.size)
            raise
        self.take(payload, self.size + HEADER.size)
        self.size += len(frame)

    def take(self, payload: bytes | memoryview, offset: int) -> Payload:
        """Remember a frame that is in the file. Raises StoreError."""
        found = Payload(payload)
        if found.kind == LINES and found.lines:
            self.places.append(Place(offset, len(payload), found.first_ms, found.last_ms, found.lines))
            self.raw_bytes += found.nbytes
        return found

    def close(self, disk: Disk) -> None:
        if self.descriptor >= 0:
            disk.close(self.descriptor)
            self.descriptor = -1

    def payload(self, place: Place) -> Payload:
        """Raises FileNotFoundError when the file has been sealed meanwhile."""
        with open(self.path, "rb", buffering=0) as file:
            return Payload(os.pread(file.fileno(), place.length, place.offset))


def create(directory: Path, number: int, disk: Disk, positions: Mapping[str, Any], sequence: int) -> Active:
    """A new file, its name durable, with what earlier files knew of positions. Raises OSError."""
    word = secrets.token_hex(8)
    path = directory / f"{number:010d}-{word}.active"
    made = Active(path, Salt.parse(word), number, disk.create(path))
    try:
        made.write(disk, pack_about(POSITIONS, {"positions": positions, "sequence": sequence}))
        disk.sync_directory(directory)
    except OSError:
        made.close(disk)
        disk.unlink(path)
        raise
    return made


@dataclass(slots=True)
class Known:
    """What the frames of files say, read in order."""

    positions: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0  #: number of the next line


def reopen(path: Path, known: Known, damage: Damage) -> Active:
    """A file of an earlier life, for reading; ``known`` learns what it says."""
    matched = NAME.fullmatch(path.name)
    assert matched is not None
    found = Active(path, Salt.parse(matched[2]), int(matched[1]))
    data = path.read_bytes()
    for part in scan(data, found.salt):
        if isinstance(part, Gap):
            if not part.torn:
                damage.report(f"{path.name}.{part.start}", "bytes that are no frame", data[part.start : part.end])
            continue
        try:
            _learn(found.take(part.payload, part.start + HEADER.size), known)
        except (StoreError, ValueError, KeyError) as error:
            damage.report(f"{path.name}.{part.start}", str(error), bytes(part.payload))
        found.size = part.end
    return found


def _learn(payload: Payload, known: Known) -> None:
    about = payload.about()
    if payload.kind == POSITIONS:
        known.positions.update(about["positions"])
        known.sequence = max(known.sequence, int(about["sequence"]))
    elif payload.kind == LINES:
        known.sequence = max(known.sequence, int(about["sequence"]) + payload.lines)
        if about.get("position") is not None:
            known.positions[str(about["source"])] = about["position"]


def unsealed(directory: Path) -> Iterator[Path]:
    """Such files of a directory, oldest first."""
    yield from sorted(path for path in directory.iterdir() if NAME.fullmatch(path.name))
