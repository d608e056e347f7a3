"""The door to PromQL: instant and range queries over any sample reader."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.promql import extended, nodes
from watchkeeper.promql.block import Block, Windows
from watchkeeper.promql.context import Context, QueryLimits, Shared
from watchkeeper.promql.cost import Cost, cost
from watchkeeper.promql.evaluate import Evaluation
from watchkeeper.promql.gate import Gate
from watchkeeper.promql.histograms.model import Histograms, nothing, only
from watchkeeper.promql.memo import Memo
from watchkeeper.promql.merge import drop_names
from watchkeeper.promql.parse import TOO_DEEP, parse
from watchkeeper.promql.result import RangeMatrix, Result, Scalar, StringValue, Vector

if TYPE_CHECKING:
    from watchkeeper.ports import SampleReader  # only the name: the ports bring the HTTP client with them

DEFAULT_LOOKBACK = timedelta(minutes=5)


@dataclass(slots=True, kw_only=True)
class Asked:
    """What one question asks beside its text, and what it cost: filled in once it has been answered."""

    lookback_ms: int | None = None  #: None: the engine's
    timeout_seconds: float | None = None  #: shorter than the engine's own; None: that one
    waited_seconds: float = 0.0  #: until it was its turn
    evaluated_seconds: float = 0.0
    samples: int = 0  #: as counted against ``QueryLimits.max_samples``


class Engine:
    """Answers PromQL with the meaning of Prometheus 3. Holds no state of a query: safe to share between threads."""

    def __init__(
        self,
        reader: SampleReader,
        *,
        lookback: timedelta = DEFAULT_LOOKBACK,
        limits: QueryLimits | None = None,
        clock_monotonic: Callable[[], float] = time.monotonic,
        gate: Gate | None = None,
        urgent: bool = False,
    ) -> None:
        """``gate`` bounds how many questions run at once; an ``urgent`` engine does not wait, it goes first."""
        self._reader = reader
        self._gate, self._urgent = gate, urgent
        self._lookback_ms = lookback // timedelta(milliseconds=1)
        self._limits = limits or QueryLimits()
        self._monotonic = clock_monotonic
        self._evaluation, self._memo = Evaluation(), Memo()

    def instant(self, expr: str, at_ms: int, asked: Asked | None = None) -> Result:
        """The query's answer at one moment. Raises QueryError."""
        try:
            return self.instant_of(parse(expr), at_ms, asked)
        except RecursionError:
            raise QueryError(TOO_DEEP) from None

    def instant_of(self, node: nodes.Node, at_ms: int, asked: Asked | None = None) -> Result:
        """As ``instant``, of a query already parsed."""
        context = self._context(np.array([at_ms], dtype=np.int64), 0, asked=asked)
        with self._turn(context, asked), np.errstate(all="ignore"):
            if isinstance(node, nodes.Range | nodes.Subquery):
                return _raw(context, self._evaluation.windows(context, node))
            value = self._evaluation.evaluate(context, node)
            if isinstance(value, Block):
                return _vector(context, drop_names(value, self._memo))
        warnings, infos = _remarks(context)
        if isinstance(value, str):
            return StringValue(value=value, time_ms=at_ms, warnings=warnings, infos=infos)
        return Scalar(value=float(value[0]), time_ms=at_ms, warnings=warnings, infos=infos)

    def range(self, expr: str, start_ms: int, end_ms: int, step_ms: int, asked: Asked | None = None) -> RangeMatrix:
        """The query's answer at every step from start to end. Raises QueryError."""
        try:
            return self.range_of(parse(expr), start_ms, end_ms, step_ms, asked)
        except RecursionError:
            raise QueryError(TOO_DEEP) from None

    def range_of(
        self, node: nodes.Node, start_ms: int, end_ms: int, step_ms: int, asked: Asked | None = None
    ) -> RangeMatrix:
        """As ``range``, of a query already parsed."""
        if step_ms <= 0:
            raise QueryError("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if end_ms < start_ms:
            raise QueryError("end timestamp must not be before start time")
        points = self._limits.max_points_per_series
        if (end_ms - start_ms) // step_ms > points:  # one more than said, as Prometheus counts
            raise QueryError(
                f"exceeded maximum resolution of {points:,} points per timeseries."
                " Try decreasing the query resolution (?step=XX)"
            )
        context = self._context(np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64), step_ms, end_ms, asked)
        if isinstance(node, nodes.Range | nodes.Subquery | nodes.Text):
            kind = "string" if isinstance(node, nodes.Text) else "range vector"
            raise QueryError(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
        with self._turn(context, asked), np.errstate(all="ignore"):
            value = self._evaluation.evaluate(context, node)
            assert not isinstance(value, str)  # only literals are strings
            if not isinstance(value, Block):
                value = Block(((),), value[None], np.ones((1, context.steps), bool), np.zeros(1, bool))
            return _matrix(context, drop_names(value, self._memo))

    def cost(self, expr: str, start_ms: int, end_ms: int, step_ms: int) -> Cost:
        """What a question would read and work out; step 0 for an instant one. Raises QueryError."""
        span = (start_ms, end_ms, step_ms)
        return cost(self._reader, expr, span, lookback_ms=self._lookback_ms, max_samples=self._limits.max_samples)

    def ahead(self) -> AbstractContextManager[None]:
        """For a run of urgent questions: the others rest meanwhile."""
        return nullcontext() if self._gate is None else self._gate.ahead()

    def _turn(self, context: Context, asked: Asked | None) -> AbstractContextManager[None]:
        if asked is not None:
            return self._timed(context, asked)
        if self._gate is None or self._urgent:
            return nullcontext()
        return self._gate.enter(context.shared.deadline)

    @contextmanager
    def _timed(self, context: Context, asked: Asked) -> Iterator[None]:
        came = self._monotonic()
        with self._turn(context, None):
            began = self._monotonic()
            try:
                yield
            finally:
                asked.waited_seconds, asked.evaluated_seconds = began - came, self._monotonic() - began
                asked.samples = context.shared.samples

    def _context(self, times: IntArray, step_ms: int, end_ms: int | None = None, asked: Asked | None = None) -> Context:
        limits, lookback_ms = self._limits, self._lookback_ms
        if asked is not None:
            seconds = limits.timeout_seconds if asked.timeout_seconds is None else asked.timeout_seconds
            limits = replace(limits, timeout_seconds=min(seconds, limits.timeout_seconds))
            lookback_ms = asked.lookback_ms or lookback_ms
        return Context(
            reader=self._reader,
            times=times,
            step_ms=step_ms,
            start_ms=int(times[0]),
            end_ms=int(times[-1]) if end_ms is None else end_ms,
            query_step_ms=step_ms,
            lookback_ms=lookback_ms,
            shared=Shared(
                limits,
                self._monotonic() + limits.timeout_seconds,
                self._monotonic,
                self._memo,
                rest=None if self._gate is None or self._urgent else self._gate.rest,
            ),
        )


def _remarks(context: Context) -> tuple[list[str], list[str]]:
    return list(context.shared.warnings), list(context.shared.infos)


def _vector(context: Context, block: Block) -> Vector:
    rows = np.flatnonzero(block.present[:, 0])
    warnings, infos = _remarks(context)
    return Vector(
        series=tuple(block.series) if len(rows) == len(block) else tuple([block.series[i] for i in rows.tolist()]),
        values=block.values[rows, 0],
        time_ms=int(context.times[0]),
        warnings=warnings,
        infos=infos,
        histograms=None if block.histograms is None else block.histograms[rows, 0],
    )


def _matrix(context: Context, block: Block) -> RangeMatrix:
    rows = sorted(np.flatnonzero(block.present.any(axis=1)).tolist(), key=lambda i: block.series[i])
    present = block.present[rows]
    warnings, infos = _remarks(context)
    return RangeMatrix(
        series=tuple(block.series[i] for i in rows),
        times=context.times,
        values=np.where(present, block.values[rows], np.nan),
        present=present,
        warnings=warnings,
        infos=infos,
        histograms=None if block.histograms is None else only(block.histograms[rows], present),
    )


def _raw(context: Context, found: list[Windows]) -> RangeMatrix:
    """The samples of a range selector themselves, on the union of their time columns."""
    rows: list[tuple[Labels, IntArray, FloatArray, Histograms | None]] = []
    for windows in found:
        for i, series in enumerate(windows.series):
            lo, hi = (int(np.broadcast_to(edge, windows.shape)[i, 0]) for edge in (windows.lo, windows.hi))
            times = windows.times if windows.times.ndim == 1 else windows.times[i]
            if windows.edges is not None:
                if extended.known(windows)[i, 0]:
                    rows.append((series, *extended.raw(windows, i), None))
            elif hi > lo:
                native = None if windows.histograms is None else windows.histograms[i, lo:hi]
                rows.append((series, times[lo:hi], windows.values[i, lo:hi], native))
    rows.sort(key=lambda row: row[0])
    union = np.unique(np.concatenate([row[1] for row in rows])) if rows else np.empty(0, np.int64)
    values = np.full((len(rows), len(union)), np.nan)
    present = np.zeros(values.shape, bool)
    histograms = None if all(row[3] is None for row in rows) else nothing(values.shape)
    for i, (_, times, samples, native) in enumerate(rows):
        place = np.searchsorted(union, times)
        values[i, place], present[i, place] = samples, True
        if histograms is not None and native is not None:
            histograms[i, place] = native
    warnings, infos = _remarks(context)
    return RangeMatrix(
        series=tuple(row[0] for row in rows), times=union, values=values, present=present,
        warnings=warnings, infos=infos, histograms=histograms,
    )  # fmt: skip
