"""What a frame of the log says: one tick, one column list, or the orderly end of a segment."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from watchkeeper.errors import StoreError
from watchkeeper.model.series import FloatArray
from watchkeeper.store.samples.columns import Columns
from watchkeeper.store.samples.vectors import decode_vector, encode_vector

TICK, COLUMNS, END = 1, 2, 3
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


def tick_record(target: str, time_ms: int, sequence: int, columns: Columns, values: FloatArray) -> bytes:
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
