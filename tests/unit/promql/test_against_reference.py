"""The vectorised arithmetic against a plain loop over samples, on random, ragged, resetting data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from support.promql import MINUTE, steps

from watchkeeper.model import Labels, Matcher, Matrix, labels
from watchkeeper.promql import Engine, MemoryReader, RangeMatrix
from watchkeeper.promql.memo import Memo

Samples = list[tuple[int, float]]
SECOND = 1000


def ragged(seed: int, series: int = 6) -> dict[Labels, Samples]:
    """Counters every 15 s with holes and resets; some series share their times, some do not."""
    random = np.random.default_rng(seed)
    found: dict[Labels, Samples] = {}
    for i in range(series):
        times = np.arange(0, 3600, 15) * SECOND + (0 if i % 3 else i * 100)
        keep = random.random(len(times)) > (0.0 if i % 2 else 0.3)
        values = np.cumsum(random.integers(0, 50, len(times)).astype(float))
        for reset in random.integers(1, len(times), 3):
            values[reset:] -= values[reset] if i % 4 else 0
        found[labels("c_total", i=str(i))] = [
            (int(t), float(v)) for t, v, there in zip(times, np.abs(values), keep, strict=True) if there
        ]
    return found


class OneMatrix(MemoryReader):
    """Tells all series in one matrix with holes."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        parts = super().select(matchers, start_ms, end_ms)
        if not parts:
            return []
        times = np.unique(np.concatenate([part.times for part in parts]))
        series = tuple(one for part in parts for one in part.series)
        values = np.full((len(series), len(times)), np.nan)
        row = 0
        for part in parts:
            values[row : row + len(part.series), np.searchsorted(times, part.times)] = part.values
            row += len(part.series)
        return [Matrix(series=series, times=times, values=values, present=~np.isnan(values))]


def increase(window: Samples, start: int, end: int) -> float | None:
    """Prometheus's extrapolated increase, step by step."""
    if len(window) < 2:
        return None
    change = window[-1][1] - window[0][1]
    for (_, before), (_, after) in pairwise(window):
        change += before if after < before else 0
    to_start, to_end = (window[0][0] - start) / 1000, (end - window[-1][0]) / 1000
    sampled = (window[-1][0] - window[0][0]) / 1000
    average = sampled / (len(window) - 1)
    to_start = average / 2 if to_start >= average * 1.1 else to_start
    if change > 0 and window[0][1] >= 0:
        to_start = min(to_start, sampled * window[0][1] / change)
    to_end = average / 2 if to_end >= average * 1.1 else to_end
    return change * (sampled + to_start + to_end) / sampled


def slope(window: Samples) -> float | None:
    if len(window) < 2:
        return None
    return statistics.linear_regression([t / 1000 for t, _ in window], [v for _, v in window]).slope


def simple(function: Callable[[list[float]], float]) -> Callable[[Samples, int, int], float | None]:
    return lambda window, _, __: function([value for _, value in window]) if window else None


REFERENCE: dict[str, Callable[[Samples, int, int], float | None]] = {
    "increase(c_total[5m])": increase,
    "sum_over_time(c_total[5m])": simple(math.fsum),
    "avg_over_time(c_total[5m])": simple(statistics.fmean),
    "min_over_time(c_total[5m])": simple(min),
    "max_over_time(c_total[5m])": simple(max),
    "count_over_time(c_total[5m])": simple(len),
    "stddev_over_time(c_total[5m])": simple(statistics.pstdev),
    "quantile_over_time(0.5, c_total[5m])": simple(statistics.median),
    "changes(c_total[5m])": simple(lambda values: sum(a != b for a, b in pairwise(values))),
    "resets(c_total[5m])": simple(lambda values: sum(b < a for a, b in pairwise(values))),
    "deriv(c_total[5m])": lambda window, _, __: slope(window),
}


def rows(answer: RangeMatrix) -> dict[str, dict[int, float]]:
    times = answer.times.tolist()
    return {
        dict(series)["i"]: {times[k]: answer.values[i, k] for k in np.flatnonzero(answer.present[i]).tolist()}
        for i, series in enumerate(answer.series)
    }


@pytest.mark.parametrize("expr", sorted(REFERENCE))
@pytest.mark.parametrize("reader", [MemoryReader(), OneMatrix()], ids=["own time columns", "one with holes"])
def test_windows_agree_with_a_plain_loop(expr: str, reader: MemoryReader) -> None:
    data = ragged(1)
    for series, samples in data.items():
        reader.add(series, samples)
    found = rows(Engine(reader).range(expr, 0, 3600 * SECOND, 77 * SECOND))
    for series, samples in data.items():
        for end in range(0, 3600 * SECOND + 1, 77 * SECOND):
            start = end - 300 * SECOND
            wanted = REFERENCE[expr]([one for one in samples if start < one[0] <= end], start, end)
            got = found.get(dict(series)["i"], {}).get(end)
            assert (got is None) == (wanted is None), (series, end)
            assert wanted is None or got == pytest.approx(wanted, rel=1e-9, abs=1e-9), (series, end)


