"""Label sets that meet: one series told by two matrices, two rows that became one series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, Labels, Matrix, format_series
from watchkeeper.promql.block import Block

SAME_LABELSET = "vector cannot contain metrics with the same labelset"


def merge_matrices(matrices: list[Matrix]) -> list[Matrix]:
    """The same samples with every series in one matrix only."""
    if len(matrices) < 2:
        return matrices
    seen: set[Labels] = set()
    for matrix in matrices:
        seen.update(matrix.series)
    if len(seen) == sum(len(matrix.series) for matrix in matrices):
        return matrices
    times = np.unique(np.concatenate([matrix.times for matrix in matrices]))
    rows: dict[Labels, int] = {series: i for i, series in enumerate(sorted(seen))}
    values = np.full((len(rows), len(times)), np.nan)
    present = np.zeros(values.shape, bool)
    for matrix in matrices:
        row = np.fromiter((rows[series] for series in matrix.series), np.intp, len(matrix.series))
        cells = np.ix_(row, np.searchsorted(times, matrix.times))
        values[cells] = np.where(present[cells] & ~matrix.present, values[cells], matrix.values)
        present[cells] |= matrix.present
    return [Matrix(series=tuple(rows), times=times, values=values, present=present)]


def without_name(series: Labels) -> Labels:
    """The labels but for the metric name."""
    if series and series[0][0] == METRIC_NAME:
        return series[1:]
    return tuple(pair for pair in series if pair[0] != METRIC_NAME)


def drop_names(block: Block) -> Block:
    """The block with marked names really gone; rows that became the same series are joined."""
    if not len(block) or not block.drop.any():
        return block
    series = [
        without_name(labels) if drop else labels for labels, drop in zip(block.series, block.drop.tolist(), strict=True)
    ]
    return unite(Block(series, block.values, block.present, np.zeros(len(series), bool)), SAME_LABELSET)


def unite(block: Block, message: str) -> Block:
    """Rows with equal labels become one row; QueryError where two of them have a value at the same step."""
    first: dict[Labels, int] = {}
    target = np.fromiter((first.setdefault(series, len(first)) for series in block.series), np.intp, len(block))
    if len(first) == len(block):
        return block
    steps = block.values.shape[1]
    count = np.zeros((len(first), steps), dtype=np.int64)
    np.add.at(count, target, block.present)
    if (count > 1).any():
        raise QueryError(message, kind="execution")
    values = np.zeros((len(first), steps))
    row, column = np.nonzero(block.present)
    values[target[row], column] = block.values[row, column]
    drop = np.zeros(len(first), bool)
    drop[target] = block.drop
    return Block(list(first), values, count > 0, drop)


def describe(series: Sequence[Labels]) -> str:
    """Label sets as an error message shows them."""
    return "[" + ", ".join(format_series(one) or "{}" for one in series) + "]"
