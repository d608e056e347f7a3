"""A sample reader that keeps everything in memory: for rule tests, conformance scripts and small replays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import STALE_NAN, Labels, Matcher, MatchOp, Matrix, is_stale, label
from watchkeeper.promql.notation import parse_load, parse_series


class MemoryReader:
    """Series as sorted lists of samples; one matrix per distinct time column."""

    def __init__(self) -> None:
        self._samples: dict[Labels, dict[int, float]] = {}

    def add(self, series: str | Labels, samples: Iterable[tuple[int, float]]) -> MemoryReader:
        """Add (milliseconds, value) pairs to ``up{job="a"}``; STALE_NAN ends the series. Returns itself."""
        key = parse_series(series) if isinstance(series, str) else series
        self._samples.setdefault(key, {}).update(samples)
        return self

    def load(self, interval: str, text: str) -> MemoryReader:
        """Add series in Prometheus's test notation, one a line: ``up{job="a"} 1+1x10 _x3 stale``. Returns itself."""
        for series, samples in parse_load(interval, text):
            self.add(series, samples)
        return self

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        columns: dict[tuple[int, ...], list[tuple[Labels, list[float]]]] = {}
        for series in self._matching(matchers):
            samples = self._samples[series]
            times = tuple(sorted(time for time in samples if start_ms <= time <= end_ms))
            if times:
                columns.setdefault(times, []).append((series, [samples[time] for time in times]))
        return [_matrix(times, rows) for times, rows in columns.items()]

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        return sorted(series for matrix in self.select(matchers, start_ms, end_ms) for series in matrix.series)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        return sorted({key for series in self.series(matchers, start_ms, end_ms) for key, _ in series})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        found = {label(series, name) for series in self.series(matchers, start_ms, end_ms)}
        return sorted(found - {""})

    def _matching(self, matchers: Sequence[Matcher]) -> list[Labels]:
        kept = sorted(self._samples)
        for matcher in matchers:
            values = sorted({label(series, matcher.name) for series in kept})
            fits = dict(zip(values, matches(matcher, values), strict=True))
            kept = [series for series in kept if fits[label(series, matcher.name)]]
        return kept


def matches(matcher: Matcher, values: Sequence[str]) -> list[bool]:
    """Which values the matcher accepts; regexes are RE2, anchored. Raises QueryError on a bad one."""
    if matcher.op is MatchOp.EQUAL:
        return [value == matcher.value for value in values]
    if matcher.op is MatchOp.NOT_EQUAL:
        return [value != matcher.value for value in values]
    wanted = matcher.op is MatchOp.REGEX
    return [found is wanted for found in fullmatch(matcher.value, values)]


def fullmatch(pattern: str, values: Sequence[str]) -> list[bool]:
    """Which values the RE2 pattern matches from end to end."""
    import pyarrow as pa  # heavy, and only regexes need it
    import pyarrow.compute as pc

    try:
        found: list[Any] = pc.match_substring_regex(pa.array(values, pa.string()), f"^(?s:{pattern})$").to_pylist()
    except pa.ArrowInvalid as error:
        raise QueryError(f"error parsing regexp: {error}") from None
    return [bool(one) for one in found]


def _matrix(times: tuple[int, ...], rows: list[tuple[Labels, list[float]]]) -> Matrix:
    values = np.array([row for _, row in rows], dtype=np.float64)
    stale = is_stale(values)
    values[stale] = STALE_NAN
    return Matrix(
        series=tuple(series for series, _ in rows),
        times=np.array(times, dtype=np.int64),
        values=values,
        present=~stale,
    )
