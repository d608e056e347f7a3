"""Segments that change no more: lines by time in parts of about a MiB, each with its tokens, and an index at the end.

A segment is made from one active file and replaces it: while that file is there it alone counts, and what was made
of it before a crash is made again.
"""

from __future__ import annotations

import os
import re
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from watchkeeper.errors import StoreError
from watchkeeper.model.log import starts
from watchkeeper.model.series import IntArray
from watchkeeper.store.logs.active import Active, Place
from watchkeeper.store.logs.piece import BLOOM, FOOTER, LINES, Payload, Piece, merge, pack_about, pack_piece, pick
from watchkeeper.store.logs.retention import RetentionClass, class_of
from watchkeeper.store.logs.tokens import make_bloom, tokens
from watchkeeper.store.samples.damage import Damage
from watchkeeper.store.samples.disk import Disk, write_all
from watchkeeper.store.samples.frames import HEADER, Frame, Salt, pack, scan

NAME = re.compile(r"(\d{10})-([a-z0-9_]{1,40})-(\d+)-(\d+)-([0-9a-f]{16})\.lines")
PART_BYTES = 1 << 20
#: where the footer's payload is, its length, crc32 of both
TRAILER = struct.Struct("<QII")
_BLOOM = struct.Struct("<B")


@dataclass(frozen=True, slots=True)
class Part:
    """One frame of lines, and where its tokens are."""

    place: Place
    bloom_at: int = 0
    bloom_bytes: int = 0  #: 0: not known, look into the lines


@dataclass(slots=True, eq=False)
class Sealed:
    path: Path
    number: int
    klass: str
    first_ms: int
    last_ms: int
    salt: Salt
    nbytes: int
    parts: list[Part] | None = field(default=None, repr=False)  #: read when first needed

    def payload(self, place: Place) -> Payload:
        """Raises FileNotFoundError when the segment has been dropped meanwhile."""
        with open(self.path, "rb", buffering=0) as file:
            raw = os.pread(file.fileno(), HEADER.size + place.length, place.offset - HEADER.size)
        _, _, crc = HEADER.unpack_from(raw)
        body = memoryview(raw)[HEADER.size :]
        if len(body) != place.length or self.salt.crc(body) != crc:
            raise StoreError(f"{self.path.name} is damaged at byte {place.offset}")
        return Payload(body)

    def bloom(self, part: Part) -> bytes:
        """Empty when it is not known."""
        if not part.bloom_bytes:
            return b""
        with open(self.path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), part.bloom_bytes, part.bloom_at)

    def index(self, damage: Damage) -> list[Part]:
        """Its parts; found by looking when the index itself is damaged."""
        if self.parts is None:
            try:
                self.parts = self.footer()
            except (StoreError, ValueError, KeyError, struct.error) as error:
                damage.report(f"{self.path.name}.footer", f"its index cannot be read: {error}", b"")
                self.parts = self._scanned(damage)
        return self.parts

    def footer(self) -> list[Part]:
        """Its parts as the index tells them. Raises StoreError, ValueError, KeyError, struct.error."""
        with open(self.path, "rb", buffering=0) as file:
            end = os.pread(file.fileno(), TRAILER.size, max(0, self.nbytes - TRAILER.size))
            offset, length, crc = TRAILER.unpack(end)
            if zlib.crc32(end[:12]) != crc:
                raise StoreError("the end of the file is damaged")
        about = self.payload(Place(offset, length, 0, 0, 0)).about()
        return [Part(Place(*row[:5]), *row[5:]) for row in about["parts"]]

    def _scanned(self, damage: Damage) -> list[Part]:
        data, found = self.path.read_bytes(), []
        for part in scan(data, self.salt):
            if isinstance(part, Frame):
                payload = Payload(part.payload) if part.payload[0] == LINES else None
                if payload is not None:
                    at = part.start + HEADER.size
                    place = Place(at, len(part.payload), payload.first_ms, payload.last_ms, payload.lines)
                    found.append(Part(place))
            elif part.end < len(data) or part.end - part.start > TRAILER.size:
                damage.report(f"{self.path.name}.{part.start}", "bytes that are no frame", data[part.start : part.end])
        return found


