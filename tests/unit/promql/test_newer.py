"""Constructs the parser does not know by itself: duration expressions, extended ranges, info() on nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.promql import ask, engine, steps, verdicts

from watchkeeper.errors import QueryError
from watchkeeper.promql import selectors
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
    assert [found[0] for found in verdicts("eval instant at 0 m </ 5")] == ["skipped: construct the parser rejects"]
