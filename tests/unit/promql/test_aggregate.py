"""Aggregations."""

from __future__ import annotations

import math

import pytest
from support.promql import ask, engine, steps, verdicts

SCRIPT = """
load 1m
  m{job="a", i="1"} 1
  m{job="a", i="2"} 3
  m{job="b", i="3"} 10
  n{job="a", i="1"} NaN
  n{job="a", i="2"} 2

eval instant at 0 sum(m)
  {} 14

eval instant at 0 sum by (job) (m)
  {job="a"} 4
  {job="b"} 10

eval instant at 0 sum without (i) (m)
  {job="a"} 4
  {job="b"} 10

eval instant at 0 sum by (nope) (m)
  {} 14

eval instant at 0 avg by (job) (m)
  {job="a"} 2
  {job="b"} 10

eval instant at 0 count(m)
  {} 3

eval instant at 0 group by (job) (m)
  {job="a"} 1
  {job="b"} 1

eval instant at 0 min(m)
  {} 1

eval instant at 0 max(m)
  {} 10

eval instant at 0 max(n)
  {} 2

eval instant at 0 sum(n)
  {} NaN

eval instant at 0 stdvar by (job) (m)
  {job="a"} 1
  {job="b"} 0

eval instant at 0 stddev by (job) (m)
  {job="a"} 1
  {job="b"} 0

eval instant at 0 quantile by (job) (0.5, m)
  {job="a"} 2
  {job="b"} 10

eval instant at 0 quantile(0.5, n)
  {} NaN

eval instant at 0 topk(1, m)
  m{job="b", i="3"} 10

eval instant at 0 topk by (job) (1, m)
  m{job="a", i="2"} 3
  m{job="b", i="3"} 10

eval instant at 0 bottomk(2, m)
  expect ordered
  m{job="a", i="1"} 1
  m{job="a", i="2"} 3

eval instant at 0 topk(2, n)
  expect ordered
  n{job="a", i="2"} 2
  n{job="a", i="1"} NaN

eval instant at 0 topk(0, m)

eval instant at 0 topk(NaN, m)
  expect fail msg: Parameter value is NaN

eval instant at 0 limit_ratio(NaN, m)
  expect fail msg: Ratio value is NaN

eval instant at 0 count by (job) (limitk by (job) (1, m))
  {job="a"} 1
  {job="b"} 1

eval instant at 0 count_values("v", m)
  {v="1"} 1
  {v="3"} 1
  {v="10"} 1

eval instant at 0 count_values by (job) ("job", n)
  {job="NaN"} 1
  {job="2"} 1

eval instant at 0 count_values("", m)
  expect fail msg: invalid label name ""

eval instant at 0 count_values("\\xff", m)
  expect fail msg: invalid label name "\\xff"

eval instant at 0 count_values("v", nope)

eval instant at 0 sum(nope)

eval instant at 0 sum by (__name__) (m)
  m 14
"""


def test_aggregations_answer_as_prometheus_does() -> None:
    assert verdicts(SCRIPT) == []


def test_a_parameter_may_change_from_step_to_step() -> None:
    over = engine("k 1 2 3\nm{i='a'} 1 1 1\nm{i='b'} 2 2 2\nm{i='c'} 3 3 3")
    assert steps(over, "count(topk(scalar(k), m))", 0, 2).values.tolist() == [[1, 2, 3]]
    assert steps(over, "quantile(scalar(k) - 1, m)", 0, 1).values.tolist() == [[1, 3]]


def test_a_sum_of_large_and_small_keeps_the_small() -> None:
    over = "m{i='a'} 2\nm{i='b'} 1e100\nm{i='c'} 8\nm{i='d'} -1e100"
    assert ask(over, "sum(m)") == {(): 10.0}
    assert ask(over, "avg(m)") == {(): 2.5}


def test_an_average_does_not_overflow() -> None:
    assert ask("m{i='a'} 1.5e308\nm{i='b'} 1.5e308", "avg(m)") == {(): 1.5e308}


def test_infinities_add_up_to_infinity_or_nothing_known() -> None:
    assert ask("m{i='a'} Inf\nm{i='b'} 1", "sum(m)") == {(): math.inf}
    assert math.isnan(ask("m{i='a'} Inf\nm{i='b'} -Inf", "sum(m)")[()])


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 1.0])
def test_a_ratio_and_its_complement_share_out_every_series_once(ratio: float) -> None:
    over = "\n".join(f"m{{i='{i}'}} {i}" for i in range(50))
    kept, rest = ask(over, f"limit_ratio({ratio}, m)"), ask(over, f"limit_ratio({ratio - 1}, m)")
    assert len(kept) + len(rest) == 50 + (50 if ratio == 1.0 and len(rest) == 50 else 0)
    assert ratio in (0.0, 1.0) or 0 < len(kept) < 50


def test_equal_values_have_no_spread_at_all() -> None:
    assert ask("m{i='a'} 13.3\nm{i='b'} 13.3\nm{i='c'} 13.3", "stddev(m)") == {(): 0.0}
