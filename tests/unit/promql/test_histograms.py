"""Native histograms as samples: arithmetic, rates, aggregation, quantiles, remarks and notation."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.promql import MINUTE, ask, engine, steps, verdicts

from watchkeeper.errors import QueryError
from watchkeeper.promql import Vector
from watchkeeper.promql.compare import almost_equal
from watchkeeper.promql.encode import Encoder
from watchkeeper.promql.histograms.alike import alike
from watchkeeper.promql.histograms.combine import add, mean, subtract, total
from watchkeeper.promql.histograms.estimate import fraction, quantile, variance
from watchkeeper.promql.histograms.model import CUSTOM, Histogram, exponential_bound
from watchkeeper.promql.histograms.notation import parse_histogram, parse_histograms
from watchkeeper.promql.histograms.reconcile import reduced, widened
from watchkeeper.promql.histograms.resets import was_reset
from watchkeeper.promql.histograms.trim import trimmed

SCRIPT = """
load 1m
  h{kind="exponential"} {{schema:0 sum:5 count:4 buckets:[1 2 1]}}+{{schema:0 sum:10 count:8 buckets:[2 4 2]}}x10
  h{kind="custom"} {{schema:-53 sum:5 count:4 custom_values:[1 2] buckets:[1 2 1]}}x10
  mixed 1 2 {{sum:3 count:3 buckets:[3]}} {{sum:4 count:4 buckets:[4]}} 5
  f 2x10

# a histogram keeps its name where it is only handed on
eval instant at 2m h{kind="custom"}
  h{kind="custom"} {{schema:-53 sum:5 count:4 custom_values:[1 2] buckets:[1 2 1]}}

eval instant at 5m increase(h{kind="exponential"}[4m])
  expect no_warn
  {kind="exponential"} {{count:32 sum:40 buckets:[8 16 8] counter_reset_hint:gauge}}

eval instant at 2m sum by (kind) (h * 2)
  {kind="exponential"} {{count:40 sum:50 buckets:[10 20 10]}}
  {kind="custom"} {{schema:-53 sum:10 count:8 custom_values:[1 2] buckets:[2 4 2]}}

eval instant at 2m sum(h)
  expect warn regex: mix of histograms with exponential and custom buckets schemas for metric name "h" \\(1:5\\)

eval instant at 2m sum({__name__=~"h|f"})
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)

eval instant at 2m max({__name__=~"h|f"})
  expect info msg: PromQL info: ignored histogram in max aggregation (1:5)
  {} 2

eval instant at 2m topk(1, {__name__=~"h|f"})
  expect info msg: PromQL info: ignored histogram in topk aggregation (1:1)
  f 2

eval instant at 2m count({__name__=~"h|f"})
  {} 3

eval instant at 2m h + on() group_left() f
  expect info msg: PromQL info: incompatible sample types encountered for binary operator "+": histogram + float (1:1)

eval instant at 2m h{kind="custom"} / on() f
  {} {{schema:-53 sum:2.5 count:2 custom_values:[1 2] buckets:[0.5 1 0.5]}}

eval instant at 2m h == h
  h{kind="exponential"} {{count:20 sum:25 buckets:[5 10 5]}}
  h{kind="custom"} {{schema:-53 sum:5 count:4 custom_values:[1 2] buckets:[1 2 1]}}

eval instant at 2m h == bool h
  {kind="exponential"} 1
  {kind="custom"} 1

# a window with both kinds: counted, but not summed
eval instant at 4m count_over_time(mixed[5m])
  {} 5

eval instant at 4m sum_over_time(mixed[5m])
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for metric name "mixed" (1:15)

eval instant at 4m max_over_time(mixed[5m])
  expect info regex: ignored histograms in a range containing both floats and histograms for metric name "mixed"
  {} 5

eval instant at 4m changes(mixed[5m])
  {} 4

eval instant at 4m resets(mixed[5m])
  {} 2

