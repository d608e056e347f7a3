"""The columns of one target: an ordered set of series with its stored form and its store-wide series ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import zstandard

from watchkeeper.errors import StoreError
from watchkeeper.model.series import IntArray, Labels

Ids = npt.NDArray[np.int32]
#: Either form picks rows or columns of an array; slices cost nothing.
Pick = slice | IntArray

#: A stored column list larger than this is damage.
MAX_JSON_BYTES = 1 << 30
#: Questions remembered per column list.
LOCATED = 64
#: Questions after more series are not remembered: they are rare, and large.
LOCATED_SERIES = 1 << 16


class Columns:
    """Series in column order. ``key`` is a hash of their text: equal keys are equal columns, here and on disk."""

    __slots__ = ("__weakref__", "_blob", "_located", "_order", "_sorted", "key", "series", "sids")

    def __init__(self, series: Sequence[Labels], sids: Ids, *, key: bytes = b"", blob: bytes = b"") -> None:
        self.series, self.sids, self.key, self._blob = tuple(series), sids, key, blob
        if not key:
            text = _text(self.series)
            self.key, self._blob = _key(text), zstandard.ZstdCompressor(level=3).compress(text)
        self._sort()

    def __len__(self) -> int:
        return len(self.series)

    @property
    def blob(self) -> bytes:
        """The series as bytes, for log and block."""
        return self._blob

    def renumber(self, mapping: Ids) -> None:
        """Series ids changed: ``mapping[old] == new``. Order is kept."""
        self.sids = mapping[self.sids]
        self._sort()

    def _sort(self) -> None:
        ascending = bool(np.all(self.sids[1:] > self.sids[:-1]))
        self._order = None if ascending else np.argsort(self.sids, kind="stable")
        self._sorted = self.sids if self._order is None else self.sids[self._order]
        self._located: dict[int, tuple[Ids, tuple[Pick, Pick], Ids]] = {}

    def locate(self, wanted: Ids) -> tuple[Pick, Pick]:
        """(positions in ``wanted``, columns here) of the series present in both. ``wanted`` is ascending."""
        return self._recall(wanted)[1]

    def narrow(self, wanted: Ids) -> Ids:
        """Those of ``wanted`` that are columns here: the very same array for the very same question."""
        return self._recall(wanted)[2]

    def _recall(self, wanted: Ids) -> tuple[Ids, tuple[Pick, Pick], Ids]:
        """What was asked lately is known by the identity of the question, which is held. Under the store's lock."""
        found = self._located.get(id(wanted))
        if found is None:
            rows, columns = self._locate(wanted)
            mine = wanted if picked_size(rows) == len(wanted) else wanted[rows]
            found = (wanted, (rows, columns), mine)
            if len(self._located) >= LOCATED:
                self._located.clear()
            if len(wanted) <= LOCATED_SERIES:
                self._located[id(wanted)] = found
                self._located[id(mine)] = (mine, (slice(0, len(mine)), columns), mine)
        return found

    def _locate(self, wanted: Ids) -> tuple[Pick, Pick]:
        if not len(self.sids):
            return slice(0, 0), slice(0, 0)
        here = self._sorted
        low, high = int(wanted.searchsorted(here[0])), int(wanted.searchsorted(here[-1], "right"))
        some = wanted[low:high]  # of a question over many targets, those of about here
        first = int(here.searchsorted(some[0])) if len(some) else 0
        if bool((some == here[first : first + len(some)]).all()) if first + len(some) <= len(here) else False:
            found = slice(first, first + len(some)) if len(some) else slice(0, 0)
            return slice(low, high), found if self._order is None else as_slice(self._order[found])
        places = here.searchsorted(some)
        rows = np.flatnonzero(here[places] == some)
        places = places[rows]
        return as_slice(rows + low), as_slice(places if self._order is None else self._order[places])


def as_slice(picked: IntArray) -> Pick:
    """A slice where the positions are consecutive, else the positions."""
    if len(picked) and int(picked[-1]) - int(picked[0]) == len(picked) - 1 and bool(np.all(picked[1:] > picked[:-1])):
        return slice(int(picked[0]), int(picked[-1]) + 1)
    return picked if len(picked) else slice(0, 0)


def picked_size(pick: Pick) -> int:
    return pick.stop - pick.start if isinstance(pick, slice) else len(pick)


def _text(series: Sequence[Labels]) -> bytes:
    return json.dumps([[part for pair in labels for part in pair] for labels in series], separators=(",", ":")).encode()


def _key(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=8).digest()


def decode_series(blob: bytes) -> tuple[bytes, list[Labels]]:
    """(key, series) of a stored column list, equal words shared. Raises StoreError."""
    try:
        text = zstandard.ZstdDecompressor().decompress(blob, max_output_size=MAX_JSON_BYTES)
        lists = json.loads(text)
    except (zstandard.ZstdError, ValueError) as error:
        raise StoreError(f"a stored column list cannot be read: {error}") from error
    pairs: dict[tuple[str, str], tuple[str, str]] = {}
    found: list[Labels] = []
    for flat in lists:
        words = zip(flat[::2], flat[1::2], strict=True)
        found.append(tuple(pairs.setdefault(pair, pair) for pair in words))
    return _key(text), found
