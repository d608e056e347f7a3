"""Chunks back to values, many at once.

A pcodec file is a head, chunks and a closing byte, and each of our chunks holds such a file with one chunk of pcodec in
it. Files of one head, put together without the heads and closing bytes between, are one file that one call decodes.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pcodec
from pcodec import standalone

from watchkeeper.errors import StoreError
from watchkeeper.model.series import STALE_BITS, FloatArray, IntArray
from watchkeeper.store.samples.chunks import (
    ABSENT,
    BATCH,
    CONSTANT,
    FLOATS,
    HOLED,
    INTEGERS,
    MASK_LENGTH,
    MASKED,
    SCALES,
)
from watchkeeper.store.samples.cores import CORES, SHARED
from watchkeeper.store.samples.holes import HOLE_BITS

#: Closes a pcodec file.
CLOSING = 0
#: Of the head that starts a pcodec chunk: type of number, and how many of them.
CHUNK_HEAD = 4
#: Values a thread keeps room for: a batch of two hours at 15 seconds takes half of it.
MOST_SCRATCH = 1 << 16
#: Of a chunk that is damaged.
UNKNOWN = -1


def unpack(chunks: Sequence[bytes | None], rows: int, low: int = 0, high: int | None = None) -> FloatArray:
    """values[series, low:high] of chunks of ``rows`` samples; None is a chunk without samples. Raises StoreError."""
    out = np.empty((len(chunks), (rows if high is None else high) - low))
    unpack_into(out, chunks, rows, low)
    return out


def unpack_into(out: FloatArray, chunks: Sequence[bytes | None], rows: int, low: int) -> bool:
    """Write samples ``low`` on into ``out``, a row a chunk; True when none of them is absent. Raises StoreError."""

    def some(part: slice) -> bool:
        whole, step = True, _step(part.stop - part.start)
        for start in range(part.start, part.stop, step):
            end = min(start + step, part.stop)
            whole &= _unpack_batch(chunks[start:end], rows, out[start:end], low)
        return whole

    half = len(chunks) // 2
    if half * rows < SHARED:
        return some(slice(0, len(chunks)))
    return all(CORES.map(some, [slice(0, half), slice(half, len(chunks))]))


def _step(size: int) -> int:
    """Batches of about one size, none above ``BATCH``."""
    return max(-(-size // max(-(-size // BATCH), 1)), 1)


class _Scratch(threading.local):
    """Numbers on their way from chunks to samples: the same memory again and again, one a thread."""

    room = np.empty(0, dtype=np.int64)

    def of(self, size: int) -> IntArray:
        if size > MOST_SCRATCH:
            return np.empty(size, dtype=np.int64)
        if len(self.room) < size:
            self.room = np.empty(size, dtype=np.int64)
        return self.room[:size]


_SCRATCH = _Scratch()


def _unpack_batch(chunks: Sequence[bytes | None], rows: int, out: FloatArray, low: int) -> bool:
    kinds = [UNKNOWN if chunk is None else chunk[0] for chunk in chunks]
    wanted = slice(low, low + out.shape[1])
    families: dict[str, list[int]] = {}
    for kind in set(kinds):
        families.setdefault(_family(kind), []).append(kind)
    for family, members in families.items():
        alone = len(families) == 1
        places = range(len(out)) if alone else [place for place, kind in enumerate(kinds) if kind in members]
        mine: Sequence[Any] = chunks if alone else [chunks[place] for place in places]
        if family == "integers":
            scales = None if members == [INTEGERS] else np.array([SCALES[kinds[place]] for place in places])[:, None]
            _put(out, places, _decode(mine, rows, _SCRATCH.of(len(mine) * rows))[:, wanted], scales)
        elif family == "floats":
            _put(out, places, _decode(mine, rows, _SCRATCH.of(len(mine) * rows).view(np.float64))[:, wanted])
        elif family == "constants":
            _put(out, places, _constants(mine))
        else:
            for place in places:
                out[place] = _unpack_other(chunks[place], rows)[wanted]
    return "others" not in families


def _family(kind: int) -> str:
    if kind in SCALES:
        return "integers"
    return {FLOATS: "floats", CONSTANT: "constants"}.get(kind, "others")


def _put(out: FloatArray, places: Sequence[int], found: npt.NDArray[Any], scales: FloatArray | None = None) -> None:
    """Rows of the answer, divided by their scales if there are any."""
    if len(places) < len(out):
        out[places] = found if scales is None else found / scales
    elif scales is None:
        out[...] = found
    else:
        np.divide(found, scales, out=out)


def _constants(chunks: Sequence[bytes]) -> FloatArray:
    if any(len(chunk) != 9 for chunk in chunks):
        _refuse("a constant")
    return np.frombuffer(b"".join([chunk[1:] for chunk in chunks]), np.float64)[:, None]


def _decode(chunks: Sequence[bytes], rows: int, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers [chunk, row] of chunks of one kind, in ``out``."""
    if not _decode_joined(chunks, rows, out):
        for at, chunk in enumerate(chunks):
            _decompress(chunk[1:], out[at * rows : (at + 1) * rows])
    return out.reshape(len(chunks), rows)


