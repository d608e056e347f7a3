"""Binary operators and vector matching."""

from __future__ import annotations

import pytest
from support.promql import ask, engine, steps, verdicts

from watchkeeper.errors import QueryError

SCRIPT = """
load 1m
  a{i="1"} 6
  a{i="2"} 8
  b{i="1"} 3
  b{i="3"} 5
  many{i="1", k="x"} 10
  many{i="1", k="y"} 20
  role{i="1", role="db"} 2

eval instant at 0 a + b
  {i="1"} 9

eval instant at 0 a - b
  {i="1"} 3

eval instant at 0 a * b
  {i="1"} 18

eval instant at 0 a / b
  {i="1"} 2

eval instant at 0 a % 4
  {i="1"} 2
  {i="2"} 0

eval instant at 0 2 ^ a
  {i="1"} 64
  {i="2"} 256

eval instant at 0 a > b
  a{i="1"} 6

eval instant at 0 a > bool b
  {i="1"} 1

eval instant at 0 a < 7
  a{i="1"} 6

eval instant at 0 7 < a
  a{i="2"} 8

eval instant at 0 a == bool 6
  {i="1"} 1
  {i="2"} 0

eval instant at 0 1 + 2 * 3 ^ 2
  19

eval instant at 0 1 >= bool 2
  0

eval instant at 0 1 / 0
  Inf

eval instant at 0 a and b
  a{i="1"} 6

eval instant at 0 a unless b
  a{i="2"} 8

eval instant at 0 a or b
  a{i="1"} 6
  a{i="2"} 8
  b{i="3"} 5

eval instant at 0 a and on() vector(1)
  a{i="1"} 6
  a{i="2"} 8

eval instant at 0 many * on(i) group_left(role) role
  {i="1", k="x", role="db"} 20
  {i="1", k="y", role="db"} 40

eval instant at 0 role * on(i) group_right(role) many
  {i="1", k="x", role="db"} 20
  {i="1", k="y", role="db"} 40

eval instant at 0 many > on(i) group_left role
  many{i="1", k="x"} 10
  many{i="1", k="y"} 20

eval instant at 0 a + on(i) b
  {i="1"} 9

eval instant at 0 many * ignoring(k, role) role
  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval instant at 0 a + ignoring(k) many
  expect fail regex: many-to-many matching not allowed: matching labels must be unique on one side

eval instant at 0 many * on(i) group_left(i) many
  expect fail regex: found duplicate series for the match group

eval instant at 0 nope + a
"""


def test_operators_answer_as_prometheus_does() -> None:
    assert verdicts(SCRIPT) == []


def test_the_duplicate_message_names_side_group_and_series() -> None:
    with pytest.raises(QueryError) as caught:
        ask("a{i='1'} 1\nb{i='1', k='x'} 1\nb{i='1', k='y'} 2", "a + on(i) b")
    assert caught.value.kind == "execution"
    assert str(caught.value) == (
        'found duplicate series for the match group {i="1"} on the right hand-side of the operation: '
        '[{__name__="b", i="1", k="y"}, {__name__="b", i="1", k="x"}];'
        "many-to-many matching not allowed: matching labels must be unique on one side"
    )


def test_series_that_take_turns_on_the_one_side_do_not_clash() -> None:
    over = engine("a 1 1\nb{v='old'} 2 stale\nb{v='new'} _ 3")
    assert steps(over, "a + on() b", 0, 1).values.tolist() == [[3, 4]]


def test_grouping_labels_must_tell_the_results_apart() -> None:
    with pytest.raises(QueryError, match="grouping labels must ensure unique matches"):
        ask("m{k='x'} 1\nm{k='y'} 2\none{k='z'} 3", "m * on() group_left(k) one")


def test_missing_partners_are_filled_where_asked() -> None:
    over = "a{i='1'} 1\na{i='2'} 2\nb{i='2'} 20\nb{i='3'} 30"
    assert ask(over, "a + fill(0) b") == {("1",): 1, ("2",): 22, ("3",): 30}
    assert ask(over, "a + fill_left(5) b") == {("2",): 22, ("3",): 35}
    assert ask(over, "a + fill_right(7) b") == {("1",): 8, ("2",): 22}


def test_or_joins_the_same_series_over_time() -> None:
    over = engine("a 1 stale 3\nb _ 2 _")
    answer = steps(over, 'label_replace(a, "__name__", "x", "", "") or label_replace(b, "__name__", "x", "", "")', 0, 2)
    assert answer.series == ((("__name__", "x"),),)
    assert answer.values.tolist() == [[1, 2, 3]]


def test_names_that_become_equal_are_an_error_and_not_a_guess() -> None:
    with pytest.raises(QueryError, match="vector cannot contain metrics with the same labelset"):
        ask("a 1\nb 2", '{__name__=~"a|b"} * 2')
