"""What a frame of the log says: one tick, pushed samples, one column list, or the orderly end of a segment."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.errors import StoreError
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.vectors import decode_vector, encode_vector

TICK, COLUMNS, END, PUSHED = 1, 2, 3, 4
MAX_TARGET_BYTES = 65_535
#: record type, encoding, bytes of the target's name, columns, time in ms, sequence, key of the column list
_TICK = struct.Struct("<BBHIqQ8s")


@dataclass(frozen=True, slots=True)
class TickRecord:
    target: str
    time_ms: int
    sequence: int
    key: bytes
    size: int
    encoding: int
    body: memoryview

    def values(self) -> FloatArray:
        """Raises StoreError."""
        return decode_vector(self.encoding, self.body, self.size)


def tick_record(target: str, time_ms: int, columns: Columns, values: FloatArray, sequence: int) -> bytes:
    """Raises StoreError for a target whose name is too long to keep."""
    name = target.encode("utf-8", "surrogatepass")
    if len(name) > MAX_TARGET_BYTES:
        raise StoreError(f"the name of target {target[:40]}... is longer than {MAX_TARGET_BYTES} bytes")
    encoding, body = encode_vector(values)
    return _TICK.pack(TICK, encoding, len(name), len(values), time_ms, sequence, columns.key) + name + body


def parse_tick(payload: memoryview) -> TickRecord:
    """Raises StoreError."""
    if len(payload) < _TICK.size:
        raise StoreError("a tick of the log is too short")
    _, encoding, name_bytes, size, time_ms, sequence, key = _TICK.unpack_from(payload)
    end = _TICK.size + name_bytes
    try:
        target = bytes(payload[_TICK.size : end]).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise StoreError(f"a tick of the log names no target: {error}") from error
    return TickRecord(target, time_ms, sequence, key, size, encoding, payload[end:])


def columns_record(columns: Columns) -> bytes:
    return bytes([COLUMNS]) + columns.blob


#: record type, one spare byte, number of lists, samples, sequence
_PUSHED = struct.Struct("<BBHIQ")
_KEY_BYTES = 8
#: encoding and bytes of each vector: places in the lists, times, values
_VECTOR = struct.Struct("<BI")


@dataclass(frozen=True, slots=True)
class PushedRecord:
    """Samples of any series at any time. ``keys`` name the lists whose series, laid end to end, the places count."""

    sequence: int
    keys: Sequence[bytes]
    size: int
    vectors: Sequence[tuple[int, memoryview]]

    def arrays(self) -> tuple[IntArray, IntArray, FloatArray]:
        """(places, times, values). Raises StoreError."""
        places, times, values = (decode_vector(encoding, body, self.size) for encoding, body in self.vectors)
        return places.view(np.int64), times.view(np.int64), values


def pushed_record(
    lists: Sequence[Columns], places: IntArray, times: IntArray, values: FloatArray, sequence: int
) -> bytes:
    head = _PUSHED.pack(PUSHED, 0, len(lists), len(values), sequence)
    parts = [head, *(columns.key for columns in lists)]
    for vector in (places.view(np.float64), times.view(np.float64), values):
        encoding, body = encode_vector(np.ascontiguousarray(vector))
        parts += [_VECTOR.pack(encoding, len(body)), body]
    return b"".join(parts)


def parse_pushed(payload: memoryview) -> PushedRecord:
    """Raises StoreError."""
    if len(payload) < _PUSHED.size:
        raise StoreError("a record of pushed samples is too short")
    _, _, lists, size, sequence = _PUSHED.unpack_from(payload)
    at = _PUSHED.size + lists * _KEY_BYTES
    keys = [bytes(payload[start : start + _KEY_BYTES]) for start in range(_PUSHED.size, at, _KEY_BYTES)]
    vectors = []
    for _ in range(3):
        if at + _VECTOR.size > len(payload):
            raise StoreError("a record of pushed samples is too short")
        encoding, length = _VECTOR.unpack_from(payload, at)
        at += _VECTOR.size + length
        vectors.append((encoding, payload[at - length : at]))
    return PushedRecord(sequence, keys, size, vectors)
