"""Where samples rest, under one face: dense rows of the head, packed sections in memory, packed sections in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from watchkeeper.model.series import STALE_BITS, FloatArray, IntArray, Labels
from watchkeeper.store.samples.chunks import Packed, pack, pick_chunks
from watchkeeper.store.samples.columns import Columns, Ids, Pick, picked_size
from watchkeeper.store.samples.holes import is_absent
from watchkeeper.store.samples.unpacking import unpack_into

#: Values in a page of memory, and in a line of the processor's cache.
PAGE_VALUES, LINE_VALUES = 512, 8


class Piece(Protocol):
    """Samples of one target over one span. What is published never changes."""

    columns: Columns

    @property
    def times(self) -> IntArray:
        """Strictly increasing, never empty."""
        ...

    @property
    def first_ms(self) -> int: ...

    @property
    def last_ms(self) -> int: ...

    @property
    def nbytes(self) -> int:
        """Memory held."""
        ...

    def fill(self, out: FloatArray, pick: Pick, low: int) -> bool:
        """Write the picked columns into ``out`` [series, time], rows from ``low`` on; absent samples carry their bits.

        True when it is known that none is absent.
        """
        ...


def read(piece: Piece, pick: Pick, low: int, high: int) -> FloatArray:
    """values[series, time] of the picked columns, rows low..high."""
    out = np.empty((picked_size(pick), high - low))
    piece.fill(out, pick, low)
    return out


class Dense:
    """Rows as they came. One thread appends; readers see what ``count`` has published."""

    __slots__ = ("_times", "_values", "_whole", "columns", "count", "first_ms", "last_ms")

    def __init__(self, columns: Columns, rows: int) -> None:
        self.columns, self.count, self._whole = columns, 0, True
        self.first_ms = self.last_ms = 0
        self._times = np.empty(rows, dtype=np.int64)
        self._values = _room(rows, len(columns))

    @property
    def full(self) -> bool:
        return self.count == len(self._times)

    @property
    def times(self) -> IntArray:
        return self._times[: self.count]

    @property
    def nbytes(self) -> int:
        return self._values[: self.count].nbytes

    def append(self, time_ms: int, values: FloatArray) -> None:
        self._values[self.count] = values
        self._times[self.count] = time_ms
        if self._whole and bool(np.isnan(values).any()) and bool(is_absent(values).any()):
            self._whole = False
        if not self.count:
            self.first_ms = time_ms
        self.last_ms = time_ms
        self.count += 1

    def close(self) -> None:
        """No row will follow: give back the room kept for them."""
        if not self.full:
            rows = _room(self.count, len(self.columns))
            rows[...] = self._values[: self.count]
            self._times, self._values = self._times[: self.count].copy(), rows

    def fill(self, out: FloatArray, pick: Pick, low: int) -> bool:
        out[...] = self._values[low : low + out.shape[1], pick].T
        return self._whole


def _room(rows: int, columns: int) -> FloatArray:
    """Rows of so many columns. Where a row's size is a multiple of a page, a little is left between them: a column is
    read four times faster when its values do not fall on the same few lines of the processor's cache.
    """
    room: FloatArray = np.empty((rows, columns + (0 if columns % PAGE_VALUES else LINE_VALUES)))[:, :columns]
    return room


class Sealed:
    """Older rows of the head, packed in memory."""

    __slots__ = ("_offsets", "_packed", "columns", "first_ms", "last_ms", "times")

    def __init__(self, columns: Columns, times: IntArray, packed: Packed) -> None:
        self.columns, self.times, self._packed = columns, times, packed
        self._offsets = packed.offsets()
        self.first_ms, self.last_ms = int(times[0]), int(times[-1])

    @property
    def nbytes(self) -> int:
        return len(self._packed.payload) + 16 * len(self.columns) + self.times.nbytes

    def fill(self, out: FloatArray, pick: Pick, low: int) -> bool:
        chunks, _ = pick_chunks(self._packed, self._offsets, pick)
        return unpack_into(out, chunks, len(self.times), low)


@dataclass(frozen=True, slots=True)
class Located:
    """One piece with what is wanted of it; settled under the store's lock, read outside it."""

    piece: Piece
    times: IntArray  #: the wanted part of the time column
    low: int
    high: int
    rows: Pick  #: where the columns go in the answer
    columns: Pick

    def fill(self, values: FloatArray, at: int, absent: int = STALE_BITS) -> bool:
        """Write what is wanted into ``values`` [series, time] from column ``at`` on, ``absent`` where there is none.

        True when it is known that no sample is absent.
        """
        mine, found = values[:, at : at + self.high - self.low], picked_size(self.rows)
        if found == len(mine) and isinstance(self.rows, slice):
            return self.piece.fill(mine, self.columns, self.low)
        if found < len(mine):
            mine.view(np.uint64)[...] = absent
        if not found:
            return False
        if isinstance(self.rows, slice):
            whole = self.piece.fill(mine[self.rows], self.columns, self.low)
        else:
            some = np.empty((found, mine.shape[1]))
            whole = self.piece.fill(some, self.columns, self.low)
            mine[self.rows] = some
        return whole and found == len(mine)


def locate(piece: Piece, wanted: Ids, start_ms: int, end_ms: int) -> Located | None:
    """The piece's part with start <= t <= end; None when it has no time there."""
    first_ms, last_ms = piece.first_ms, piece.last_ms
    if last_ms < start_ms or first_ms > end_ms:
        return None
    times = piece.times
    low = 0 if start_ms <= first_ms else int(times.searchsorted(start_ms))
    high = len(times) if last_ms <= end_ms else int(times.searchsorted(end_ms, "right"))
    if low >= high:
        return None
    rows, columns = piece.columns.locate(wanted)
    return Located(piece, times[low:high], low, high, rows, columns)


def gather(found: Sequence[Located], size: int, absent: int = STALE_BITS) -> tuple[IntArray, FloatArray]:
    """(times, values[size, time]) of one target's pieces in time order; ``absent`` where a piece lacks a series."""
    times = np.concatenate([part.times for part in found])
    values, at = np.empty((size, len(times))), 0
    for part in found:
        part.fill(values, at, absent)
        at += len(part.times)
    return times, values


def seal(pieces: Sequence[Piece], absent: int = STALE_BITS) -> Sealed:
    """Dense pieces of one target, in time order, as one packed section in memory."""
    columns = pieces[0].columns
    if any(piece.columns is not columns for piece in pieces):
        columns = union(pieces)
    parts = []
    for piece in pieces:
        everything = slice(0, len(columns))
        picks = (everything, everything) if piece.columns is columns else piece.columns.locate(columns.sids)
        parts.append(Located(piece, piece.times, 0, len(piece.times), *picks))
    times, values = gather(parts, len(columns), absent)
    return Sealed(columns, times, pack(values))


def union(pieces: Sequence[Piece]) -> Columns:
    """Columns with every series of the pieces, in ascending id order."""
    names: dict[int, Labels] = {}
    for columns in {id(piece.columns): piece.columns for piece in pieces}.values():
        names.update(zip(columns.sids.tolist(), columns.series, strict=True))
    sids = np.array(sorted(names), dtype=np.int32)
    return Columns([names[sid] for sid in sids.tolist()], sids)
