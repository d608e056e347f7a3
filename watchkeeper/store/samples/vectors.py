"""One tick's vector as bytes, bit-exact: byte-shuffle and zstd 1, or raw where that is smaller."""

from __future__ import annotations

import threading

import numpy as np
import zstandard

from watchkeeper.errors import StoreError
from watchkeeper.model.series import FloatArray

RAW, SHUFFLED = 0, 1


class _Zstd(threading.local):
    """Contexts are costly to make and serve one thread at a time."""

    def __init__(self) -> None:
        self.compressor, self.decompressor = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()


zstd = _Zstd()
#: Below this many values compression costs more than it saves.
MIN_SHUFFLED = 16


def encode_vector(values: FloatArray) -> tuple[int, bytes]:
    """(encoding, bytes). ``values`` is contiguous float64."""
    raw = values.tobytes()
    if values.size < MIN_SHUFFLED:
        return RAW, raw
    planes = np.ascontiguousarray(values.view(np.uint8).reshape(-1, 8).T)
    packed = zstd.compressor.compress(planes.data)
    return (SHUFFLED, packed) if len(packed) < len(raw) else (RAW, raw)


def decode_vector(encoding: int, data: bytes | memoryview, size: int) -> FloatArray:
    """The vector. Raises StoreError when the bytes do not hold ``size`` values."""
    try:
        raw = bytes(data) if encoding == RAW else zstd.decompressor.decompress(data, max_output_size=size * 8)
    except zstandard.ZstdError as error:
        raise StoreError(f"a vector of the log cannot be decompressed: {error}") from error
    if encoding not in (RAW, SHUFFLED) or len(raw) != size * 8:
        raise StoreError(f"a vector of the log holds {len(raw)} bytes, {size * 8} expected")
    if encoding == RAW:
        return np.frombuffer(raw, dtype=np.float64)
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(8, -1)
    return np.ascontiguousarray(planes.T).reshape(-1).view(np.float64)
