"""A sample reader that keeps everything in memory: for rule tests, conformance scripts and small replays."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from watchkeeper.model import METRIC_NAME, STALE_NAN, Labels, Matcher, Matrix, is_stale, label, metric_name
from watchkeeper.promql.births import HistogramMatrix, StartedMatrix
from watchkeeper.promql.histograms.hints import stored
from watchkeeper.promql.histograms.model import Histogram, nothing
from watchkeeper.promql.matching import matches
from watchkeeper.promql.notation import Value, parse_load, parse_series


class MemoryReader:
    """Series as sorted lists of samples; one matrix per distinct time column."""

    def __init__(self) -> None:
        self._samples: dict[Labels, dict[int, float | Histogram]] = {}
        self._starts: dict[Labels, dict[int, int]] = {}
        self._named: dict[str, list[Labels]] = {}  #: in order; empty after a new series
        self._times: dict[Labels, list[int]] = {}  #: in order; none of a series that has got more

    def add(self, series: str | Labels, samples: Iterable[tuple[int, float | Histogram]]) -> MemoryReader:
        """Add (milliseconds, value) pairs to ``up{job="a"}``; STALE_NAN ends the series. Returns itself.

        Values may be native histograms; each then tells of counter resets what a store would.
        """
        key = parse_series(series) if isinstance(series, str) else series
        if key not in self._samples:
            self._named.clear()
        self._times.pop(key, None)
        held = self._samples.setdefault(key, {})
        before = held[max(held)] if held else None
        for time, value in samples:
            if isinstance(value, Histogram):
                value = stored(value, before if isinstance(before, Histogram) else None)
            held[time] = before = value
        return self

    def add_positions(
        self,
        series: Labels,
        step_ms: int,
        values: Sequence[Value],
        starts: Sequence[int | None] = (),
    ) -> MemoryReader:
        """Add values ``step_ms`` apart from time 0; None is a gap. ``starts`` are relative to them. Returns itself."""
        for i, start in enumerate(starts):
            if start is not None:
                self._starts.setdefault(series, {})[i * step_ms] = i * step_ms + start
        self.add(series, ((i * step_ms, value) for i, value in enumerate(values) if value is not None))
        return self

    def load(self, interval: str, text: str) -> MemoryReader:
        """Add series in Prometheus's test notation, one a line: ``up{job="a"} 1+1x10 _x3 stale``. Returns itself."""
        for series, samples in parse_load(interval, text):
            self.add(series, samples)
        return self

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        columns: dict[tuple[int, ...], list[tuple[Labels, list[float | Histogram]]]] = {}
        for series in self._matching(matchers):
            samples, moments = self._samples[series], self._moments(series)
            times = tuple(moments[bisect_left(moments, start_ms) : bisect_right(moments, end_ms)])
            if times:
                columns.setdefault(times, []).append((series, [samples[time] for time in times]))
        return [self._with_starts(_matrix(times, rows)) for times, rows in columns.items()]

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        return sorted(series for matrix in self.select(matchers, start_ms, end_ms) for series in matrix.series)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        return sorted({key for series in self.series(matchers, start_ms, end_ms) for key, _ in series})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        found = {label(series, name) for series in self.series(matchers, start_ms, end_ms)}
        return sorted(found - {""})

    def _with_starts(self, matrix: Matrix) -> Matrix:
        if not any(series in self._starts for series in matrix.series):
            return matrix
        times = matrix.times.tolist()
        starts = [[self._starts.get(series, {}).get(time, 0) for time in times] for series in matrix.series]
        if isinstance(matrix, HistogramMatrix):
            return replace(matrix, starts=np.array(starts, dtype=np.int64))
        return StartedMatrix(
            series=matrix.series,
            times=matrix.times,
            values=matrix.values,
            present=matrix.present,
            starts=np.array(starts, dtype=np.int64),
        )

    def _moments(self, series: Labels) -> list[int]:
        if series not in self._times:
            self._times[series] = sorted(self._samples[series])
        return self._times[series]

    def _of_name(self, name: str | None) -> list[Labels]:
        """In order; all for None."""
        if name is None:
            return sorted(self._samples)
        if not self._named:
            for series in sorted(self._samples):
                self._named.setdefault(metric_name(series), []).append(series)
        return self._named.get(name, [])

    def _matching(self, matchers: Sequence[Matcher]) -> list[Labels]:
        kept = self._of_name(next((one.value for one in matchers if one.name == METRIC_NAME and one.op == "="), None))
        for matcher in matchers:
            values = sorted({label(series, matcher.name) for series in kept})
            fits = dict(zip(values, matches(matcher, values), strict=True))
            kept = [series for series in kept if fits[label(series, matcher.name)]]
        return kept


def _matrix(times: tuple[int, ...], rows: list[tuple[Labels, list[float | Histogram]]]) -> Matrix:
    series, moments = tuple(series for series, _ in rows), np.array(times, dtype=np.int64)
    native = any(isinstance(value, Histogram) for _, row in rows for value in row)
    numbers = [[0.0 if isinstance(value, Histogram) else value for value in row] for _, row in rows]
    values = np.array(numbers, dtype=np.float64)
    stale = is_stale(values)
    values[stale] = STALE_NAN
    if not native:
        return Matrix(series=series, times=moments, values=values, present=~stale)
    histograms = nothing(values.shape)
    for i, (_, row) in enumerate(rows):
        for k, value in enumerate(row):
            histograms[i, k] = value if isinstance(value, Histogram) else None
    return HistogramMatrix(series=series, times=moments, values=values, present=~stale, histograms=histograms)