eval instant at 3m last_over_time(mixed[2m])
  mixed {{sum:4 count:4 buckets:[4]}}

eval range from 0 to 4m step 1m mixed
  mixed 1 2 {{sum:3 count:3 buckets:[3]}} {{sum:4 count:4 buckets:[4]}} 5

eval instant at 3m abs(mixed)
  # histograms have no absolute value

eval instant at 3m label_replace(mixed, "a", "b", "", "")
  mixed{a="b"} {{sum:4 count:4 buckets:[4]}}

eval instant at 3m f or h{kind="custom"}
  f 2
  h{kind="custom"} {{schema:-53 sum:5 count:4 custom_values:[1 2] buckets:[1 2 1]}}

clear

# classic buckets beside what load_with_nhcb makes of them
load_with_nhcb 1m
  lat_bucket{le="1"} 1x5
  lat_bucket{le="2"} 3x5
  lat_bucket{le="+Inf"} 4x5
  lat_count 4x5
  lat_sum 6x5

eval instant at 1m lat
  lat {{schema:-53 sum:6 count:4 custom_values:[1 2] buckets:[1 2 1]}}

eval instant at 1m histogram_quantile(0.5, {__name__=~"lat|lat_bucket"})
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 1m histogram_quantile(0.5, lat) - on() histogram_quantile(0.5, lat_bucket)
  {} 0

eval instant at 1m histogram_fraction(0, 1.5, lat) - on() histogram_fraction(0, 1.5, lat_bucket)
  {} 0
"""


def test_histograms_are_samples_like_any_other() -> None:
    assert verdicts(SCRIPT) == []


def test_the_runner_finds_a_wrong_histogram() -> None:
    script = "load 1m\n  h {{count:1}}\n\neval instant at 0 h\n  h {{count:1 counter_reset_hint:gauge}}\n"
    ((outcome, _, reason),) = verdicts(script)
    assert outcome == "failed"
    assert "hint='gauge'" in reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{schema:9}}", "neither -4 to 8 nor -53"),
        ("{{count:[1]}}", "count is one value"),
        ("{{buckets:1}}", "values in brackets"),
        ("{{counter_reset_hint:maybe}}", "counter_reset_hint is one of"),
        ("{{count:many}}", "could not convert"),
        ("{{colour:red}}", "cannot read 'colour:red'"),
        ("count:1", "not a histogram"),
    ],
)
def test_a_histogram_that_cannot_be_read_is_refused_with_its_text(text: str, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        parse_histogram(text)


def test_series_of_histograms_step_up_and_down() -> None:
    up = parse_histograms("{{count:5 buckets:[5]}}+{{count:1 buckets:[1]}}x2")
    down = parse_histograms("{{sum:1}}-{{sum:1}}x1")
    assert up is not None
    assert down is not None
    assert [(one.count, dict(one.positive)) for one in up] == [(5, {0: 5}), (6, {0: 6}), (7, {0: 7})]
    assert [one.sum for one in down] == [1, 0]
    with pytest.raises(QueryError, match="cannot be added"):
        parse_histograms("{{count:1}}+{{schema:-53 count:1 custom_values:[1]}}x1")


def test_the_api_writes_histograms_as_prometheus_does() -> None:
    over = engine("h 1 {{schema:0 sum:3 count:7 z_bucket:1 z_bucket_w:0.1 buckets:[2 0 1] n_buckets:[3]}}")
    instant = over.instant("h", MINUTE)
    assert isinstance(instant, Vector)
    sample = {
        "count": "7",
        "sum": "3",
        "buckets": [[1, "-1", "-0.5", "3"], [3, "-0.1", "0.1", "1"], [0, "0.5", "1", "2"], [0, "2", "4", "1"]],
    }
    encode = Encoder()
    assert json.loads(encode(instant))["result"] == [{"metric": {"__name__": "h"}, "histogram": [60, sample]}]
    (row,) = json.loads(encode(steps(over, "h", 0, 1)))["result"]
    assert (row["values"], row["histograms"]) == ([[0, "1"]], [[60, sample]])
    (raw,) = json.loads(encode(over.instant("h[2m]", MINUTE)))["result"]
    assert (raw["values"], raw["histograms"]) == ([[0, "1"]], [[60, sample]])


def test_counting_asks_the_samples_themselves_for_resets() -> None:
    script = """
