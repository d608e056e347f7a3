"""What the store has of given series from a time on: for telling a repeated sample from a late one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.store.samples.catalogue import Catalogue
from watchkeeper.store.samples.columns import Ids
from watchkeeper.store.samples.holes import HOLE_BITS, is_hole
from watchkeeper.store.samples.pieces import gather, locate

Found = tuple[Ids, IntArray, FloatArray]
#: Bits of a key that hold the time; the rest holds the series.
_TIME_BITS = 44


@dataclass(frozen=True, slots=True)
class At:
    """Per question: whether there is a sample at exactly that time, and its bits."""

    there: BoolArray
    values: npt.NDArray[np.uint64]


class Existing:
    """Samples of ``sids`` (ascending, distinct) at or after ``since_ms``, out of ``parts`` with more in them."""

    def __init__(self, sids: Ids, since_ms: int, parts: Sequence[Found]) -> None:
        self._sids, self._since_ms = sids, since_ms
        keys, values = [np.empty(0, np.int64)], [np.empty(0)]
        for mine, times, numbers in parts:
            kept = (times >= since_ms) & np.isin(mine, sids)
            keys.append(self._keys(mine[kept], times[kept]))
            values.append(numbers[kept])
        joined = np.concatenate(keys)
        order = np.argsort(joined, kind="stable")
        self._found, self._values = joined[order], np.concatenate(values)[order].view(np.uint64)

    def _keys(self, sids: Ids, times: IntArray) -> IntArray:
        return (np.searchsorted(self._sids, sids).astype(np.int64) << _TIME_BITS) + (times - self._since_ms)

    def at(self, sids: Ids, times: IntArray) -> At:
        if not len(self._found):
            return At(np.zeros(len(sids), dtype=np.bool_), np.zeros(len(sids), dtype=np.uint64))
        keys = self._keys(sids, times)
        places = np.minimum(np.searchsorted(self._found, keys), len(self._found) - 1)
        return At(self._found[places] == keys, self._values[places])

    def newest(self, sids: Ids) -> IntArray:
        """Newest time of each series; before every time when there is none."""
        ranks = np.searchsorted(self._sids, sids).astype(np.int64)
        places = np.searchsorted(self._found, (ranks + 1) << _TIME_BITS) - 1
        newest = np.full(len(sids), -(1 << 62), dtype=np.int64)
        if len(self._found):
            keys = self._found[np.maximum(places, 0)]
            mine = (places >= 0) & (keys >> _TIME_BITS == ranks)
            newest[mine] = (keys[mine] & ((1 << _TIME_BITS) - 1)) + self._since_ms
        return newest


def in_groups(catalogue: Catalogue, sids: Ids, since_ms: int) -> Iterator[Found]:
    """Samples of these series in pushed groups. Under the catalogue's lock."""
    catalogue.load(since_ms, 1 << 62)
    for target in catalogue.owners(sids):
        if not target.pushed or target.newest_ms < since_ms:
            continue
        mine = catalogue.present(target, sids, since_ms, 1 << 62)
        parts = [
            part for piece, edge in target.spans(since_ms, 1 << 62) if (part := locate(piece, mine, since_ms, edge))
        ]
        if not len(mine) or not parts:
            continue
        times, values = gather(parts, len(mine), HOLE_BITS)
        row, column = np.nonzero(~is_hole(values))
        yield mine[row], times[column], values[row, column]
