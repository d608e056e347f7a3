"""Lines as columns, and a frame's payload made of them: one collection of the log, or a part of a sealed segment.

    head | who read it, how far, and the label sets (JSON) | columns | text        the last three packed by zstd

Columns stand apart from the text: a count over time reads no text.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard

from watchkeeper.errors import StoreError
from watchkeeper.model import CodeArray, Labels, LogBatch
from watchkeeper.model.log import starts
from watchkeeper.model.series import IntArray

LINES, POSITIONS, BLOOM, FOOTER = 1, 2, 3, 4
#: kind, lines, first and last ms, bytes of meta, columns and text as packed, bytes of the text unpacked
_HEAD = struct.Struct("<BIqqIIII")
#: Bytes of a line's columns: label set, time, sequence, severity, length.
_WIDTH = 4 + 8 + 8 + 1 + 4
MAX_META = 64 << 20


class _Zstd(threading.local):
    """Contexts are costly to make and serve one thread at a time."""

    def __init__(self) -> None:
        self.fast, self.tight = zstandard.ZstdCompressor(level=1), zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


_zstd = _Zstd()


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """All of some lines but their text; shape [lines] each."""

    stream: IntArray  #: places in the label sets
    times: IntArray  #: ms
    sequences: IntArray  #: a number for life: which of two lines of one millisecond came first
    severity: CodeArray
    ends: IntArray  #: where in the text each line ends

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Lines of several streams, whole."""

    streams: tuple[Labels, ...]
    columns: Columns
    data: bytes

    def text(self, place: int) -> str:
        begin = int(self.columns.ends[place - 1]) + 1 if place else 0
        return self.data[begin : int(self.columns.ends[place])].decode("utf-8", "replace")


def of_batches(batches: Sequence[LogBatch], sequence: int) -> Piece:
    """One collection; ``sequence`` is the number of its first line."""
    sizes = [len(batch) for batch in batches]
    offsets = np.cumsum([0, *(len(batch.data) for batch in batches)])
    ends = [batch.ends + offset for batch, offset in zip(batches, offsets, strict=False)]
    columns = Columns(
        np.repeat(np.arange(len(batches)), sizes),
        _joined([batch.times for batch in batches]),
        np.arange(sequence, sequence + sum(sizes)),
        np.concatenate([np.empty(0, np.uint8), *(batch.severity for batch in batches)]),
        _joined(ends),
    )
    return Piece(tuple(batch.labels for batch in batches), columns, b"".join(batch.data for batch in batches))


def merge(pieces: Sequence[Piece]) -> Piece:
    """All lines of several pieces, label sets made one."""
    known: dict[Labels, int] = {}
    streams, ends, offset = [], [], 0
    for piece in pieces:
        places = np.array([known.setdefault(labels, len(known)) for labels in piece.streams], np.int64)
        streams.append(places[piece.columns.stream])
        ends.append(piece.columns.ends + offset)
        offset += len(piece.data)
    columns = [piece.columns for piece in pieces]
    merged = Columns(
        _joined(streams),
        _joined([part.times for part in columns]),
        _joined([part.sequences for part in columns]),
        np.concatenate([np.empty(0, np.uint8), *(part.severity for part in columns)]),
        _joined(ends),
    )
    return Piece(tuple(known), merged, b"".join(piece.data for piece in pieces))


def pick(piece: Piece, rows: IntArray) -> Piece:
    """Those lines, in that order, with the label sets they need."""
    old, begins = piece.columns, starts(piece.columns.ends)
    pairs = zip(begins[rows].tolist(), old.ends[rows].tolist(), strict=True)
    data = b"".join([piece.data[begin : end + 1] for begin, end in pairs])
    used, stream = np.unique(old.stream[rows], return_inverse=True)
    ends = np.cumsum(old.ends[rows] - begins[rows] + 1) - 1
    columns = Columns(stream.astype(np.int64), old.times[rows], old.sequences[rows], old.severity[rows], ends)
    return Piece(tuple(piece.streams[place] for place in used.tolist()), columns, data)