load 1m
  r {{count:5 buckets:[5]}} {{count:6 buckets:[6]}} {{count:2 buckets:[2]}}

eval instant at 2m histogram_count(sum_over_time(r[3m]))
  expect warn regex: conflicting counter resets during histogram aggregation
  {} 13

eval instant at 2m sum_over_time(r[3m])
  expect no_warn
  {} {{count:13 buckets:[13]}}
"""
    assert verdicts(script) == []


# --- properties ------------------------------------------------------------------------------------------------------

FEW = settings(max_examples=30, deadline=None)
COUNTS = st.dictionaries(st.integers(-20, 20), st.integers(1, 1000).map(float), max_size=6)


@st.composite
def exponentials(draw: st.DrawFn) -> Histogram:
    positive, negative = draw(COUNTS), draw(COUNTS)
    zeros, schema = float(draw(st.integers(0, 50))), draw(st.integers(-2, 4))
    return Histogram(
        schema=schema,
        positive=positive,
        negative=negative,
        zero_count=zeros,
        zero_threshold=draw(st.sampled_from([0.0, exponential_bound(schema, -21), exponential_bound(schema, -30)])),
        count=sum(positive.values()) + sum(negative.values()) + zeros,
        sum=float(draw(st.integers(-1000, 1000))),
    )


@st.composite
def customs(draw: st.DrawFn) -> Histogram:
    bounds = tuple(sorted(draw(st.sets(st.integers(-5, 20).map(float), min_size=1, max_size=5))))
    counts = draw(st.lists(st.integers(0, 99).map(float), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    filled = {index: count for index, count in enumerate(counts) if count}
    total_sum = float(draw(st.integers(0, 99)))
    return Histogram(schema=CUSTOM, custom=bounds, positive=filled, count=sum(counts), sum=total_sum)


PAIRS = st.one_of(st.tuples(exponentials(), exponentials()), st.tuples(customs(), customs()))


def same(left: Histogram, right: Histogram) -> bool:
    return alike(left, right.with_hint(""), almost_equal)


@FEW
@given(PAIRS)
def test_addition_does_not_mind_the_order_and_loses_no_observation(pair: tuple[Histogram, Histogram]) -> None:
    left, right = pair
    both = add(left, right).histogram
    assert same(both, add(right, left).histogram)
    assert same(both, total([left, right]).histogram)
    assert same(both.over(2.0), mean([left, right]).histogram)
    assert almost_equal(sum(bucket.count for bucket in both.buckets()), left.count + right.count)


@FEW
@given(PAIRS)
def test_what_was_added_can_be_taken_away_and_is_no_reset(pair: tuple[Histogram, Histogram]) -> None:
    left, right = pair
    both = add(left, right).histogram
    assert almost_equal(subtract(both, right).histogram.count, left.count)
    assert not was_reset(both, left)
    coarser = both.schema < left.schema or both.zero_threshold > left.zero_threshold
    assert was_reset(left, both) == (right.count > 0 or coarser)


@FEW
@given(exponentials(), st.integers(-4, 4), st.sampled_from([1e-6, 1e-3, 0.3, 5.0]))
def test_a_coarser_layout_holds_the_same_observations(one: Histogram, schema: int, threshold: float) -> None:
    coarse = reduced(one, min(schema, one.schema))
    assert almost_equal(sum(bucket.count for bucket in coarse.buckets()), one.count)
    wide = widened(one, max(threshold, one.zero_threshold))
    assert all(abs(bucket.upper) + 1e-12 >= wide.zero_threshold for bucket in wide.buckets() if bucket.upper > 0)


@FEW
@given(st.one_of(exponentials(), customs()), st.floats(-30, 30))
def test_trimming_keeps_what_the_fraction_says(one: Histogram, value: float) -> None:
    assume(value or one.zero_threshold or not one.zero_count)  # a bucket without width lies on both sides of its place
    below, above = trimmed(one, value, upper=True), trimmed(one, value, upper=False)
    assert below.count <= one.count * (1 + 1e-9)
    assert above.count <= one.count * (1 + 1e-9)
    if not one.is_custom:
        assert math.isclose(below.count + above.count, one.count, rel_tol=1e-9, abs_tol=1e-9)
        share, _ = fraction(-math.inf, value, one)
        if one.count:
            assert math.isclose(share * one.count, below.count, rel_tol=1e-9, abs_tol=1e-9)


@FEW
@given(exponentials(), st.floats(0.001, 0.999))
def test_quantile_and_fraction_undo_each_other(one: Histogram, q: float) -> None:
    value, _ = quantile(q, one)
    if one.count == 0:
        assert math.isnan(value)
        return
    share, _ = fraction(-math.inf, value, one)
    near, far = fraction(-math.inf, math.nextafter(value, -math.inf), one)[0], share
    assert near - 1e-6 <= q <= far + 1e-6 or one.zero_count


@FEW
@given(exponentials())
def test_quantiles_never_fall_and_spread_is_never_negative(one: Histogram) -> None:
    found = [quantile(q, one)[0] for q in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)]
    if one.count:
        assert all(before <= after + 1e-9 for before, after in pairwise(found))
        assert variance(one) >= 0


@FEW
@given(st.integers(-4, 8), st.integers(-300, 300))
def test_edges_of_every_schema_are_powers_of_two(schema: int, index: int) -> None:
    power = index * 2.0**-schema
    assert power >= 1024 or math.isclose(exponential_bound(schema, index), 2.0**power, rel_tol=1e-12)


def test_edges_beyond_what_floats_hold_are_the_last_one_and_infinity() -> None:
    assert exponential_bound(0, 1024) == 1.7976931348623157e308
    assert exponential_bound(0, 1025) == math.inf
    assert exponential_bound(2, 4 * 1024 + 1) == math.inf


LINES = st.lists(
    st.sampled_from(["_", "1", "2", "0", "stale", "{{count:2 sum:1 buckets:[2]}}", "{{count:3 sum:4 buckets:[2 1]}}",
                     "{{schema:2 count:1 buckets:[1]}}", "{{schema:-53 count:1 custom_values:[1] buckets:[1]}}"]),
    min_size=1, max_size=12,
)  # fmt: skip
QUERIES = [
    "m", "-m", "m * 2", "m == m", "sum(m)", "avg(m)", "count(m)", "max(m)", "rate(m[3m])", "increase(m[4m])",
    "delta(m[3m])", "irate(m[4m])", "idelta(m[4m])", "sum_over_time(m[3m])", "avg_over_time(m[4m])", "changes(m[5m])",
    "resets(m[5m])", "last_over_time(m[2m])", "first_over_time(m[3m])", "count_over_time(m[3m:30s])",
    "histogram_quantile(0.3, m)", "histogram_fraction(0, 1, m)", "histogram_stddev(m)", "m </ 1", "m >/ 0.7",
    "max_over_time(m[3m])", "deriv(m[4m])", "limitk(1, m)", "label_replace(m, 'x', 'y', '', '')", "m or vector(1)",
]  # fmt: skip


@FEW
@given(LINES, LINES, st.sampled_from(QUERIES))
def test_a_range_answer_is_that_of_every_instant(one: list[str], other: list[str], query: str) -> None:
    over = engine(f"m{{a='1'}} {' '.join(one)}\nm{{a='2'}} {' '.join(other)}")
    ranged = steps(over, query, 0, 12)
    for k, at in enumerate(ranged.times.tolist()):
        instant = over.instant(query, at)
        assert isinstance(instant, Vector)
        expected = {
            series: (value, None if instant.histograms is None else instant.histograms[i])
            for i, (series, value) in enumerate(zip(instant.series, instant.values.tolist(), strict=True))
        }
        found = {
            series: (ranged.values[i, k], None if ranged.histograms is None else ranged.histograms[i, k])
            for i, series in enumerate(ranged.series)
            if ranged.present[i, k]
        }
        assert found.keys() == expected.keys()
        for series, (value, histogram) in found.items():
            wanted_value, wanted = expected[series]
            assert (histogram is None) == (wanted is None)
            if histogram is None or wanted is None:
                assert almost_equal(value, wanted_value)
            else:
                assert same(histogram, wanted)


def test_numbers_of_histograms() -> None:
    over = engine("h {{count:4 sum:10 buckets:[1 2 1]}}\ng 1")
    assert ask(over, "histogram_avg({__name__=~'h|g'})") == {(): 2.5}
    assert ask(over, "histogram_count(g)") == {}
    assert ask(over, "scalar({__name__=~'h|g'})") == {(): 1}


EXTENDED = """
load 1m
  h {{count:4 sum:8 buckets:[4]}}+{{count:6 sum:12 buckets:[6]}}x9
  r {{count:10 buckets:[10]}} {{count:20 buckets:[20]}} {{count:4 buckets:[4]}} {{count:8 buckets:[8]}}
  g {{count:1 buckets:[1] counter_reset_hint:gauge}} {{count:5 buckets:[5] counter_reset_hint:gauge}}
  x 1 2 {{count:1 buckets:[1]}} {{count:2 buckets:[2]}}
  k {{count:1 buckets:[1]}} {{schema:-53 count:1 custom_values:[1] buckets:[1]}}
  f 0+6x9
  q 10 20 4 8

