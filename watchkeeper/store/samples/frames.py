"""Frames of the log: sync mark, length, crc32, payload. Each decodes alone.

Mark and crc are salted per segment; the salt is in the file's name. So nobody who can choose label values can forge
a frame inside a frame, and no damage to a file's content can touch the salt.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

#: mark, payload length, crc32 of length and payload
HEADER = struct.Struct("<4sII")
#: A length above this is damage, not a frame.
MAX_PAYLOAD = 256 << 20


@dataclass(frozen=True, slots=True)
class Salt:
    """What makes the frames of one segment its own."""

    mark: bytes
    seed: int

    @classmethod
    def parse(cls, text: str) -> Salt:
        """From 16 hex digits. Raises ValueError."""
        raw = bytes.fromhex(text)
        if len(raw) != 8:
            raise ValueError("a salt has 16 hex digits")
        return cls(raw[:4], int.from_bytes(raw[4:], "little"))

    def crc(self, payload: bytes | memoryview) -> int:
        return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little"), self.seed))


@dataclass(frozen=True, slots=True)
class Frame:
    start: int
    payload: memoryview

    @property
    def end(self) -> int:
        return self.start + HEADER.size + len(self.payload)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that are no frame."""

    start: int
    end: int
    torn: bool  #: an unfinished write at the end of the file, not damage


def pack(salt: Salt, payload: bytes) -> bytes:
    return HEADER.pack(salt.mark, len(payload), salt.crc(payload)) + payload


def scan(data: bytes, salt: Salt) -> Iterator[Frame | Gap]:
    """Every whole frame, and the gaps between them, in file order."""
    view, position, gap = memoryview(data), 0, -1
    while position < len(data):
        end = _frame_end(view, position, salt)
        if end:
            if gap >= 0:
                yield Gap(gap, position, torn=False)
            yield Frame(position, view[position + HEADER.size : end])
            position, gap = end, -1
            continue
        gap = position if gap < 0 else gap
        found = data.find(salt.mark, position + 1)
        position = found if found >= 0 else len(data)
    if gap >= 0:
        yield Gap(gap, len(data), torn=_torn(view[gap:], salt))


def _frame_end(view: memoryview, start: int, salt: Salt) -> int:
    """Where the frame that starts here ends; 0 when none does."""
    if start + HEADER.size > len(view):
        return 0
    mark, length, crc = HEADER.unpack_from(view, start)
    end = start + HEADER.size + int(length)
    if mark != salt.mark or length > MAX_PAYLOAD or end > len(view):
        return 0
    return end if salt.crc(view[start + HEADER.size : end]) == crc else 0


def _torn(tail: memoryview, salt: Salt) -> bool:
    """Whether the tail is the beginning of a frame whose rest was never written (or is still zeros)."""
    if len(tail) < HEADER.size:
        return salt.mark.startswith(bytes(tail[:4])) or not any(tail)
    mark, length, _ = HEADER.unpack_from(tail, 0)
    if mark == bytes(4):
        return not any(tail)
    return bool(mark == salt.mark and HEADER.size + length > len(tail))
