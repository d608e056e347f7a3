"""Text in and out: durations, values, queries looked into, the test-script language."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.promql import verdicts

from watchkeeper.errors import QueryError
from watchkeeper.model import STALE_NAN, Matcher, MatchOp, is_stale, labels
from watchkeeper.promql import format_duration, format_value, metric_names, parse, parse_duration, selectors
from watchkeeper.promql.compare import almost_equal
from watchkeeper.promql.conformance import run_files
from watchkeeper.promql.notation import parse_series, parse_starts, parse_values
from watchkeeper.promql.result import format_plain
from watchkeeper.promql.script import Eval, Unread, parse_script


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-7, "1e-07"),
        (1.5e-9, "1.5e-09"),
        (1e100, "1e+100"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (0.30000000000000004, "0.30000000000000004"),
    ],
)
def test_values_are_written_as_prometheus_writes_them(value: float, text: str) -> None:
    assert format_value(value) == text


@given(st.floats(allow_nan=False))
def test_a_written_value_reads_back_the_same(value: float) -> None:
    assert float(format_value(value)) == value
    assert float(format_plain(value)) == value
    assert "e" not in format_plain(value)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("500ms", timedelta(milliseconds=500)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(days=14)),
        ("90", timedelta(seconds=90)),
        ("1.5", timedelta(seconds=1.5)),
    ],
)
def test_durations_are_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "m", "5", "5m1h", "5x", "-5m", "5 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    if text == "5":
        assert parse_duration(text) == timedelta(seconds=5)
        return
    with pytest.raises(QueryError, match="not a valid duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_written_duration_reads_back_the_same(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


def test_durations_are_written_short() -> None:
    assert format_duration(timedelta(minutes=90)) == "1h30m"
    assert format_duration(timedelta(0)) == "0s"
    assert format_duration(timedelta(days=14)) == "2w"
    assert format_duration(timedelta(minutes=-5)) == "-5m"


def test_a_query_tells_its_selectors() -> None:
    found = selectors('sum(rate(a{x="1"}[5m] offset 1h)) / b')
    name, x = Matcher("__name__", MatchOp.EQUAL, "a"), Matcher("x", MatchOp.EQUAL, "1")
    assert found[0] == ((name, x), timedelta(minutes=5), timedelta(hours=1))
    assert found[1] == ((Matcher("__name__", MatchOp.EQUAL, "b"),), timedelta(0), timedelta(0))


def test_a_query_tells_its_metric_names() -> None:
    assert metric_names('sum(b) + topk(2, a) + max_over_time({__name__="c"}[5m:1m]) + -d + a') == ["a", "b", "c", "d"]
    assert metric_names('{__name__=~"x.*"}') == []


def test_the_same_text_is_parsed_once() -> None:
    assert parse("a + b") is parse("a + b")


def test_warnings_point_at_the_place_despite_strings_and_comments() -> None:
    script = """
load 1m
  rate_g{rate="rate("} 0 1 2 3

eval instant at 3m  sum(rate(rate_g{rate="rate("}[5m])) # rate(
  expect info regex: "rate_g" \\(1:10\\)$
  {} 0.01
