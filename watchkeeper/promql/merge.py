"""Label sets that meet: one series told by two matrices, two rows that became one series."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, Labels, Matrix
from watchkeeper.promql.block import Block
from watchkeeper.promql.histograms.model import nothing
from watchkeeper.promql.memo import Memo

SAME_LABELSET = "vector cannot contain metrics with the same labelset"


def merge_matrices(matrices: list[Matrix], memo: Memo) -> list[Matrix]:
    """The same samples with every series in one matrix only; a series told twice gets a time column of its own."""
    if len(matrices) < 2 or memo.get("distinct", [one.series for one in matrices], lambda: _distinct(matrices)):
        return matrices
    owners: dict[Labels, list[int]] = {}
    for i, matrix in enumerate(matrices):
        for series in matrix.series:
            owners.setdefault(series, []).append(i)
    twice = {series: places for series, places in owners.items() if len(places) > 1}
    kept = [_without(matrix, twice.keys()) for matrix in matrices]
    return [matrix for matrix in kept if len(matrix.series)] + [
        _joined(series, [matrices[place] for place in places]) for series, places in twice.items()
    ]


def _distinct(matrices: Sequence[Matrix]) -> bool:
    seen: set[Labels] = set()
    for matrix in matrices:
        seen.update(matrix.series)
    return len(seen) == sum(len(matrix.series) for matrix in matrices)


def _without(matrix: Matrix, series: Collection[Labels]) -> Matrix:
    keep = [i for i, one in enumerate(matrix.series) if one not in series]
    names = tuple(matrix.series[i] for i in keep)
    return Matrix(series=names, times=matrix.times, values=matrix.values[keep], present=matrix.present[keep])


def _joined(series: Labels, matrices: Sequence[Matrix]) -> Matrix:
    """One series over the union of its time columns; a sample wins over an end at the same time."""
    times = np.unique(np.concatenate([matrix.times for matrix in matrices]))
    values, present = np.full((1, len(times)), np.nan), np.zeros((1, len(times)), bool)
    for matrix in matrices:
        row, place = matrix.series.index(series), np.searchsorted(times, matrix.times)
        there = matrix.present[row]
        values[0, place[there]] = matrix.values[row, there]
        present[0, place[there]] = True
    return Matrix(series=(series,), times=times, values=values, present=present)


#: What describes the metric rather than the thing measured: gone once a value is computed (schema/labels.go).
METADATA = frozenset({METRIC_NAME, "__type__", "__unit__"})


def without_name(series: Labels) -> Labels:
    """The labels but for the metric's name, type and unit."""
    if series and series[0][0] == METRIC_NAME and (len(series) == 1 or series[1][0] not in METADATA):
        return series[1:]
    return tuple(pair for pair in series if pair[0] not in METADATA)


def drop_names(block: Block, memo: Memo) -> Block:
    """The block with marked names really gone; rows that became the same series are joined."""
    if not len(block) or not block.drop.any():
        return block
    kept = np.zeros(len(block), bool)
    if block.drop.all():
        series, distinct = memo.get("nameless", [block.series], lambda: _nameless(block.series))
        answer = block.named(series, kept)
        return answer if distinct else unite(answer, SAME_LABELSET)
    mixed = [
        without_name(labels) if drop else labels for labels, drop in zip(block.series, block.drop.tolist(), strict=True)
    ]
    return unite(block.named(mixed, kept), SAME_LABELSET)


def _nameless(series: Sequence[Labels]) -> tuple[tuple[Labels, ...], bool]:
    """The series without their names, and whether they are still all different."""
    first = {one[0] for one in series if one}
    second = {one[1][0] for one in series if len(one) > 1}
    if len(first) == 1 and first.pop()[0] == METRIC_NAME and all(series) and METADATA.isdisjoint(second):
        return tuple([one[1:] for one in series]), True  # different before, and each loses the same one pair
    bare = tuple([without_name(one) for one in series])
    return bare, len(set(bare)) == len(bare)


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
    histograms = None
    if block.histograms is not None:
        histograms = nothing(values.shape)
        histograms[target[row], column] = block.histograms[row, column]
    return Block(list(first), values, count > 0, drop, histograms)


def describe(series: Labels) -> str:
    """A label set as Prometheus's errors show it, the name among the labels: ``{__name__="up", job="a"}``."""
    return "{" + ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in series) + "}"
