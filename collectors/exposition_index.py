"""Which column a line belongs to, for a thousand lines at a time.

A dictionary of 50,000 long keys costs a cache miss or three for each look-up in random order; sorted 64-bit hashes of
them fit in the cache. The hash is Python's own for bytes, SipHash with a key that is drawn anew for every process: that
a line of an unknown series has the hash of one of 50,000 known ones happens to one new line in 3e14, and nobody outside
can bring it about. Columns that come twice on a page are looked up again by their whole keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter

import numpy as np
import numpy.typing as npt

Columns = npt.NDArray[np.intp]
Parts = Sequence[tuple[bytes, bytes, bytes]]

_key = itemgetter(0)


class KeyIndex:
    """The known keys of one target and their columns."""

    def __init__(self, columns: Mapping[bytes, int], *, unknown: int) -> None:
        hashes = np.fromiter(map(hash, columns), np.int64, len(columns))
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._unknown = hashes[order], unknown
        self._columns: Columns = np.fromiter(columns.values(), np.intp, len(columns))[order]
        if len(columns) and bool(np.any(self._hashes[1:] == self._hashes[:-1])):
            self._hashes, self._columns = self._hashes[:0], self._columns[:0]  # two keys share a hash: trust none

    def __len__(self) -> int:
        return len(self._hashes)

    def find(self, parts: Parts) -> Columns:
        """The column of each line taken apart at its last space; ``unknown`` where there is none."""
        if not len(self._hashes):
            return np.full(len(parts), self._unknown, np.intp)
        hashes = np.fromiter(map(hash, map(_key, parts)), np.int64, len(parts))
        places = np.searchsorted(self._hashes, hashes)
        np.minimum(places, len(self._hashes) - 1, out=places)
        return np.where(self._hashes[places] == hashes, self._columns[places], self._unknown)