"""
    assert verdicts(script) == []


def test_series_notation_is_read() -> None:
    assert parse_values("1+2x2 _ _x2 5x1 stale NaN -1.5-1e1x1")[:7] == [1, 3, 5, None, None, None, 5]
    values = parse_values("stale NaN")
    assert values[0] is not None
    assert is_stale(np.array([values[0], values[1]])).tolist() == [True, False]
    assert parse_values("0x2") == [0, 0, 0]
    assert parse_series('up{job="a\\"b", x=`y`}') == labels("up", job='a"b', x="y")
    assert parse_series('{"my.metric", job="a"}') == labels("my.metric", job="a")
    assert parse_starts("-30s-1mx1 _ *x1 5s _x2") == [-30_000, -90_000, None, -90_000, -90_000, 5_000, None, None]


@pytest.mark.parametrize("text", ["up{job=}", "", "up{job='a'} x y", 'up{a="b"'])
def test_broken_series_are_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parse_series(text)


def test_broken_values_are_refused() -> None:
    with pytest.raises(QueryError, match="cannot read the value"):
        parse_values("1 two")
    with pytest.raises(QueryError, match="cannot read the start time"):
        parse_starts("soon")


def test_a_script_is_read() -> None:
    (case,) = parse_script('eval range from 1m to 5m step 30s up{a="b"}\n  expect no_warn\n  up 1 _ 3\n')
    assert isinstance(case, Eval)
    assert (case.start_ms, case.end_ms, case.step_ms) == (60_000, 300_000, 30_000)
    assert case.rows == {labels("up"): [1, None, 3]}
    (unread,) = parse_script("frobnicate")
    assert isinstance(unread, Unread)
    assert "line 1: unknown command" in unread.reason


WRONG = [
    ("eval instant at 0 1\n  2", "expected 2.0, got scalar 1.0"),
    ("eval instant at 0 vector(1)\n  1", "expected the scalar"),
    ("eval instant at 0 vector(1)\n  {} 2", "expected 2.0 for {}, got 1.0"),
    ("eval instant at 0 vector(1)\n  {} 1\n  {a='b'} 1", 'expected series {a="b"} is missing'),
    ("eval instant at 0 vector(1)", "unexpected series {} with 1.0"),
    ("eval instant at 0 vector(1)\n  expect fail\n  {} 1", "an error was expected"),
    ("eval instant at 0 vector(1)\n  expect warn\n  {} 1", "expected warn"),
    ('eval instant at 0 "a"\n  expect string "b"', "expected the string"),
    ("eval range from 0 to 1m step 1m vector(1)\n  {} 1 2", "expected {0: 1.0, 60000: 2.0} for {}"),
    ("eval range from 0 to 1m step 1m vector(1)", "unexpected series {}"),
    ("eval_fail instant at 0 topk(NaN, vector(1))\n  expected_fail_message nonsense", "Parameter value is NaN"),
    ("eval instant at 0 histogram_quantile(2, vector(1))\n  expect no_warn", "no warn was expected"),
    ("eval instant at 0 histogram_quantile(2, vector(1))\n  expect warn msg: x", "expected warn 'x'"),
]


@pytest.mark.parametrize(("script", "reason"), WRONG)
def test_the_runner_finds_a_wrong_answer(script: str, reason: str) -> None:
    ((kind, _, said),) = verdicts(script)
    assert kind == "failed"
    assert reason in said


def test_the_runner_skips_by_name_what_it_cannot_read() -> None:
    script = "load 1m\n  h {{schema:0 shape:1}}\n\neval instant at 0 vector(1)\n  {} 1\n"
    ((outcome, place, reason),) = verdicts(script)
    assert (outcome, place) == ("skipped: cannot be read", "1: load 1m")
    assert "cannot read 'shape:1'" in reason


def test_the_runner_counts_files_and_classes(tmp_path: Path) -> None:
    (tmp_path / "one.test").write_text(
        "eval instant at 0 1\n  1\n\neval instant at 0 1\n  2\n\neval instant at 0 a </ 5\n\neval sometime\n\n"
        "load 1m\n  h {{count:1}}\n\neval instant at 0 h\n  h {{count:1}}\n\neval instant at 0 h\n  h {{count:2}}\n"
    )
    report = run_files([tmp_path / "one.test"])
    assert not report.all_passed
    assert len(report.failures) == 3
    assert report.lines() == [
        "one.test: 3 passed, 2 failed, 1 skipped",
        "class plain: 1 passed, 1 failed, 1 skipped",
        "class native histogram: 1 passed, 1 failed, 0 skipped",
        "class newer construct: 1 passed, 0 failed, 0 skipped",
        "total: 3 passed, 2 failed, 1 skipped",
    ]
    assert len(run_files([tmp_path / "one.test"], verbose=True).failures) == 6


def test_nearness_is_relative_and_zero_is_near_nothing() -> None:
    assert almost_equal(1e9, 1e9 + 1)
    assert not almost_equal(1.0, 1.001)
    assert not almost_equal(0.0, 1e-9)
    assert almost_equal(math.nan, math.nan)
    assert not almost_equal(math.nan, 1.0)
    assert not almost_equal(0.0, STALE_NAN)


def test_importing_promql_is_light() -> None:
    heavy = ("promql_parser", "pyarrow", "pandas", "httpx2", "pydantic")
    code = f"import sys, watchkeeper.promql; print([name for name in {heavy} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
