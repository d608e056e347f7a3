"""One series over one span as bytes, bit-exact, and many of them at once.

A chunk is one kind byte, an optional presence mask and the present values: a constant as 8 bytes, decimals as scaled
integers in pcodec, anything else as float64 in pcodec. Absent samples carry Prometheus's staleness bits on both sides.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pcodec
from pcodec import standalone

from watchkeeper.errors import StoreError
from watchkeeper.model.series import BoolArray, FloatArray, IntArray, is_stale
from watchkeeper.store.samples.columns import Pick
from watchkeeper.store.samples.holes import is_hole

CONSTANT, INTEGERS, FLOATS, ABSENT = 0, 1, 2, 3
MASKED = 8
#: Of a masked chunk whose absent samples are holes, not ends.
HOLED = 0x80
#: Powers of ten tried, smallest first; the position is kept in the kind byte.
EXPONENTS = (0, 1, 2, 3, 4, 6)
#: What integers are divided by, per kind byte.
SCALES = {INTEGERS | position << 4: 10.0**power for position, power in enumerate(EXPONENTS)}
#: Integers up to here convert to float64 and back without loss.
EXACT = 2.0**53
#: pcodec level of blocks: 1.142 B/sample against 1.133 of the slow automatic search.
LEVEL = 4
#: Series worked on at once: two hours of them fit the processor's cache.
BATCH = 64
#: Bytes of a mask, before it.
MASK_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Packed:
    """Chunks of many series, one after the other."""

    lengths: npt.NDArray[np.uint32]
    crcs: npt.NDArray[np.uint32]
    payload: bytes | memoryview

    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each chunk starts, and the end of the last."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.lengths, dtype=np.int64)])


@cache
def _integers() -> Any:
    return pcodec.ChunkConfig(compression_level=LEVEL, delta_spec=pcodec.DeltaSpec.try_consecutive(1))


@cache
def _floats() -> Any:
    return pcodec.ChunkConfig(compression_level=LEVEL)


def pack_times(times: IntArray) -> bytes:
    return bytes(standalone.simple_compress(np.ascontiguousarray(times), _floats()))


def unpack_times(data: bytes) -> IntArray:
    """Raises StoreError."""
    try:
        found = standalone.simple_decompress(data)
    except (RuntimeError, TypeError) as error:
        raise StoreError(f"a time column cannot be read: {error}") from error
    return np.asarray(found, dtype=np.int64)


def pack(values: FloatArray) -> Packed:
    """Chunks of ``values[series, time]``."""
    parts: list[bytes] = []
    for start in range(0, len(values), BATCH):
        parts += _pack_batch(np.ascontiguousarray(values[start : start + BATCH]))
    lengths = np.array([len(part) for part in parts], dtype=np.uint32)
    return Packed(lengths, np.array([zlib.crc32(part) for part in parts], dtype=np.uint32), b"".join(parts))


def _pack_batch(values: FloatArray) -> list[bytes]:
    absent, holes = is_stale(values), is_hole(values)
    gaps: BoolArray = np.any(absent | holes, axis=1)
    if not gaps.any():
        return _pack_dense(values)
    parts = [b""] * len(values)
    whole, gappy = np.flatnonzero(~gaps), np.flatnonzero(gaps)
    for row, part in zip(whole.tolist(), _pack_dense(values[whole]) if len(whole) else (), strict=True):
        parts[row] = part
    for rows in _alike(absent[gappy], holes[gappy]):
        picked = gappy[rows]
        packed = _pack_masked(values[picked], absent[picked[0]], holes[picked[0]])
        for row, part in zip(picked.tolist(), packed, strict=True):
            parts[row] = part
    return parts


def _pack_dense(values: FloatArray) -> list[bytes]:
    """Chunks of rows without gaps."""
    bits = values.view(np.uint64)
    constant: BoolArray = np.all(bits == bits[:, :1], axis=1)
    integers, exponent = _scaled(values, ~constant)
    parts: list[bytes] = []
    for row in range(len(values)):
        if constant[row]:
            parts.append(bytes([CONSTANT]) + values[row, :1].tobytes())
        elif exponent[row] >= 0:
            parts.append(bytes([INTEGERS | int(exponent[row]) << 4]) + _compress(integers[row], _integers()))
        else:
            parts.append(bytes([FLOATS]) + _compress(values[row], _floats()))
    return parts


def _alike(absent: npt.NDArray[np.bool_], holes: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Rows whose gaps lie at the same places: series of one target mostly come, go and fail together."""
    found: dict[tuple[bytes, bytes], list[int]] = {}
    ends, lost = np.packbits(absent, axis=1), np.packbits(holes, axis=1)
    for row in range(len(absent)):
        found.setdefault((ends[row].tobytes(), lost[row].tobytes()), []).append(row)
    return list(found.values())


