"""The two shapes an evaluator works on: series x steps blocks, and series x samples windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from watchkeeper.model.series import BoolArray, FloatArray, IntArray, Labels, everywhere
from watchkeeper.promql.histograms.model import Histograms, is_native, nothing
from watchkeeper.promql.memo import Memo

#: Elements of one padded window chunk: 4 Mi float64 are 32 MiB, which stays near the cache and far from the limit.
CHUNK_ELEMENTS = 1 << 22


@dataclass(slots=True, eq=False)
class Block:
    """An instant vector at every step. ``drop`` marks series whose name goes away when the query is done."""

    series: Sequence[Labels]
    values: FloatArray  #: shape [series, steps]; meaningless where not present
    present: BoolArray  #: shape [series, steps]
    drop: BoolArray  #: shape [series]
    histograms: Histograms | None = None  #: shape [series, steps]; a cell that holds one has no value; mostly None

    def __len__(self) -> int:
        return len(self.series)

    def with_values(self, values: FloatArray, *, drop: bool = True) -> Block:
        """The same series with other values for its floats; the name is marked for dropping unless told otherwise."""
        present = self.present if self.histograms is None else self.present & self.is_float()
        return Block(self.series, values, present, np.ones(len(self.series), bool) if drop else self.drop)

    def rows(self, index: npt.NDArray[np.intp]) -> Block:
        """These rows, in this order."""
        series = [self.series[i] for i in index]
        histograms = None if self.histograms is None else self.histograms[index]
        return Block(series, self.values[index], self.present[index], self.drop[index], histograms)

    def where(self, keep: BoolArray) -> Block:
        """The same samples, but only these."""
        return Block(self.series, self.values, self.present & keep, self.drop, self.histograms)

    def named(self, series: Sequence[Labels], drop: BoolArray) -> Block:
        """The same samples under other labels."""
        return Block(series, self.values, self.present, drop, self.histograms)

    def is_float(self) -> BoolArray:
        """Cells that are no histogram; [series, steps]."""
        if self.histograms is None:
            return np.ones(self.present.shape, bool)
        floats: BoolArray = ~is_native(self.histograms)
        return floats

    def floats(self) -> Block:
        """Without its histograms."""
        if self.histograms is None:
            return self
        return Block(self.series, self.values, self.present & self.is_float(), self.drop)


def empty(steps: int) -> Block:
    """No series at all."""
    return Block((), np.empty((0, steps)), np.empty((0, steps), bool), np.empty(0, bool))


def concat(blocks: Sequence[Block], steps: int, memo: Memo | None = None) -> Block:
    """All rows of all blocks, in order. With a memo the same parts give the very same sequence of series."""
    kept = [block for block in blocks if len(block)]
    if not kept:
        return empty(steps)
    if len(kept) == 1:
        return kept[0]
    parts = [block.series for block in kept]
    chained = (
        tuple(chain.from_iterable(parts)) if memo is None else memo.get("chain", parts, lambda: tuple(chain(*parts)))
    )
    return Block(
        chained,
        np.concatenate([block.values for block in kept]),
        np.concatenate([block.present for block in kept]),
        np.concatenate([block.drop for block in kept]),
        _histograms(kept),
    )


def _histograms(blocks: Sequence[Block]) -> Histograms | None:
    """Those of all blocks; blocks without any have empty cells."""
    if all(block.histograms is None for block in blocks):
        return None
    cells = [nothing(one.present.shape) if one.histograms is None else one.histograms for one in blocks]
    return np.concatenate(cells)


def _idle() -> None:
    """Nothing to check."""


@dataclass(slots=True, eq=False)
class Edges:
    """Extended ranges reach beyond their windows: ``lo`` and ``hi`` are wide, and these say where the window lies."""

    mode: str  #: anchored or smoothed
    first: npt.NDArray[np.intp]  #: the last sample at or before the window's start, or the first there is
    last: npt.NDArray[np.intp]  #: the first sample at or after the window's end, or the last there is


@dataclass(slots=True, eq=False)
class Windows:
    """Raw samples and, for every step, which of them lie in its window: positions ``lo <= i < hi``.

    *Dense*: all series share the time column, so ``times`` is [samples] and ``lo``, ``hi`` are [steps].
    *Ragged*: every row has its own, so they are [series, samples] and [series, steps]. ``take`` hides the difference.
    """

    series: Sequence[Labels]
    values: FloatArray  #: shape [series, samples]
    times: IntArray  #: milliseconds; shape [samples] or [series, samples]
    lo: npt.NDArray[np.intp]
    hi: npt.NDArray[np.intp]
    starts: IntArray  #: shape [steps]: window starts (left-open), milliseconds
    ends: IntArray  #: shape [steps]
    drop: BoolArray  #: shape [series]
    born: IntArray | None = None  #: start times of the samples, shape [series, samples], 0 unknown; see births.py
    edges: Edges | None = None  #: set for anchored and smoothed ranges only
    histograms: Histograms | None = None  #: shape [series, samples]; a sample that is one has no value; mostly None
    tick: Callable[[], None] = _idle  #: called between chunks, so that a long computation can be stopped

    @property
    def count(self) -> npt.NDArray[np.intp]:
        """Samples in each window; shape [steps] or [series, steps]."""
        count: npt.NDArray[np.intp] = np.maximum(self.hi - self.lo, 0)
        return count

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.series), len(self.ends)

    def take(self, array: npt.NDArray[np.generic], index: npt.NDArray[np.intp]) -> npt.NDArray[np.generic]:
        """``array`` at one position per window; positions outside are clipped (their windows are empty)."""
        if len(index) == 1 and index.ndim == 1:  # a view is read faster than a selection
            place = min(max(int(index[0]), 0), array.shape[-1] - 1)
            return array[..., place : place + 1].copy()
        if index.ndim == 1:
            return array.take(index, axis=-1, mode="clip")
        return np.take_along_axis(array, np.clip(index, 0, array.shape[-1] - 1), axis=1)

    def of(self, rows: npt.NDArray[np.intp]) -> Windows:
        """The samples and windows of these rows only; extended ranges are not cut."""
        assert self.edges is None
        own = self.times.ndim > 1
        return replace(
            self,
            series=[self.series[row] for row in rows.tolist()],
            values=self.values[rows],
            times=self.times[rows] if own else self.times,
            lo=self.lo[rows] if own else self.lo,
            hi=self.hi[rows] if own else self.hi,
            drop=self.drop[rows],
            born=None if self.born is None else self.born[rows],
            histograms=None if self.histograms is None else self.histograms[rows],
        )

    def first(self) -> FloatArray:
        found: FloatArray = self.take(self.values, self.lo)  # type: ignore[assignment]  # dtype is kept
        return found

    def last(self) -> FloatArray:
        found: FloatArray = self.take(self.values, self.hi - 1)  # type: ignore[assignment]  # dtype is kept
        return found

    def time_at(self, index: npt.NDArray[np.intp]) -> FloatArray:
        """Sample times in milliseconds as float; shape [steps] or [series, steps]."""
        return self.take(self.times, index).astype(np.float64)

    def present(self, least: int = 1) -> BoolArray:
        """Windows with at least so many samples, as [series, steps]."""
        enough: BoolArray = self.count >= least
        return everywhere(*self.shape) if enough.all() else np.broadcast_to(enough, self.shape)

    def reduce(self, function: np.ufunc, array: FloatArray | None = None) -> FloatArray:
        """``function`` (add, fmin ...) over each window; meaningless for empty windows."""
        source = self.values if array is None else array
        padded = np.concatenate([source, np.zeros((len(source), 1))], axis=1)
        lo, hi = np.maximum(self.lo, 0), np.maximum(self.hi, 0)
        if lo.ndim == 1:
            pairs = np.stack([lo, np.maximum(hi, lo)], axis=-1).ravel()
            dense: FloatArray = function.reduceat(padded, pairs, axis=1)[:, ::2]
            return dense
        base = np.arange(len(source), dtype=np.intp)[:, None] * padded.shape[1]
        pairs = np.stack([base + lo, base + np.maximum(hi, lo)], axis=-1).ravel()
        flat: FloatArray = function.reduceat(padded.ravel(), pairs)[::2].reshape(lo.shape)
        return flat

    def padded(self) -> Iterator[tuple[slice, FloatArray, BoolArray, FloatArray]]:
        """(steps, values [series, k, width], inside mask, times) in chunks of steps; mask and times broadcast."""
        rows, steps = self.shape
        width = max(int(self.count.max(initial=0)), 1)
        size = max(1, CHUNK_ELEMENTS // max(1, rows * width))
        offsets = np.arange(width, dtype=np.intp)
        for start in range(0, steps, size):
            self.tick()
            part = slice(start, min(start + size, steps))
            index = self.lo[..., part, None] + offsets
            inside = index < self.hi[..., part, None]
            index = np.clip(index, 0, self.values.shape[1] - 1)
            if index.ndim == 2:
                yield part, self.values[:, index], inside[None], self.times[index][None].astype(np.float64)
            else:
                flat = index.reshape(rows, -1)
                values = np.take_along_axis(self.values, flat, axis=1).reshape(index.shape)
                times = np.take_along_axis(self.times, flat, axis=1).reshape(index.shape)
                yield part, values, inside, times.astype(np.float64)