def _decode_joined(chunks: Sequence[bytes], rows: int, out: npt.NDArray[Any]) -> bool:
    """All of them by one call; False where they are not alike, or one of them is broken."""
    head = _head(rows, out.dtype.char)
    stop = 1 + len(head) - CHUNK_HEAD
    if False in [chunk.startswith(head, 1) and chunk[-1] == CLOSING for chunk in chunks]:
        return False
    joined = b"".join([head[:-CHUNK_HEAD], *[chunk[stop:-1] for chunk in chunks], bytes([CLOSING])])
    try:
        progress = standalone.simple_decompress_into(joined, out)
    except (RuntimeError, TypeError):
        return False
    return bool(progress.finished) and progress.n_processed == len(out)


@lru_cache(maxsize=256)
def _head(rows: int, number: str) -> bytes:
    """How pcodec begins a file of so many numbers, up to and with the head of its chunk.

    Four magic bytes, version and type, the count in as few bits as it takes after six that tell how many they are, two
    bytes of the inner version; then the chunk's type and, in three bytes, its count less one.
    """
    counted = (6 + rows.bit_length() + 7) // 8
    whole = standalone.simple_compress(np.zeros(rows, dtype=number), pcodec.ChunkConfig(compression_level=0))
    return bytes(whole[: 6 + counted + 2 + CHUNK_HEAD])


def _unpack_other(chunk: bytes | None, rows: int) -> FloatArray:
    """What has absent samples."""
    if chunk is not None and chunk[0] & MASKED:
        return _unpack_masked(chunk, rows)
    if chunk is None or chunk[0] & ~HOLED == ABSENT:
        return np.full(rows, _absent(chunk), dtype=np.uint64).view(np.float64)
    raise StoreError(f"a chunk is of kind {chunk[0]}, which this version does not know")


def _unpack_masked(chunk: bytes, rows: int) -> FloatArray:
    (length,) = MASK_LENGTH.unpack_from(chunk, 1)
    start = 1 + MASK_LENGTH.size
    bits = np.frombuffer(zlib.decompress(chunk[start : start + length]), np.uint8)
    absent = np.unpackbits(bits, count=rows).astype(np.bool_)
    inner = bytes([chunk[0] & ~(MASKED | HOLED)]) + chunk[start + length :]
    out = np.full(rows, _absent(chunk), dtype=np.uint64).view(np.float64)
    out[~absent] = unpack([inner], int(np.count_nonzero(~absent)))[0]
    return out


def _absent(chunk: bytes | None) -> int:
    return HOLE_BITS if chunk is not None and chunk[0] & HOLED else STALE_BITS


def _decompress(data: bytes, out: npt.NDArray[Any]) -> None:
    try:
        progress = standalone.simple_decompress_into(data, out)
    except (RuntimeError, TypeError) as error:
        raise StoreError(f"a chunk cannot be read: {error}") from error
    if progress.n_processed != len(out):
        _refuse("a chunk")


def _refuse(what: str) -> None:
    raise StoreError(f"{what} holds another number of values than its block says")
