"""Selectors, time, limits, and the shapes of answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest
from support.promql import MINUTE, ask, engine, steps

from watchkeeper.errors import QueryError
from watchkeeper.model import STALE_NAN, Matcher, MatchOp, Matrix, labels
from watchkeeper.promql import (
    Engine,
    MemoryReader,
    QueryLimits,
    RangeMatrix,
    Result,
    Scalar,
    StringValue,
    Vector,
)
from watchkeeper.promql.encode import Encoder


class TwoMatrices(MemoryReader):
    """Tells one series in two matrices, as a store does whose block and head both hold it."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
        series = (labels("m"),)
        found = []
        for times, values in (([0, 60_000], [1.0, 2.0]), ([60_000, 120_000], [2.0, 3.0])):
            kept = [(t, v) for t, v in zip(times, values, strict=True) if start_ms <= t <= end_ms]
            if kept:
                column = np.array([t for t, _ in kept], dtype=np.int64)
                row = np.array([[v for _, v in kept]])
                found.append(Matrix(series=series, times=column, values=row, present=np.ones(row.shape, bool)))
        return found


def test_a_sample_counts_for_the_lookback_and_not_a_millisecond_longer() -> None:
    over = engine("m 1")
    assert ask(over, "m", 4.99) == {("m",): 1}
    assert ask(over, "m", 5) == {}


def test_a_window_is_open_on_the_left() -> None:
    assert ask("m 1 2 3", "sum_over_time(m[2m])", 2) == {(): 5}


def test_a_stale_marker_ends_a_series_at_once() -> None:
    over = engine("m 1 stale\nn 1 _")
    assert ask(over, "m", 1) == {}
    assert ask(over, "n", 1) == {("n",): 1}
    assert ask(over, "count_over_time(m[5m])", 1) == {(): 1}


def test_a_series_missing_from_its_targets_newest_tick_has_ended() -> None:
    """Whatever bits the cell holds: a store may hand on the marker or a plain NaN."""

    class Ticks(MemoryReader):
        def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Matrix]:
            values = np.array([[1.0, np.nan], [2.0, STALE_NAN], [3.0, 4.0]])
            present = np.array([[True, False], [True, False], [True, True]])
            series = (labels("gone"), labels("ended"), labels("full"))
            return [Matrix(series=series, times=np.array([0, MINUTE]), values=values, present=present)]

    assert ask(Engine(Ticks()), '{__name__=~".+"}', 1) == {("full",): 4}


def test_one_series_in_two_matrices_is_still_one_series() -> None:
    over = Engine(TwoMatrices())
    assert ask(over, "sum_over_time(m[3m])", 2) == {(): 6}
    assert ask(over, "m", 2) == {("m",): 3}


def test_offset_and_at_move_the_look() -> None:
    over = engine("m 0+1x10")
    assert ask(over, "m offset 2m", 5) == {("m",): 3}
    assert ask(over, "m offset -2m", 5) == {("m",): 7}
    assert ask(over, "m @ 240", 9) == {("m",): 4}
    assert steps(over, "m @ start()", 2, 4).values.tolist() == [[2, 2, 2]]
    assert steps(over, "m @ end()", 2, 4).values.tolist() == [[4, 4, 4]]
    assert ask(over, "sum_over_time(m[2m] @ 240)", 9) == {(): 7}


def test_a_subquery_walks_its_own_grid() -> None:
    over = engine("m_total 0+60x20")
    assert ask(over, "max_over_time(rate(m_total[5m])[10m:1m])", 15) == {(): 1}
    assert ask(over, "count_over_time(m_total[10m:2m])", 15) == {(): 5}
    assert ask(over, "count_over_time(m_total[10m:])", 15) == {(): 10}
    assert ask(over, "last_over_time(m_total[5m:1m] offset 3m)", 15) == {("m_total",): 720}
    assert ask(over, "last_over_time(m_total[5m:1m] @ 300)", 15) == {("m_total",): 300}
    assert ask(over, "sum_over_time(vector(1)[5m:1m])", 15) == {(): 5}
    assert ask(over, "sum_over_time(nope[5m:1m])", 15) == {}


