"""Integrity of log lines: every byte of every file looked at, and what the files hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.errors import StoreError
from watchkeeper.store.logs.active import NAME as ACTIVE
from watchkeeper.store.logs.piece import BLOOM, LINES, Payload, Piece
from watchkeeper.store.logs.sealed import TRAILER, Sealed, of_path
from watchkeeper.store.samples.checking import Finding
from watchkeeper.store.samples.frames import HEADER, Frame, Gap, Salt, scan


@dataclass(slots=True)
class CheckedLines:
    """What a check has looked at and found."""

    files: int = 0
    segments: int = 0  #: of the files, those that are sealed
    bytes: int = 0
    lines: int = 0
    text_bytes: int = 0  #: before packing
    torn_tails: int = 0  #: unfinished writes at the end of a file: no damage
    first_ms: int | None = None
    last_ms: int | None = None
    class_bytes: dict[str, int] = field(default_factory=dict)  #: of sealed segments, by class of retention
    findings: list[Finding] = field(default_factory=list)

    def take(self, piece: Piece) -> None:
        self.lines += len(piece.columns)
        self.text_bytes += len(piece.data)
        if len(piece.columns):
            first, last = int(piece.columns.times.min()), int(piece.columns.times.max())
            self.first_ms = first if self.first_ms is None else min(self.first_ms, first)
            self.last_ms = last if self.last_ms is None else max(self.last_ms, last)


def check_lines(directory: Path) -> CheckedLines:
    """Read everything and change nothing; an engine may be running."""
    checked = CheckedLines()
    for path in line_files(directory):
        try:
            _check_file(path, checked)
        except FileNotFoundError:  # sealed, or dropped by age, meanwhile
            continue
    return checked


def line_files(directory: Path) -> list[Path]:
    """Files with lines, oldest first."""
    return sorted(path for path in directory.glob("*-*") if path.suffix in (".active", ".lines"))


def _check_file(path: Path, checked: CheckedLines) -> None:
    data, salt, sealed = path.read_bytes(), salt_of(path), of_path(path)
    checked.files += 1
    checked.bytes += len(data)
    if salt is None:
        checked.findings.append(Finding(path.name, 0, "has a name that no file of lines has"))
        return
    places: set[int] = set()
    for part in whole_parts(path, data, salt, checked):
        checked.take(part.piece)
        places.add(part.offset)
    if sealed is not None:
        checked.segments += 1
        checked.class_bytes[sealed.klass] = checked.class_bytes.get(sealed.klass, 0) + len(data)
        checked.findings += _check_index(sealed, places)


@dataclass(frozen=True, slots=True)
class WholePart:
    """A frame of lines that can be read."""

    offset: int  #: of its payload
    payload: bytes
    piece: Piece


def whole_parts(path: Path, data: bytes, salt: Salt, checked: CheckedLines) -> Iterator[WholePart]:
    """Every frame of lines that is whole; what is not is noted in ``checked``."""
    for part in scan(data, salt):
        if isinstance(part, Gap):
            if path.suffix == ".lines" and part.end == len(data) and part.end - part.start == TRAILER.size:
                continue
            if part.torn and path.suffix == ".active":
                checked.torn_tails += 1
            else:
                checked.findings.append(Finding(path.name, part.start, "bytes that are no frame"))
            continue
        try:
            found = _read(part)
        except (StoreError, ValueError, KeyError, IndexError) as error:
            checked.findings.append(Finding(path.name, part.start, str(error)))
            continue
        if found is not None:
            yield found


def _read(frame: Frame) -> WholePart | None:
    """Raises StoreError, ValueError, KeyError, IndexError."""
    if frame.payload[0] == BLOOM:
        return None
    payload = Payload(frame.payload)
    if payload.kind != LINES:
        payload.about()
        return None
    piece = payload.piece()
    columns = piece.columns
    size, streams = len(piece.data), len(piece.streams)
    if len(columns) and (int(columns.ends[-1]) + 1 != size or int(columns.stream.max()) >= streams):
        raise StoreError("a frame of log lines has not the text that its columns speak of")
    return WholePart(frame.start + HEADER.size, bytes(frame.payload), piece)


def _check_index(sealed: Sealed, places: set[int]) -> list[Finding]:
    try:
        told = {part.place.offset for part in sealed.footer()}
    except (StoreError, ValueError, KeyError, struct.error) as error:
        return [Finding(sealed.path.name, sealed.nbytes, f"its index cannot be read: {error}")]
    return [Finding(sealed.path.name, place, "a part of the index is not there") for place in sorted(told - places)]


def salt_of(path: Path) -> Salt | None:
    matched, sealed = ACTIVE.fullmatch(path.name), of_path(path)
    if sealed is not None:
        return sealed.salt
    return Salt.parse(matched[2]) if matched else None
