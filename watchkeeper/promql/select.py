"""Selectors: from the store's matrices to blocks (last sample per step) and windows (all samples per step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, Matrix
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.promql import extended, nodes, recent
from watchkeeper.promql.births import births_of, histograms_of
from watchkeeper.promql.block import Block, Edges, Windows, concat
from watchkeeper.promql.context import Context
from watchkeeper.promql.durations import milliseconds
from watchkeeper.promql.histograms import extended as native_extended
from watchkeeper.promql.histograms.hints import with_detected
from watchkeeper.promql.histograms.model import Histograms, is_native, nothing, only
from watchkeeper.promql.merge import merge_matrices


def read(context: Context, node: nodes.Selector, start_ms: int, end_ms: int) -> list[Matrix]:
    """The store's answer, counted against the sample limit; no series is in two matrices."""
    context.check()
    found = [matrix for matrix in context.reader.select(node.matchers, start_ms, end_ms) if len(matrix.series)]
    context.spend(sum(matrix.values.size for matrix in found))
    matrices = merge_matrices(found, context.shared.memo)
    return [with_detected(matrix) for matrix in matrices] if node.counts_only else matrices


def instant(context: Context, node: nodes.Selector) -> Block:
    """The newest sample of each series within the lookback, at every step."""
    if node.mode:
        return smooth(context, node)
    block, _ = lookup(context, node)
    return block


def smooth(context: Context, node: nodes.Selector) -> Block:
    """Every series as a line through its samples within the lookback on both sides of the step."""
    if node.mode != "smoothed":
        raise QueryError("anchored modifier is not supported for instant selectors", kind="execution")
    moments, look = context.moments(milliseconds(node.offset, context), node.at), context.lookback_ms
    blocks = []
    for matrix in read(context, node, int(moments.min()) - look + 1, int(moments.max()) + look):
        drop = np.zeros(len(matrix.series), bool)
        for part in windows(matrix, moments, moments, drop, Reach(node.mode, look, look)):
            context.afford(len(part.series) * context.steps)
            if part.histograms is not None:
                blocks.append(native_extended.on_line(context, part, node.position))
                continue
            values, present = extended.on_line(part)
            blocks.append(Block(part.series, values, present, part.drop))
    return concat(blocks, context.steps)


def timestamps(context: Context, node: nodes.Selector) -> Block:
    """As ``instant``, but the values are the samples' own times in seconds."""
    block, times = lookup(context, node)
    return Block(block.series, times / 1000.0, block.present, np.ones(len(block), bool))


def start_timestamps(context: Context, node: nodes.Selector) -> Block:
    """As ``timestamps``, but when each sample's counter began, in seconds; 0 when that is unknown."""
    blocks = []
    for part in ranges(context, nodes.Range(selector=node, range=nodes.Duration(ms=context.lookback_ms))):
        values = np.zeros(part.shape)
        if part.born is not None:
            values = part.take(part.born, part.hi - 1).astype(np.float64) / 1000
        blocks.append(Block(part.series, values, part.present(), np.ones(len(part.series), bool)))
    told, present = concat(blocks, context.steps), instant(context, node)
    if not len(present):
        return present
    alive = dict(zip(present.series, present.present, strict=True))
    gone = np.zeros(context.steps, bool)
    told.present = told.present & np.array([alive.get(series, gone) for series in told.series])
    return told


def lookup(context: Context, node: nodes.Selector) -> tuple[Block, FloatArray]:
    """The newest sample of each series at every step, and when it was taken (milliseconds)."""
    moments = context.moments(milliseconds(node.offset, context), node.at)
    start = int(moments.min()) - context.lookback_ms + 1
    rows = recent.read(context, node.matchers, start, int(moments.max()), newest=True)
    if rows is not None:
        return recent.lookup(rows, int(moments[0]), context.lookback_ms)
    blocks, times = [], []
    for matrix in read(context, node, start, int(moments.max())):
        column = np.searchsorted(matrix.times, moments, side="right") - 1
        known = column >= 0
        column = np.maximum(column, 0)
        at = matrix.times[column]
        known &= at > moments - context.lookback_ms
        shape = (len(matrix.series), context.steps)
        context.afford(len(matrix.series) * context.steps)
        # a series without a sample at its target's newest tick has ended there: no look behind it
        present = matrix.present[:, column] & known
        native = histograms_of(matrix)
        blocks.append(
            Block(
                matrix.series,
                matrix.values[:, column],
                present,
                np.zeros(len(matrix.series), bool),
                None if native is None else only(native[:, column], present),
            )
        )
        times.append(np.broadcast_to(at.astype(np.float64), shape))
    block = concat(blocks, context.steps, context.shared.memo)
    return block, np.concatenate(times) if times else np.empty((0, context.steps))


