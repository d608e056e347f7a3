"""Constructs the parser does not know by itself: duration expressions, extended ranges, info() on nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.promql import ask, engine, steps, verdicts

from watchkeeper.errors import QueryError
from watchkeeper.promql import RangeMatrix, selectors
from watchkeeper.promql.arithmetic import evaluate, is_constant
from watchkeeper.promql.rewrite import rewrite


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2m*15", 1800),
        ("1h30m % 1h", 1800),
        ("-5m+35m", 1800),
        ("24m+((1.5*2m)+2m)", 1740),
        ("2^3^2", 512),
        ("-2^2", -4),
        ("1h/2", 1800),
        ("500ms", 0.5),
        ("min_of(step(), 1s)", 1),
        ("max_of(STEP(), range())", 60),
        ("step()*2 - 1", 19),
        ("+5", 5),
    ],
)
def test_duration_expressions_are_worth_seconds(text: str, seconds: float) -> None:
    assert evaluate(text, {"step": 10, "range": 60}) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1 +", "(1", "foo", "1 2", "1/0", "1 % 0", "step", "min_of(1)", "5q"])
def test_broken_duration_expressions_are_refused(text: str) -> None:
    with pytest.raises(QueryError, match="duration expression"):
        evaluate(text, {"step": 1, "range": 1})


def test_an_expression_knows_whether_it_needs_the_query() -> None:
    assert is_constant("2m*15")
    assert not is_constant("2 * STEP()")


def test_duration_expressions_work_in_queries() -> None:
    over = engine("m 0+1x20")
    assert ask(over, "count_over_time(m[1m*5])", 10) == {(): 5}
    assert ask(over, "m offset (1m+1m)", 10) == {("m",): 8}
    assert ask(over, "m offset -(1m*2)", 10) == {("m",): 12}
    assert ask(over, "count_over_time(m[2m*2:1m/2])", 10) == {(): 8}
    assert steps(over, "count_over_time(m[step()*2])", 10, 12).values.tolist() == [[2, 2, 2]]
    assert steps(over, "m offset step()", 10, 12).values.tolist() == [[9, 10, 11]]
    with pytest.raises(QueryError, match="duration must be greater than 0"):
        ask(over, "count_over_time(m[1m-1m])", 10)


def test_a_constant_expression_is_known_to_lint() -> None:
    assert [found[1] for found in selectors("rate(m[2m*3])")] == [timedelta(minutes=6)]


def test_words_in_strings_and_metric_names_stay_what_they_are() -> None:
    text = 'sum by (smoothed) (anchored{a="x[1+1]"}) + smoothed'
    assert rewrite(text, empty=False).text == text
    assert rewrite("m{a='b',} smoothed", empty=False).text.count("__watchkeeper_mode__") == 1
    with pytest.raises(QueryError, match="unclosed left parenthesis"):
        rewrite("m offset (1 + 2", empty=False)


def test_info_may_select_by_what_matches_the_empty_but_nothing_else_may() -> None:
    over = "m{instance='a', job='j'} 1\ntarget_info{instance='a', job='j', v='1'} 1"
    assert ask(over, 'info(m, {v=~".*"})') == {("a", "j", "1", "m"): 1}
    with pytest.raises(QueryError, match="at least one non-empty matcher"):
        ask(over, '{v=~".*"}')
    with pytest.raises(QueryError, match="at least one non-empty matcher"):
        ask(over, 'info({v=~".*"}, {v=~".*"})')


def test_a_query_wrong_in_any_words_keeps_the_first_complaint() -> None:
    ((outcome, _, reason),) = verdicts("eval instant at 0 m smoothed smoothed")
    assert (outcome, "parse error" in reason) == ("failed", True)


EXTENDED = """
load 1m
  steady_total 0+60x10
  reset_total 0 100 200 50 150
  lone_total _ 5

# (1.5m, 3.5m]: anchored goes from the sample at 1m to the one at 3m
eval instant at 210s increase(steady_total[2m] anchored)
  {} 120

eval instant at 210s rate(steady_total[2m] anchored)
  {} 1

# smoothed goes from the line at 1.5m (90) to the line at 3.5m (210)
eval instant at 210s increase(steady_total[2m] smoothed)
  {} 120

eval instant at 150s delta(steady_total[1m] smoothed)
  {} 60

# anchored: 100 (1m) -> 200 -> 50 (3m): 200 are lost
eval instant at 210s increase(reset_total[2m] anchored)
  {} 150

eval instant at 210s delta(reset_total[2m] anchored)
  {} -50

# smoothed: 150 at 1.5m, 200, 50, then 100 at 3.5m on the way to 150
eval instant at 210s increase(reset_total[2m] smoothed)
  {} 150

eval instant at 210s resets(reset_total[2m] anchored)
  {} 1

eval instant at 210s changes(reset_total[2m] anchored)
  {} 2

eval instant at 210s changes(reset_total[2m])
  {} 1

# between 200 and 50 the counter restarted at 0: half way it stood at 25
eval instant at 150s increase(reset_total[30s] smoothed)
  {} 25

# nothing inside the window is no answer, however near the samples are
eval instant at 12m increase(steady_total[1m] anchored)

# one sample is a start of its own
eval instant at 2m increase(lone_total[2m] anchored)
  {} 0

eval instant at 90s steady_total smoothed
  steady_total 90

eval instant at 11m steady_total smoothed
  steady_total 600