def pack_piece(piece: Piece, about: Mapping[str, Any], *, tight: bool = False) -> bytes:
    """A frame's payload. ``about`` is plain JSON data kept beside the lines."""
    columns, compressor = piece.columns, _zstd.tight if tight else _zstd.fast
    meta = {**about, "streams": [list(map(list, labels)) for labels in piece.streams]}
    lengths = columns.ends - starts(columns.ends)
    planes = [
        columns.stream.astype("<u4"),
        np.diff(columns.times, prepend=0).astype("<i8"),
        np.diff(columns.sequences, prepend=0).astype("<i8"),
        columns.severity,
        lengths.astype("<u4"),
    ]
    first, last = (int(columns.times.min()), int(columns.times.max())) if len(columns) else (0, 0)
    packed = [
        compressor.compress(json.dumps(meta, ensure_ascii=False).encode("utf-8", "surrogatepass")),
        compressor.compress(b"".join(plane.tobytes() for plane in planes)),
        compressor.compress(piece.data),
    ]
    head = _HEAD.pack(LINES, len(columns), first, last, *map(len, packed), len(piece.data))
    return head + b"".join(packed)


def pack_about(kind: int, about: Mapping[str, Any]) -> bytes:
    """A payload without lines."""
    packed = _zstd.tight.compress(json.dumps(about, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return _HEAD.pack(kind, 0, 0, 0, len(packed), 0, 0, 0) + packed


class Payload:
    """One frame's payload, unpacked as far as somebody asks."""

    def __init__(self, payload: bytes | memoryview) -> None:
        """Raises StoreError."""
        if len(payload) < _HEAD.size:
            raise StoreError("a frame of log lines is too short")
        self._payload = payload
        self.kind, self.lines, self.first_ms, self.last_ms, *lengths, self.nbytes = _HEAD.unpack_from(payload)
        self._cuts = np.cumsum([_HEAD.size, *lengths]).tolist()
        if self._cuts[-1] != len(payload):
            raise StoreError("a frame of log lines has not the length it states")

    def about(self) -> dict[str, Any]:
        found = json.loads(self._part(0, MAX_META))
        if not isinstance(found, dict):
            raise StoreError("a frame of log lines says nothing about itself")
        return found

    def streams(self) -> tuple[Labels, ...]:
        return tuple(tuple((name, value) for name, value in labels) for labels in self.about().get("streams", []))

    def columns(self) -> Columns:
        raw, count = self._part(1, self.lines * _WIDTH), self.lines
        if len(raw) != count * _WIDTH:
            raise StoreError(f"a frame of log lines has columns of {len(raw)} bytes, {count * _WIDTH} expected")
        at = np.cumsum([0, 4 * count, 8 * count, 8 * count, count]).tolist()
        stream = np.frombuffer(raw, "<u4", count, at[0]).astype(np.int64)
        times = np.cumsum(np.frombuffer(raw, "<i8", count, at[1]))
        sequences = np.cumsum(np.frombuffer(raw, "<i8", count, at[2]))
        severity = np.frombuffer(raw, np.uint8, count, at[3])
        ends = np.cumsum(np.frombuffer(raw, "<u4", count, at[4]).astype(np.int64) + 1) - 1
        return Columns(stream, times, sequences, severity, ends)

    def data(self) -> bytes:
        return self._part(2, self.nbytes)

    def piece(self) -> Piece:
        return Piece(self.streams(), self.columns(), self.data())

    def _part(self, number: int, limit: int) -> bytes:
        begin, end = self._cuts[number], self._cuts[number + 1]
        try:
            return _zstd.decompressor.decompress(self._payload[begin:end], max_output_size=limit or 1)
        except zstandard.ZstdError as error:
            raise StoreError(f"a frame of log lines cannot be unpacked: {error}") from error


def _joined(arrays: Sequence[IntArray]) -> IntArray:
    return np.concatenate([np.empty(0, np.int64), *arrays])