def ranges(context: Context, node: nodes.Range) -> list[Windows]:
    """The samples in (step - range, step] of every series, for every step."""
    selector = node.selector
    ends = context.moments(milliseconds(selector.offset, context), selector.at)
    starts = ends - milliseconds(node.range, context, positive=True)
    before = context.lookback_ms if selector.mode else 0
    after = context.lookback_ms if selector.mode == "smoothed" else 0
    if not selector.mode:
        rows = recent.read(context, selector.matchers, int(starts.min()) + 1, int(ends.max()), newest=False)
        if rows is not None:
            return [recent.windows(rows, starts, ends)]
    found: list[Windows] = []
    first = int(starts.min()) - before + (not selector.counts_only)  # resets are seen from the window's edge on
    for matrix in read(context, selector, first, int(ends.max()) + after):
        drop = np.zeros(len(matrix.series), bool)
        found += windows(matrix, starts, ends, drop, Reach(selector.mode, before, after))
    return found


@dataclass(frozen=True, slots=True)
class Reach:
    """How far an extended range looks beyond its window, in milliseconds."""

    mode: str = ""
    before: int = 0
    after: int = 0


def windows(
    matrix: Matrix, starts: IntArray, ends: IntArray, drop: BoolArray, reach: Reach | None = None
) -> list[Windows]:
    """Windows over one matrix: rows without a gap share positions, the others get their own."""
    grid = _Grid(matrix.times, starts, ends, reach or Reach())
    native = histograms_of(matrix)
    if native is not None:
        return _with_histograms(matrix, native, grid, drop)
    whole = matrix.whole
    full: BoolArray = np.ones(len(matrix.series), bool) if whole else np.asarray(matrix.present.all(axis=1))
    if whole or full.all():
        return [grid.over(matrix.series, matrix.values, matrix.times, drop, births_of(matrix))]
    found = []
    if full.any():
        born = births_of(matrix)
        kept = None if born is None else born[full]
        found.append(grid.over(_names(matrix.series, full), matrix.values[full], matrix.times, drop[full], kept))
    some: BoolArray = np.asarray(matrix.present.any(axis=1) & ~full)
    if some.any():
        found.append(_ragged(matrix, some, grid, drop))
    return found


def _with_histograms(matrix: Matrix, native: Histograms, grid: _Grid, drop: BoolArray) -> list[Windows]:
    """Rows that hold histograms apart from those that do not."""
    there = is_native(native) & matrix.present
    holds: BoolArray = np.asarray(there.any(axis=1))
    others: BoolArray = np.asarray(matrix.present.any(axis=1) & ~holds)
    parts = ((others, None), (holds, native))
    return [_ragged(matrix, rows, grid, drop, some_native) for rows, some_native in parts if rows.any()]


class _Grid:
    """The windows as positions in a time column, which ``over`` turns into those of rows."""

    def __init__(self, times: IntArray, starts: IntArray, ends: IntArray, reach: Reach) -> None:
        self._starts, self._ends, self._mode = starts, ends, reach.mode
        self._lo = np.searchsorted(times, starts - reach.before, side="right")
        self._hi = np.searchsorted(times, ends + reach.after, side="right")
        self._first = np.searchsorted(times, starts, side="right")
        self._last = np.searchsorted(times, ends, side="left")

    def over(
        self,
        series: Sequence[Labels],
        values: FloatArray,
        times: IntArray,
        drop: BoolArray,
        born: IntArray | None,
        count: npt.NDArray[np.intp] | None = None,
    ) -> Windows:
        """Windows over these rows; ``count`` gives for each row how many samples precede each column."""
        lo, hi, first, last = (
            column if count is None else count[:, column] for column in (self._lo, self._hi, self._first, self._last)
        )
        edges = None
        if self._mode:
            newest = hi - 1
            last = np.minimum(last, newest) if self._mode == "smoothed" else newest
            edges = Edges(self._mode, np.maximum(first - 1, lo), last)
        return Windows(series, values, times, lo, hi, self._starts, self._ends, drop, born, edges)


def _names(series: Sequence[Labels], keep: BoolArray) -> list[Labels]:
    return [series[i] for i in np.flatnonzero(keep).tolist()]


def _ragged(matrix: Matrix, some: BoolArray, grid: _Grid, drop: BoolArray, native: Histograms | None = None) -> Windows:
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
    born = births_of(matrix)
    moved = None
    if born is not None:
        moved = np.zeros_like(times)
        moved[row, place] = born[some][row, column]
    answer = grid.over(_names(matrix.series, some), values, times, drop[some], moved, count)
    if native is not None:
        answer.histograms = nothing(values.shape)
        answer.histograms[row, place] = native[some][row, column]
    return answer