def test_every_kind_of_matcher_selects() -> None:
    over = engine("m{a='x'} 1\nm{a='y'} 2\nm 3")
    assert ask(over, 'm{a="x"}') == {("x", "m"): 1}
    assert ask(over, 'm{a!="x"}') == {("y", "m"): 2, ("m",): 3}
    assert ask(over, 'm{a=~"x|y"}') == {("x", "m"): 1, ("y", "m"): 2}
    assert ask(over, 'm{a!~"x|y"}') == {("m",): 3}
    assert ask(over, 'm{a=""}') == {("m",): 3}


def to_json(result: Result) -> Any:
    return json.loads(Encoder()(result))


def test_answers_have_prometheus_json_shape() -> None:
    over = engine("m{a='x'} 1.5 NaN")
    assert to_json(over.instant("m", 0)) == {
        "resultType": "vector",
        "result": [{"metric": {"__name__": "m", "a": "x"}, "value": [0.0, "1.5"]}],
    }
    assert to_json(over.instant("1/0", 1500)) == {"resultType": "scalar", "result": [1.5, "+Inf"]}
    assert to_json(over.instant('"hi"', 0)) == {"resultType": "string", "result": [0.0, "hi"]}
    matrix = {
        "resultType": "matrix",
        "result": [{"metric": {"__name__": "m", "a": "x"}, "values": [[0.0, "1.5"], [60.0, "NaN"]]}],
    }
    assert to_json(over.range("m", 0, MINUTE, MINUTE)) == matrix
    assert to_json(over.instant("m[5m]", MINUTE)) == matrix


def test_answers_come_as_their_own_types() -> None:
    over = engine("m{a='x'} 1 2\nm{a='y'} _ 3\nn 1 _ 2")
    assert isinstance(over.instant("m", 0), Vector)
    assert isinstance(over.instant("1", 0), Scalar)
    assert isinstance(over.instant('"x"', 0), StringValue)
    raw = over.instant('{__name__=~"m|n"}[5m]', 2 * MINUTE)
    assert isinstance(raw, RangeMatrix)
    assert raw.times.tolist() == [0, MINUTE, 2 * MINUTE]
    assert raw.present.tolist() == [[True, True, False], [False, True, False], [True, False, True]]
    empty = over.instant("nope[5m]", 0)
    assert isinstance(empty, RangeMatrix)
    assert empty.series == ()


def test_a_range_answer_is_sorted_and_leaves_out_what_never_is() -> None:
    over = engine("m{a='z'} 1 1\nm{a='b'} 2 2\nm{a='n'} 0 0")
    answer = steps(over, "m > 0", 0, 1)
    assert [series[-1][1] for series in answer.series] == ["b", "z"]
    assert steps(over, "nope", 0, 1).series == ()
    assert steps(over, "1 + 1", 0, 1).values.tolist() == [[2, 2]]


def test_context_functions_tell_the_query_itself() -> None:
    over = engine("m 1")
    assert steps(over, "end() - start() + step() + range()", 1, 3).values.tolist() == [[300, 300, 300]]
    assert ask(over, "step() + range()", 5) == {(): 0}


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("sum(", "parse error"),
        ("foo{", "parse error"),
        ("rate(foo)", "parse error"),
        ("{}", "parse error"),
        ('foo{a=~"("}', "parse error"),
        ("foo[0s]", "duration must be greater than 0"),
        ('foo{a="1" or b="2"}', '"or" between label matchers'),
        ("unknown_function(foo)", "parse error"),
    ],
)
def test_a_wrong_query_is_bad_data_and_says_why(expr: str, said: str) -> None:
    with pytest.raises(QueryError, match=said) as caught:
        engine("foo 1").instant(expr, 0)
    assert caught.value.kind == "bad_data"


@pytest.mark.parametrize(
    ("start", "end", "step", "said"),
    [
        (0, 60, 0, "zero or negative"),
        (60, 0, 15, "before start"),
        (0, 11_001_000, 1000, "maximum resolution of 11,000"),
    ],
)
def test_a_wrong_range_is_bad_data(start: int, end: int, step: int, said: str) -> None:
    with pytest.raises(QueryError, match=said) as caught:
        engine().range("1", start, end, step)
    assert caught.value.kind == "bad_data"


def test_eleven_thousand_points_are_not_too_many() -> None:
    assert engine().range("1", 0, 11_000_000, 1000).present.sum() == 11_001


