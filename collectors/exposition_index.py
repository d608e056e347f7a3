"""Which column a line belongs to, for a whole page at a time.

A key is hashed from some of its eight-byte words, as many as tell the known keys apart, then compared in full with the
one key that may be it, both where they lie: 50,000 look-ups in random order are a few passes over arrays and a
comparison. Keys that Arrow holds within its views are never found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, IntArray

from .exposition_lines import INLINE, WORD, Views, unaligned, viewed, views

Columns = npt.NDArray[np.intp]
Hashes = npt.NDArray[np.uint64]

#: Words of a key that are looked at, at most.
MOST_WORDS = 32
#: Tables tried one after the other: of keys that fall on one place in a table, all but one are in the next.
TABLES = 4
#: Places of a table for each of its keys, at least.
ROOM = 4
#: Keys added since, as a part of those indexed, that are worth an index anew; until then a dictionary finds them.
GROWN = 1 / 64
#: The golden ratio in 64 bits (Knuth, Fibonacci hashing): its multiples spread over all upper bits.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class KeyIndex:
    """The known keys of one target, what stands before the value with the space, and their columns."""

    def __init__(self, columns: Mapping[bytes, int], *, unknown: int) -> None:
        sizes = np.fromiter((len(key) + 1 for key in columns), np.int64, len(columns))
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        data = b" ".join([*columns, b""])
        self._data, self._unknown = data, unknown
        self._columns: Columns = np.fromiter(columns.values(), np.intp, len(columns))
        self._rounds, self._tables = 0, list[Columns]()
        self._views: Views = np.zeros(len(columns), np.complex128)
        rows = np.flatnonzero(sizes > INLINE)
        if len(rows):
            self._views[rows] = views(data, bounds[rows], sizes[rows])
            hashes = self._choose(data, bounds[rows], bounds[rows + 1])
            self._fill(rows, hashes)

    def worn(self, known: int) -> bool:
        """Whether so many keys are ``known`` by now that those missing here cost more than a new index."""
        return known > len(self._columns) * (1 + GROWN)

    def find(self, body: bytes, starts: IntArray, ends: IntArray) -> Columns:
        """Columns of the keys that lie in ``body`` between ``starts`` and ``ends``, ``unknown`` where there is none."""
        found = np.full(len(starts), self._unknown, np.intp)
        left = np.flatnonzero(ends - starts > INLINE)
        if not self._tables or not len(left):
            return found
        *_, hashes = _hashes(body, starts[left], ends[left], self._rounds)
        keys = views(body, starts[left], ends[left] - starts[left])
        for table in self._tables:
            candidates = table[_places(hashes, table)]
            same = _same(viewed(self._data, self._views[candidates]), viewed(body, keys))
            found[left[same]] = self._columns[candidates[same]]
            other = ~same
            left, hashes, keys = left[other], hashes[other] * _SPREAD, keys[other]
            if not len(left):
                break
        return found

    def _choose(self, data: bytes, starts: IntArray, ends: IntArray) -> Hashes:
        """Hashes of as few words as tell all keys apart, or of as many as are looked at."""
        longest = int((ends - starts).max())
        for hashes in _hashes(data, starts, ends, min(MOST_WORDS, -(-longest // WORD))):
            self._rounds += 1
            ordered = np.sort(hashes)
            if not (ordered[1:] == ordered[:-1]).any():
                break
        return hashes.copy()

    def _fill(self, rows: Columns, hashes: Hashes) -> None:
        for _ in range(TABLES):
            table = np.zeros(1 << (ROOM * len(rows) - 1).bit_length(), np.intp)  # the first key stands in empty places
            places = _places(hashes, table)
            table[places] = rows
            self._tables.append(table)
            lost = table[places] != rows
            rows, hashes = rows[lost], hashes[lost] * _SPREAD
            if not len(rows):
                break


def _hashes(data: bytes, starts: IntArray, ends: IntArray, rounds: int) -> Iterator[Hashes]:
    """One hash a key after each word: from its end and its start by turns, never beyond the key."""
    words = unaligned(data)
    hashes = (ends - starts).astype(np.uint64)
    for turn in range(rounds):
        step = WORD * (turn // 2)
        at = np.minimum(starts + step, ends - WORD) if turn % 2 else np.maximum(starts, ends - WORD - step)
        hashes += words[at]
        hashes *= _SPREAD
        hashes ^= hashes >> np.uint64(32)
        yield hashes


def _places(hashes: Hashes, table: Columns) -> Columns:
    """The upper bits of the hashes spread once more, as places in the table."""
    spread = hashes * _SPREAD
    return (spread >> np.uint64(65 - len(table).bit_length())).astype(np.intp)


def _same(one: Any, other: Any) -> BoolArray:
    import pyarrow.compute as pc

    equal = pc.equal(one, other)
    bits = np.unpackbits(np.frombuffer(equal.buffers()[1], np.uint8), bitorder="little")
    same: BoolArray = bits[equal.offset : equal.offset + len(equal)].astype(np.bool_)
    return same