eval instant at 30s lone_total smoothed

eval range from 0 to 1m step 30s reset_total smoothed
  reset_total 0 50 100

eval instant at 0 lone_total anchored
  expect fail msg: anchored modifier is not supported for instant selectors

eval instant at 0 sum_over_time(m[1m] anchored)
  expect fail regex: ^anchored modifier can only be used with: changes, delta, .* - not with sum_over_time$

eval instant at 0 resets(m[1m] smoothed)
  expect fail msg: smoothed modifier can only be used with: delta, increase, rate - not with resets
"""


def test_extended_ranges_reach_the_edges_of_their_windows() -> None:
    assert verdicts(EXTENDED) == []


def test_extended_ranges_cope_with_gaps() -> None:
    over = engine("c_total{i='full'} 0+60x9\nc_total{i='gap'} 0 60 _ _ 240 300 _ 420")
    assert ask(over, "increase(c_total[2m] smoothed)", 3.5) == {("full",): 120, ("gap",): 120}
    assert ask(over, "increase(c_total[2m] anchored)", 4) == {("full",): 120, ("gap",): 180}


def test_the_samples_of_an_extended_range_have_one_at_each_edge() -> None:
    over = engine("m 0+60x9")
    for mode, wanted in (("anchored", [60, 120, 180, 180]), ("smoothed", [90, 120, 180, 210])):
        answer = over.instant(f"m[2m] {mode}", 210_000)
        assert isinstance(answer, RangeMatrix)
        assert answer.times.tolist() == [90_000, 120_000, 180_000, 210_000]
        assert answer.values.tolist() == [wanted]


STARTS = """
load 1m
  c_total{i="known"}@st _ -30s -90s -150s
  c_total{i="known"}    _ 60   120  180
  c_total{i="delta"}@st _ _    -1m  -1m
  c_total{i="delta"}    _ _    60   60
  c_total{i="hidden"}@st _ -30s -90s -10s
  c_total{i="hidden"}    _ 60   120  180
  c_total{i="none"}     _ 60   120  180
  c_total{i="wrong"}@st _ -30s -100s -150s
  c_total{i="wrong"}    _ 60   120  180
  lone_total@st         _ -30s
  lone_total            _ 60

# the counter is known to have stood at zero 30 s after the start: 180 in 150 s, and nothing to extrapolate
eval instant at 3m increase(c_total{i="known"}[3m])
  expect no_warn
  {i="known"} 180

# what began anew between samples counts in full
eval instant at 3m resets(c_total{i=~"hidden|delta|none"}[3m])
  {i="delta"} 1
  {i="hidden"} 1
  {i="none"} 0

eval instant at 3m irate(c_total{i=~"hidden|none"}[3m])
  {i="hidden"} 3
  {i="none"} 1

eval instant at 1m increase(lone_total[1m])
  {} 60

eval instant at 3m rate(c_total{i="wrong"}[3m])
  expect warn regex: sample has start time that overlaps with previous sample timestamp for metric "c_total"
  {i="wrong"} 1

eval instant at 2m start_timestamp(c_total{i=~"known|none"})
  {i="known"} 30
  {i="none"} 0

eval instant at 2m start_timestamp(c_total * 1)

eval instant at 2m start_timestamp(nope)
"""


def test_start_timestamps_betray_resets() -> None:
    assert verdicts(STARTS) == []


def test_type_and_unit_go_with_the_name() -> None:
    over = 'm{__type__="gauge", __unit__="s", a="b"} 4'
    assert ask(over, "sqrt(m)") == {("b",): 2}
    assert ask(over, "m * 2") == {("b",): 8}
    assert ask(over, "m") == {("gauge", "s", "b", "m"): 4}


def test_histogram_trim_operators_leave_floats_out_and_mean_nothing_inside_text() -> None:
    assert ask("m 1", "m </ 5") == {}
    with pytest.raises(QueryError, match='operator "</" is not defined between two numbers'):
        ask("m 1", "1 </ bool 5")
    assert ask('m{a="</"} 1', 'm{a="</"}') == {("</", "m"): 1}


def test_a_pinned_query_is_asked_once_and_stands_at_every_step() -> None:
    over = engine("m_total 0+60x20")
    assert steps(over, "rate(m_total[5m] @ 600)", 1, 3).values.tolist() == [[1, 1, 1]]
    assert steps(over, "max_over_time(m_total[5m:1m] @ 600)", 1, 3).values.tolist() == [[600, 600, 600]]


def test_times_before_1970_and_lines_between_digits_are_understood() -> None:
    over = engine("m 0+1x9")
    assert ask(over, "m @ -60 offset -3m") == {("m",): 2}
    assert ask(over, "sum_over_time(m[2m:1m] @ - 60 offset -5m)") == {(): 7}
    assert ask(over, 'm{a!="@ -1"}', 1) == {("m",): 1}
    assert ask(over, "1_000 + 0x_1F") == {(): 1031}


def test_remarks_about_numbers_point_at_them_sign_included() -> None:
    over = engine("m 0+1x9")
    assert over.instant("limit_ratio(-2, m)", 0).warnings == [
        "PromQL warning: ratio value should be between -1 and 1, got -2, capping to -1 (1:13)"
    ]
    assert over.instant("quantile(NaN, m)", 0).warnings[0].endswith("got NaN (1:10)")
    assert over.instant("quantile(( -1), m)", 0).warnings[0].endswith("got -1 (1:12)")
