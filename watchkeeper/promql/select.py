"""Selectors: from the store's matrices to blocks (last sample per step) and windows (all samples per step)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.model import Labels, Matcher, Matrix
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.promql import nodes
from watchkeeper.promql.block import Block, Windows, concat
from watchkeeper.promql.context import Context
from watchkeeper.promql.durations import milliseconds
from watchkeeper.promql.merge import merge_matrices


def read(context: Context, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
    """The store's answer, counted against the sample limit; no series is in two matrices."""
    context.check()
    found = [matrix for matrix in context.reader.select(matchers, start_ms, end_ms) if len(matrix.series)]
    context.spend(sum(matrix.values.size for matrix in found))
    return merge_matrices(found, context.shared.memo)


def instant(context: Context, node: nodes.Selector) -> Block:
    """The newest sample of each series within the lookback, at every step."""
    block, _ = lookup(context, node)
    return block


def timestamps(context: Context, node: nodes.Selector) -> Block:
    """As ``instant``, but the values are the samples' own times in seconds."""
    block, times = lookup(context, node)
    return block.with_values(times / 1000.0)


def lookup(context: Context, node: nodes.Selector) -> tuple[Block, FloatArray]:
    """The newest sample of each series at every step, and when it was taken (milliseconds)."""
    moments = context.moments(milliseconds(node.offset, context), node.at)
    start = int(moments.min()) - context.lookback_ms + 1
    blocks, times = [], []
    for matrix in read(context, node.matchers, start, int(moments.max())):
        column = np.searchsorted(matrix.times, moments, side="right") - 1
        known = column >= 0
        column = np.maximum(column, 0)
        at = matrix.times[column]
        known &= at > moments - context.lookback_ms
        shape = (len(matrix.series), context.steps)
        # a series without a sample at its target's newest tick has ended there: no look behind it
        present = matrix.present[:, column] & known
        blocks.append(Block(matrix.series, matrix.values[:, column], present, np.zeros(len(matrix.series), bool)))
        times.append(np.broadcast_to(at.astype(np.float64), shape))
    block = concat(blocks, context.steps, context.shared.memo)
    return block, np.concatenate(times) if times else np.empty((0, context.steps))


def ranges(context: Context, node: nodes.Range) -> list[Windows]:
    """The samples in (step - range, step] of every series, for every step."""
    selector = node.selector
    ends = context.moments(milliseconds(selector.offset, context), selector.at)
    starts = ends - milliseconds(node.range, context, positive=True)
    found: list[Windows] = []
    for matrix in read(context, selector.matchers, int(starts.min()) + 1, int(ends.max())):
        found += windows(matrix, starts, ends, np.zeros(len(matrix.series), bool))
    return found


def windows(matrix: Matrix, starts: IntArray, ends: IntArray, drop: BoolArray) -> list[Windows]:
    """Windows over one matrix: rows without a gap share positions, the others get their own."""
    lo = np.searchsorted(matrix.times, starts, side="right")
    hi = np.searchsorted(matrix.times, ends, side="right")
    full: BoolArray = np.asarray(matrix.present.all(axis=1))
    if full.all():
        return [Windows(matrix.series, matrix.values, matrix.times, lo, hi, starts, ends, drop)]
    found = []
    if full.any():
        kept = _names(matrix.series, full)
        found.append(Windows(kept, matrix.values[full], matrix.times, lo, hi, starts, ends, drop[full]))
    some: BoolArray = np.asarray(matrix.present.any(axis=1) & ~full)
    if some.any():
        found.append(_ragged(matrix, some, lo, hi, starts, ends, drop))
    return found


def _names(series: Sequence[Labels], keep: BoolArray) -> list[Labels]:
    return [series[i] for i in np.flatnonzero(keep).tolist()]


def _ragged(
    matrix: Matrix,
    some: BoolArray,
    lo: npt.NDArray[np.intp],
    hi: npt.NDArray[np.intp],
    starts: IntArray,
    ends: IntArray,
    drop: BoolArray,
) -> Windows:
    """Rows with gaps, moved together to the left so that a window is again a run of positions."""
    present = matrix.present[some]
    count = np.zeros((len(present), present.shape[1] + 1), dtype=np.intp)
    np.cumsum(present, axis=1, out=count[:, 1:])
    width = int(count[:, -1].max())
    row, column = np.nonzero(present)
    place = count[row, column]
    values = np.zeros((len(present), width))
    times = np.zeros((len(present), width), dtype=np.int64)
    values[row, place] = matrix.values[some][row, column]
    times[row, place] = matrix.times[column]
    return Windows(_names(matrix.series, some), values, times, count[:, lo], count[:, hi], starts, ends, drop[some])
