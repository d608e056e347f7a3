"""Instant questions over many targets: some readers hand out the newest samples of all of them in one piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from watchkeeper.model import Labels, Matcher
from watchkeeper.model.series import BoolArray, FloatArray, IntArray, is_stale
from watchkeeper.promql.block import Block, Windows
from watchkeeper.promql.context import Context


class Rows(Protocol):
    """Samples of many series, each row on the time column of its target. See store/samples/recent.py."""

    @property
    def series(self) -> tuple[Labels, ...]: ...

    @property
    def times(self) -> IntArray:
        """[targets, ticks], ascending; far in the future behind the last."""
        ...

    @property
    def target(self) -> IntArray:
        """[series]: which row of ``times``."""
        ...

    @property
    def values(self) -> FloatArray:
        """[series, ticks]; absent samples carry the staleness bits."""
        ...


Ask = Callable[..., Rows | None]


def read(context: Context, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, newest: bool) -> Rows | None:
    """The reader's answer, counted against the limit; None when it has none of this kind."""
    ask: Ask | None = getattr(context.reader, "recent", None)
    if ask is None or context.steps != 1:
        return None
    context.check()
    found = ask(matchers, start_ms, end_ms, newest=newest)
    if found is not None:
        context.spend(found.values.size)
    return found


def lookup(rows: Rows, moment: int, lookback_ms: int) -> tuple[Block, FloatArray]:
    """The newest sample of each series within the lookback, and when it was taken."""
    size = len(rows.series)
    last = (rows.times <= moment).sum(axis=1) - 1
    if not rows.times.shape[1]:
        return Block(rows.series, np.zeros((size, 1)), np.zeros((size, 1), bool), np.zeros(size, bool)), np.zeros(
            (size, 1)
        )
    column = np.maximum(last, 0)
    at = rows.times[np.arange(len(column)), column]
    known = (last >= 0) & (at > moment - lookback_ms)
    values = rows.values[np.arange(size), column[rows.target]][:, None]
    present: BoolArray = known[rows.target][:, None] & ~is_stale(values)
    return Block(rows.series, values, present, np.zeros(size, bool)), at[rows.target][:, None].astype(np.float64)


def windows(rows: Rows, starts: IntArray, ends: IntArray) -> Windows:
    """The samples in (start, end] of every series; what is absent is left out of its row."""
    lo, hi = (rows.times <= starts).sum(axis=1)[rows.target], (rows.times <= ends).sum(axis=1)[rows.target]
    times, values = rows.times[rows.target], rows.values
    ticks = np.arange(values.shape[1])
    present: BoolArray = (ticks >= lo[:, None]) & (ticks < hi[:, None]) & ~is_stale(values)
    count = present.sum(axis=1)
    if (count == hi - lo).all():  # no gaps: every window is a run where it stands
        values, times, hi_of = np.where(present, values, 0.0), np.where(present, times, 0), hi
    else:
        row, column = np.nonzero(present)
        place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        packed, moments = np.zeros(values.shape), np.zeros(values.shape, dtype=np.int64)
        packed[row, place], moments[row, place] = values[row, column], times[row, column]
        values, times, lo, hi_of = packed, moments, np.zeros_like(lo), count
    series, drop = rows.series, np.zeros(len(rows.series), bool)
    if not values.shape[1]:
        values, times = np.zeros((len(series), 1)), np.zeros((len(series), 1), dtype=np.int64)
    return Windows(series, values, times, lo[:, None], hi_of[:, None], starts, ends, drop)