@pytest.mark.parametrize("expr", ['"text"', "m[5m]", "m[5m:1m]"])
def test_a_range_query_must_have_a_value_at_each_step(expr: str) -> None:
    with pytest.raises(QueryError, match="must be Scalar or instant Vector"):
        engine().range(expr, 0, 60, 15)


def test_too_many_samples_are_refused() -> None:
    reader = MemoryReader().load("1m", "m 0+1x100")
    over = Engine(reader, limits=QueryLimits(max_samples=50))
    with pytest.raises(QueryError, match="too many samples") as caught:
        over.instant("sum_over_time(m[100m])", 100 * MINUTE)
    assert caught.value.kind == "execution"
    assert ask(over, "sum_over_time(m[10m])", 100) == {(): 955}


@pytest.mark.parametrize("expr", ["m", "rate(m[5m])", "sum_over_time(m[100y:1ms])", "m smoothed"])
def test_an_answer_too_large_is_refused_before_it_is_made(expr: str) -> None:
    over = Engine(MemoryReader().load("1m", "m 1 2"), limits=QueryLimits(max_samples=1000))
    with pytest.raises(QueryError, match="too many samples"):
        over.range(expr, 0, 10_000_000, 1000)


def test_time_runs_out_inside_a_long_window_function_too() -> None:
    ticks: Iterator[int] = count()
    reader = MemoryReader().load("1s", "m 0+1x7000")
    limits = QueryLimits(timeout_seconds=4.5)
    over = Engine(reader, limits=limits, clock_monotonic=lambda: float(next(ticks)))
    with pytest.raises(QueryError, match="timed out"):
        over.range("mad_over_time(m[6000s])", 0, 10_000_000, 5000)
    assert next(ticks) == 6


def test_time_runs_out_between_operators() -> None:
    ticks: Iterator[int] = count()
    over = Engine(
        MemoryReader().load("1m", "m 1"),
        limits=QueryLimits(timeout_seconds=3),
        clock_monotonic=lambda: float(next(ticks)),
    )
    with pytest.raises(QueryError, match="timed out") as caught:
        over.instant("m + m + m + m", 0)
    assert caught.value.kind == "timeout"


def test_an_infinite_sample_poisons_only_its_own_windows() -> None:
    over = engine("c_total 1 Inf 5 6 7 2 3")
    answer = steps(over, "increase(c_total[2m1ms])", 2, 6)
    assert not np.isfinite(answer.values[0, :2]).any()
    assert answer.values[0, 2:].round(3).tolist() == [2, 3, 3]


@pytest.mark.parametrize("expr", ["-'a'", "1 + 'a'", "sum('a')", "abs('a')", "rate(1)", "label_join(m, 1, 'a')"])
def test_text_where_numbers_belong_is_bad_data(expr: str) -> None:
    with pytest.raises(QueryError) as caught:
        ask("m 1", expr)
    assert caught.value.kind == "bad_data"


def test_minus_works_on_numbers_and_series() -> None:
    assert ask("m 3", "-(1 + 1)") == {(): -2}
    assert ask("m 3", "-m") == {(): -3}


def test_a_bad_factor_is_named() -> None:
    with pytest.raises(QueryError, match="invalid smoothing factor"):
        ask("m 1 2 3", "double_exponential_smoothing(m[5m], 2, 0.5)", 2)


def test_one_engine_serves_many_threads() -> None:
    over = engine("m_total 0+60x20\nn{a='x'} 1+1x20")
    wanted = ask(over, "rate(m_total[5m]) + on() n", 15)
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.extend(ask(over, "rate(m_total[5m]) + on() n", 15) for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 80


def test_the_memory_reader_is_a_whole_sample_reader() -> None:
    reader = MemoryReader().add('up{job="a"}', [(0, 1.0), (1000, STALE_NAN)]).add(labels("up", job="b"), [(5000, 1.0)])
    job = [Matcher("job", MatchOp.EQUAL, "a")]
    assert reader.series([], 0, 10_000) == [labels("up", job="a"), labels("up", job="b")]
    assert reader.series(job, 2000, 10_000) == []
    assert reader.label_names([], 0, 10_000) == ["__name__", "job"]
    assert reader.label_values("job", [], 0, 10_000) == ["a", "b"]
    with pytest.raises(QueryError, match="error parsing regexp"):
        reader.select([Matcher("job", MatchOp.REGEX, "(")], 0, 1)