@pytest.mark.parametrize("expr", ["increase(c_total[5m])", "rate(c_total[2m])", "delta(c_total[5m])"])
@pytest.mark.parametrize("reader", [MemoryReader(), OneMatrix()], ids=["own time columns", "one with holes"])
def test_one_moment_is_answered_as_many_are(expr: str, reader: MemoryReader) -> None:
    data = ragged(2)
    endless = labels("c_total", i="endless")
    data[endless] = [(at * 15 * SECOND, value) for at, value in enumerate([1.0, math.inf, 3.0, 4.0, 2.0, 5.0] * 40)]
    for series, samples in data.items():
        reader.add(series, samples)
    engine = Engine(reader)
    many = rows(engine.range(expr, 0, 3600 * SECOND, 77 * SECOND))
    for end in range(0, 3600 * SECOND + 1, 77 * SECOND):
        one = rows(engine.range(expr, end, end, SECOND))
        at_end = {key: values[end] for key, values in many.items() if end in values}
        assert {key: values[end] for key, values in one.items()} == pytest.approx(at_end, rel=1e-12, nan_ok=True), end


@pytest.mark.parametrize("op", ["sum", "avg", "stddev", "min", "max"])
def test_large_aggregations_agree_with_small_ones(op: str) -> None:
    """Many steps are reduced as arrays, few are added one by one: the answers are the same."""
    reader = MemoryReader()
    random = np.random.default_rng(7)
    for i in range(30):
        values = random.normal(0, 1e6, 400).tolist()
        reader.add(labels("m", g=str(i % 3), i=str(i)), [(k * MINUTE, v) for k, v in enumerate(values) if (k + i) % 7])
    over = Engine(reader)
    large = steps(over, f"{op} by (g) (m)", 0, 399)
    for k in range(0, 400, 57):
        small = steps(over, f"{op} by (g) (m)", k, k)
        assert small.series == large.series
        assert small.values[:, 0] == pytest.approx(large.values[:, k], rel=1e-12)


def test_large_sums_over_time_agree_with_small_ones() -> None:
    reader = MemoryReader()
    values = np.random.default_rng(8).uniform(1, 1000, (40, 1000))
    for i, row in enumerate(values.tolist()):
        reader.add(labels("m", i=str(i)), [(k * 15 * SECOND, v) for k, v in enumerate(row)])
    over = Engine(reader)
    large = over.range("sum_over_time(m[30m])", 0, 15_000 * SECOND, 60 * SECOND)
    assert large.present.sum() * 100 > 1 << 19
    for k in (3, 50, 249):
        at = int(large.times[k])
        small = over.range("sum_over_time(m[30m])", at, at, SECOND)
        assert small.values[:, 0] == pytest.approx(large.values[:, k], rel=1e-12)


def test_an_infinity_among_many_sums_stays_in_its_own() -> None:
    reader = MemoryReader()
    for i in range(4):
        reader.add(labels("m", i=str(i)), [(k * MINUTE, math.inf if k == 5 and i == 1 else 1.0) for k in range(2000)])
    answer = steps(Engine(reader), "sum(m)", 0, 1999)
    assert np.flatnonzero(np.isinf(answer.values[0])).tolist() == [5]
    assert set(np.delete(answer.values[0], 5).tolist()) == {4.0}


def test_the_same_series_asked_again_get_the_same_answer() -> None:
    """More series than the memo thinks worthwhile, told by matrices of their own."""
    reader = MemoryReader()
    for i in range(200):
        reader.add(labels("m_total", i=str(i), g=str(i % 7)), [(k * MINUTE + i % 3, float(i * k)) for k in range(10)])
    over = Engine(reader)
    first = steps(over, "sum by (g) (rate(m_total[5m]))", 5, 9)
    again = steps(over, "sum by (g) (rate(m_total[5m]))", 5, 9)
    assert first.series == again.series
    assert first.values.tolist() == again.values.tolist()
    assert len(steps(over, "rate(m_total[5m])", 5, 9).series) == 200


def test_the_memo_forgets_before_it_grows_without_end() -> None:
    memo = Memo()
    made: list[int] = []
    anchors = [tuple(labels("m", i=str(i), k=str(k)) for i in range(1000)) for k in range(300)]
    for k, anchor in enumerate(anchors):
        assert memo.get("x", [anchor], lambda k=k: made.append(k) or k) == k  # type: ignore[misc, func-returns-value]
        assert memo.get("x", [anchor], lambda: -1) == k
    assert made == list(range(300))
    assert len(memo._kept) < 300
    short = anchors[0][:5]
    assert [memo.get("x", [short], lambda: made.append(0)) for _ in range(2)] == [None, None]
    assert made[-2:] == [0, 0]