# the line is the one of floats: what holds for f holds for the count of h
eval instant at 210s increase(h[2m] smoothed)
  expect no_warn
  {} {{count:12 sum:24 buckets:[12] counter_reset_hint:gauge}}

eval instant at 210s histogram_count(rate(h[2m] smoothed)) - on() rate(f[2m] smoothed)
  {} 0

eval instant at 210s histogram_count(increase(h[2m] anchored)) - on() increase(f[2m] anchored)
  {} 0

eval instant at 210s h smoothed
  h {{count:25 sum:50 buckets:[25]}}

eval instant at 3m increase(r[3m] anchored)
  {} {{count:18 buckets:[18]}}

eval instant at 3m histogram_count(increase(r[90s] smoothed)) - on() increase(q[90s] smoothed)
  {} 0

eval instant at 3m histogram_count(increase(r[170s] smoothed)) - on() increase(q[170s] smoothed)
  {} 0

eval instant at 3m resets(r[3m] anchored)
  {} 1

eval instant at 3m changes(r[3m] anchored)
  {} 3

eval instant at 1m delta(g[1m] smoothed)
  expect no_warn
  {} {{count:4 buckets:[4]}}

eval instant at 1m rate(g[1m] smoothed)
  expect warn msg: PromQL warning: this native histogram metric is not a counter: "g" (1:6)
  {} {{count:0.06666666666666667 buckets:[0.06666666666666667]}}

eval instant at 3m rate(x[3m] anchored)
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for metric name "x" (1:6)

eval instant at 30s x smoothed
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for metric name "x" (1:1)

eval instant at 30s k smoothed
  expect warn regex: mix of histograms with exponential and custom buckets schemas for metric name "k"

eval instant at 1m increase(k[1m] smoothed)
  expect warn regex: mix of histograms with exponential and custom buckets schemas for metric name "k"

eval instant at 10m increase(h[10s] smoothed)
  # nothing is known so far behind the last sample
"""


def test_extended_ranges_take_histograms_as_they_take_floats() -> None:
    assert verdicts(EXTENDED) == []
