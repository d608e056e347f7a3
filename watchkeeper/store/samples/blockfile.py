"""The form of a block file, read and written.

    magic | per target: chunks, directory (lengths and crcs, zstd), column list (zstd) | footer | footer again

A footer is zstd JSON between a length and a crc on one side and the magic on the other, twice: one damaged byte never
costs a whole block. Every chunk has a crc of its own, so damage costs one series over one span.
"""

from __future__ import annotations

import base64
import json
import mmap
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from watchkeeper.errors import StoreError
from watchkeeper.model.series import IntArray
from watchkeeper.store.samples.chunks import Packed, pack_times, unpack_times
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.disk import Disk, write_all
from watchkeeper.store.samples.vectors import zstd

MAGIC = b"WKBLOCK1"
#: footer length, crc32 of the footer; the magic follows
TAIL = struct.Struct("<II")
MAX_FOOTER_BYTES = 256 << 20
#: Time columns kept decoded, all blocks together: some 8 MB of two hours at 15 seconds.
TIME_COLUMNS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Bytes of the file with their crc32."""

    offset: int
    length: int
    crc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One target in one block."""

    target: str
    columns: int
    rows: int
    first_ms: int
    last_ms: int
    key: str  #: hash of the column list, hexadecimal
    times: str  #: pcodec, base85: small, and safe in the double footer
    data_offset: int
    data_length: int
    directory: Extent
    names: Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    sequence: int  #: newest log sequence that had been given out when the block was cut
    boundary_ms: int  #: end of the block's span
    entries: Sequence[Entry]


class BlockWriter:
    """Writes one block: temporary file, fdatasync, rename, directory sync. Raises OSError."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path, self._disk, self._temporary = path, disk, path.with_suffix(".tmp")
        self._entries: list[Entry] = []
        disk.unlink(self._temporary)
        self._descriptor = disk.create(self._temporary)
        self._offset = 0
        self._write(MAGIC)

    def _write(self, data: bytes) -> Extent:
        write_all(self._disk, self._descriptor, data)
        extent = Extent(offset=self._offset, length=len(data), crc=zlib.crc32(data))
        self._offset += len(data)
        return extent

    def add(self, target: str, times: IntArray, parts: Iterable[Packed], columns: Callable[[], Columns]) -> None:
        """One target's chunks, given as column ranges one after the other; asked for its columns after the last."""
        start = self._offset
        directories = []
        for part in parts:
            self._write(bytes(part.payload))
            directories.append((part.lengths, part.crcs))
        length = self._offset - start
        lengths, crcs = (np.concatenate(arrays) for arrays in zip(*directories, strict=True))
        listed = columns()
        directory = zstandard.ZstdCompressor(level=3).compress(lengths.tobytes()) + crcs.tobytes()
        self._entries.append(
            Entry(
                target=target,
                columns=len(lengths),
                rows=len(times),
                first_ms=int(times[0]),
                last_ms=int(times[-1]),
                key=listed.key.hex(),
                times=base64.b85encode(pack_times(times)).decode(),
                data_offset=start,
                data_length=length,
                directory=self._write(directory),
                names=self._write(listed.blob),
            )
        )

    def finish(self, sequence: int, boundary_ms: int) -> None:
        footer = Footer(sequence=sequence, boundary_ms=boundary_ms, entries=self._entries)
        body = zstandard.ZstdCompressor(level=3).compress(json.dumps(asdict(footer), separators=(",", ":")).encode())
        for _ in range(2):
            self._write(body + TAIL.pack(len(body), zlib.crc32(body)) + MAGIC)
        self._disk.sync(self._descriptor)
        self._disk.close(self._descriptor)
        self._descriptor = -1
        self._disk.rename(self._temporary, self.path)
        self._disk.sync_directory(self.path.parent)

    def abandon(self) -> None:
        """Leave nothing behind after an error."""
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1
        self._disk.unlink(self._temporary)


class BlockFile:
    """A block open for reading, memory-mapped. Raises StoreError when neither footer can be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise StoreError(f"block {path.name} is empty") from error
        self.footer = self._find_footer()

    @property
    def size(self) -> int:
        return len(self._map)

    def _find_footer(self) -> Footer:
        end = len(self._map)
        while (end := self._map.rfind(MAGIC, 0, end)) > 0:
            found = self._footer_before(end)
            if found is not None:
                return found
        raise StoreError(f"block {self.path.name} has no readable footer")

    def _footer_before(self, end: int) -> Footer | None:
        start = end - TAIL.size
        if start < len(MAGIC):
            return None
        length, crc = TAIL.unpack_from(self._map, start)
        body = self._map[start - length : start] if 0 < length <= start else b""
        if not body or zlib.crc32(body) != crc:
            return None
        raw: dict[str, Any] = json.loads(
            zstandard.ZstdDecompressor().decompress(body, max_output_size=MAX_FOOTER_BYTES)
        )
        entries = [
            Entry(**{**entry, "directory": Extent(**entry["directory"]), "names": Extent(**entry["names"])})
            for entry in raw["entries"]
        ]
        return Footer(sequence=raw["sequence"], boundary_ms=raw["boundary_ms"], entries=entries)

    def times(self, entry: Entry) -> IntArray:
        """The time column; asked for by every query, so kept for a while. Read-only."""
        return _times(entry.times)

    def names(self, entry: Entry) -> bytes:
        """The stored column list. Raises StoreError."""
        return self._checked(entry.names, "column list")

    def packed(self, entry: Entry) -> Packed:
        """The chunks of one target, still in the file. Raises StoreError."""
        raw = self._checked(entry.directory, "directory")
        split = len(raw) - 4 * entry.columns
        lengths = zstd.decompressor.decompress(raw[:split], max_output_size=4 * entry.columns + 1)
        payload = memoryview(self._map)[entry.data_offset : entry.data_offset + entry.data_length]
        return Packed(np.frombuffer(lengths, np.uint32), np.frombuffer(raw[split:], np.uint32), payload)

    def _checked(self, extent: Extent, what: str) -> bytes:
        data = self._map[extent.offset : extent.offset + extent.length]
        if zlib.crc32(data) != extent.crc or len(data) != extent.length:
            raise StoreError(f"the {what} at byte {extent.offset} of block {self.path.name} is damaged")
        return data


@lru_cache(maxsize=TIME_COLUMNS)
def _times(text: str) -> IntArray:
    times = unpack_times(base64.b85decode(text))
    times.setflags(write=False)
    return times