def of_path(path: Path) -> Sealed | None:
    """A segment by its name; None for other files."""
    matched = NAME.fullmatch(path.name)
    if matched is None:
        return None
    number, klass, first, last, salt = matched.groups()
    return Sealed(path, int(number), klass, int(first), int(last), Salt.parse(salt), path.stat().st_size)


def seal(active: Active, classes: Sequence[RetentionClass], disk: Disk, damage: Damage) -> list[Sealed]:
    """Make the segments that replace a closed active file, and remove it. Raises OSError: then nothing has changed."""
    piece = merge(list(_pieces(active, damage)))
    folder, number = active.path.parent, active.number
    made = [write_segment(folder, number, klass, pick(piece, rows), disk) for klass, rows in _by_class(piece, classes)]
    found = []
    for temporary, path in made:
        disk.rename(temporary, path)
        sealed = of_path(path)
        assert sealed is not None
        found.append(sealed)
    disk.sync_directory(active.path.parent)
    disk.unlink(active.path)
    return found


def _pieces(active: Active, damage: Damage) -> Iterator[Piece]:
    for place in active.places:
        try:
            yield active.payload(place).piece()
        except StoreError as error:
            damage.report(f"{active.path.name}.{place.offset}", str(error), b"")


def _by_class(piece: Piece, classes: Sequence[RetentionClass]) -> Iterator[tuple[str, IntArray]]:
    """(class, its lines by time)."""
    names = [class_of(labels, classes) for labels in piece.streams]
    order = np.lexsort((piece.columns.sequences, piece.columns.times))
    for klass in sorted(set(names)):
        mine = np.array([name == klass for name in names], bool)
        yield klass, order[mine[piece.columns.stream[order]]]


def write_segment(directory: Path, number: int, klass: str, piece: Piece, disk: Disk) -> tuple[Path, Path]:
    """(file as written, the name it gets). ``piece`` is by time. Raises OSError."""
    word = secrets.token_hex(8)
    salt, times = Salt.parse(word), piece.columns.times
    name = f"{number:010d}-{klass}-{max(0, int(times[0]))}-{max(0, int(times[-1]))}-{word}.lines"
    temporary = directory / f"{name}.tmp"
    descriptor = disk.create(temporary)
    try:
        offset, rows = 0, []
        for part in _parts(piece):
            payload, bloom = pack_piece(part, {}, tight=True), _BLOOM.pack(BLOOM) + make_bloom(_tokens(part))
            at, bloom_at = offset + HEADER.size, offset + 2 * HEADER.size + len(payload) + _BLOOM.size
            head = Payload(payload)
            rows.append([at, len(payload), head.first_ms, head.last_ms, head.lines, bloom_at, len(bloom) - _BLOOM.size])
            frames = pack(salt, payload) + pack(salt, bloom)
            write_all(disk, descriptor, frames)
            offset += len(frames)
        footer = pack_about(FOOTER, {"parts": rows})
        where = struct.pack("<QI", offset + HEADER.size, len(footer))
        write_all(disk, descriptor, pack(salt, footer) + where + struct.pack("<I", zlib.crc32(where)))
        disk.sync(descriptor)
    except OSError:
        disk.unlink(temporary)
        raise
    finally:
        disk.close(descriptor)
    return temporary, directory / name


def _tokens(part: Piece) -> set[bytes]:
    """Of the lines and of their labels: a field may be either."""
    values = {value for labels in part.streams for _, value in labels}
    return tokens(part.data) | tokens("\n".join(values).encode("utf-8", "replace"))


def _parts(piece: Piece) -> Iterator[Piece]:
    begins = starts(piece.columns.ends)
    chunk = begins // PART_BYTES
    cuts = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(begins)]
    for begin, end in pairwise(cuts):
        if end > begin:
            yield pick(piece, np.arange(begin, end))
