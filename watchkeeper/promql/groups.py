"""Rows sorted into groups, and reductions over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from watchkeeper.model import METRIC_NAME, Labels
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Block
from watchkeeper.promql.memo import Memo
from watchkeeper.promql.nodes import Aggregate
from watchkeeper.promql.numeric import one_sign

Index = npt.NDArray[np.intp]

#: Up to so many sums over so many cells, adding in a loop is faster than in arrays.
FEW_SUMS = 1024
FEW_CELLS = 1 << 15


@dataclass(slots=True, frozen=True)
class Groups:
    """``order`` sorts the block's rows by group; group g owns ``order[starts[g] : starts[g] + sizes[g]]``."""

    labels: tuple[Labels, ...]
    drop: BoolArray
    order: Index
    starts: Index
    sizes: Index

    def __len__(self) -> int:
        return len(self.labels)

    def reduce(self, function: np.ufunc, rows: FloatArray) -> FloatArray:
        """``function`` over the rows of each group; [groups, steps]."""
        answer: FloatArray = function.reduceat(rows[self.order], self.starts, axis=0)
        return answer

    def count(self, present: BoolArray) -> FloatArray:
        if present.all():
            return np.repeat(self.sizes.astype(np.float64)[:, None], present.shape[1], axis=1)
        return self.reduce(np.add, present.astype(np.float64))

    def total(self, rows: FloatArray) -> FloatArray:
        """Sums of the rows of each group; where signs differ, what rounding lost is added back.

        Neighbours are added in pairs, in log2(size) rounds.
        """
        if not rows.size or one_sign(rows):
            return self.reduce(np.add, rows)
        if len(self) * rows.shape[1] <= FEW_SUMS and rows.size <= FEW_CELLS and np.isfinite(rows).all():
            return self._exact(rows[self.order])
        totals, lost = rows[self.order], np.zeros(rows.shape)
        group = np.repeat(np.arange(len(self), dtype=np.intp), self.sizes)
        while len(group) > len(self):
            rank = np.arange(len(group)) - np.searchsorted(group, group)
            left = np.flatnonzero((rank % 2 == 0) & np.append(group[1:] == group[:-1], [False]))
            a, b = totals[left], totals[left + 1]
            both = a + b
            large = np.abs(a) >= np.abs(b)
            missed = np.where(large, (a - both) + b, (b - both) + a)
            totals[left] = both
            lost[left] = np.where(np.isfinite(both), lost[left] + lost[left + 1] + missed, 0.0)
            stay = rank % 2 == 0
            totals, lost, group = totals[stay], lost[stay], group[stay]
        answer: FloatArray = np.where(np.isfinite(totals), totals + lost, totals)
        return answer

    def _exact(self, rows: FloatArray) -> FloatArray:
        """Few sums: added one by one, exactly."""
        columns = rows.T.tolist()
        spans = list(zip(self.starts.tolist(), (self.starts + self.sizes).tolist(), strict=True))
        return np.array([[_exact_sum(column[lo:hi]) for column in columns] for lo, hi in spans])

    def stacks(self, block: Block) -> Iterator[tuple[Index, Index, FloatArray, BoolArray]]:
        """(groups, rows, values, present) of all groups of one size, as [groups, size, steps]."""
        for size in np.unique(self.sizes):
            chosen = np.flatnonzero(self.sizes == size)
            rows = self.order[self.starts[chosen][:, None] + np.arange(size)]
            yield chosen, rows, block.values[rows], block.present[rows]


def _exact_sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:  # beyond the largest float on the way, if not at the end
        return sum(values)


def group(block: Block, node: Aggregate, memo: Memo) -> Groups:
    """Rows with the same ``by`` labels, or the same labels but for those of ``without``."""
    kind = ("group", node.without, node.labels)
    found = memo.get(kind, [block.series], lambda: _sorted(block.series, node))
    if METRIC_NAME in node.labels and not node.without:
        return replace(found, drop=np.logical_or.reduceat(block.drop[found.order], found.starts))
    return found


def _sorted(series: Sequence[Labels], node: Aggregate) -> Groups:
    index: dict[Labels, int] = {}
    if not node.labels and not node.without:
        ids = np.zeros(len(series), dtype=np.intp)
        index[()] = 0
    else:
        keys = _keys(series, frozenset(node.labels), without=node.without)
        ids = np.fromiter((index.setdefault(key, len(index)) for key in keys), np.intp, len(series))
    order = np.argsort(ids, kind="stable")
    sizes = np.bincount(ids, minlength=len(index)).astype(np.intp)
    starts = (np.cumsum(sizes) - sizes).astype(np.intp)
    return Groups(tuple(index), np.zeros(len(index), bool), order, starts, sizes)


def _keys(series: Sequence[Labels], names: frozenset[str], *, without: bool) -> Iterator[Labels]:
    if without:
        hidden = names | {METRIC_NAME}
        return (tuple([pair for pair in one if pair[0] not in hidden]) for one in series)
    return (tuple([pair for pair in one if pair[0] in names]) for one in series)