def _compress(values: npt.NDArray[Any], config: Any) -> bytes:
    return bytes(standalone.simple_compress(values, config))


def _scaled(values: FloatArray, candidates: npt.NDArray[np.bool_]) -> tuple[IntArray, npt.NDArray[np.int8]]:
    """(integers, position in EXPONENTS or -1) of the rows that are integers over one power of ten, exactly."""
    integers = np.zeros(values.shape, dtype=np.int64)
    exponent = np.full(len(values), -1, dtype=np.int8)
    left = np.flatnonzero(candidates)
    for position, power in enumerate(EXPONENTS):
        if not len(left):
            break
        rows = values[left]
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.rint(rows * 10.0**power)
            fits: BoolArray = np.all(np.abs(scaled) <= EXACT, axis=1)
            whole = np.where(fits[:, None], scaled, 0.0).astype(np.int64)
        exact = fits & ((whole / 10.0**power).view(np.uint64) == rows.view(np.uint64)).all(axis=1)
        integers[left[exact]], exponent[left[exact]] = whole[exact], position
        left = left[~exact]
    return integers, exponent


def _pack_masked(values: FloatArray, ended: BoolArray, holes: BoolArray) -> list[bytes]:
    """Chunks of rows with the same gaps. The mask tells holes where there are any; ends beside them are values then."""
    holed = HOLED if holes.any() else 0
    absent = holes if holed else ended
    present = np.ascontiguousarray(values[:, ~absent])
    if not present.shape[1]:
        return [bytes([ABSENT | holed])] * len(values)
    mask = zlib.compress(np.packbits(absent).tobytes(), 6)
    if holed and ended.any():
        inner = [bytes([FLOATS]) + _compress(row, _floats()) for row in present]
    else:
        inner = _pack_dense(present)
    return [bytes([part[0] | MASKED | holed]) + MASK_LENGTH.pack(len(mask)) + mask + part[1:] for part in inner]


def pick_chunks(packed: Packed, offsets: npt.NDArray[np.int64], pick: Pick) -> tuple[list[bytes | None], list[int]]:
    """(chunks of the picked columns, columns whose crc is wrong); a damaged chunk is None."""
    starts, ends, crcs = offsets[:-1][pick].tolist(), offsets[1:][pick].tolist(), packed.crcs[pick].tolist()
    if isinstance(pick, slice) and starts:  # neighbours: one copy out of the file
        first, payload = starts[0], bytes(packed.payload[starts[0] : ends[-1]])
        chunks = [payload[start - first : end - first] for start, end in zip(starts, ends, strict=True)]
    else:
        chunks = [bytes(packed.payload[start:end]) for start, end in zip(starts, ends, strict=True)]
    found: list[bytes | None] = list(chunks)
    sums = list(map(zlib.crc32, chunks))
    if sums == crcs and all(chunks):
        return found, []
    wrong = [place for place, crc in enumerate(crcs) if sums[place] != crc or not chunks[place]]
    for place in wrong:
        found[place] = None
    columns = range(pick.start, pick.stop) if isinstance(pick, slice) else pick.tolist()
    return found, [columns[place] for place in wrong]
