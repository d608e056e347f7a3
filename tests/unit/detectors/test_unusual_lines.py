"""Rare kinds of lines, and lines behind one that others follow."""

from __future__ import annotations

import json
from random import Random

import pytest

from detectors.templates import Shares, Step, Steps
from detectors.templates.unusual import MOST_NEXT, SETTLED_LINES, SETTLED_STEPS

CYCLE = ["open", "read", "close"]


def cycles(turns: int) -> Steps:
    steps = Steps()
    assert steps.take("shop", "file", CYCLE * turns) == []
    return steps


def test_a_kind_is_rare_when_the_others_came_ten_thousand_times_as_often() -> None:
    shares = Shares()
    assert shares.take({"usual": SETTLED_LINES - 1, "panic": 1}) == {}
    assert shares.take({"usual": 5, "panic": 2}) == {"panic": 2}
    assert shares.take({"panic": 40}) == {}


def test_a_line_behind_one_that_others_always_follow_is_out_of_order() -> None:
    steps = cycles(SETTLED_STEPS + 1)
    assert steps.take("shop", "file", ["open", "close"]) == [Step("open", "close", ("read",), 1.0, 1)]


def test_nothing_is_out_of_order_before_enough_was_seen() -> None:
    assert cycles(SETTLED_STEPS // 2).take("shop", "file", ["open", "close"]) == []


def test_streams_of_one_service_teach_each_other_and_keep_their_own_place() -> None:
    steps = cycles(SETTLED_STEPS + 1)
    assert steps.take("shop", "other file", ["open"]) == []
    assert steps.take("shop", "file", ["open"]) == []
    assert [step.before for step in steps.take("shop", "other file", ["close"])] == ["open"]
    assert steps.take("bank", "third file", ["open", "close"]) == []


def test_lines_in_any_order_are_never_out_of_order() -> None:
    random, steps = Random(5), Steps()
    kinds = [f"kind {number}" for number in range(MOST_NEXT * 3)]
    found = [steps.take("shop", "file", random.choices(kinds, k=500)) for _ in range(200)]
    assert sum(map(len, found)) == 0


def test_a_new_order_that_stays_becomes_usual() -> None:
    steps = cycles(SETTLED_STEPS * 5)
    told = [len(steps.take("shop", "file", ["open", "close"])) for _ in range(20)]
    assert told[0] == 1
    assert told[-1] == 0


def test_a_kind_that_became_one_with_another_keeps_what_was_learned() -> None:
    steps = cycles(SETTLED_STEPS + 1)
    steps.rename({"read": "fetch", "open": "begin"})
    assert steps.take("shop", "file", ["begin", "fetch", "close"]) == []
    assert [step.usual for step in steps.take("shop", "file", ["begin", "close"])] == [("fetch",)]


@pytest.mark.parametrize("turns", [1, SETTLED_STEPS + 1])
def test_a_restored_state_judges_alike(turns: int) -> None:
    steps = cycles(turns)
    again = Steps.restored(json.loads(json.dumps(steps.state())))
    assert again.take("shop", "file", ["open", "close"]) == steps.take("shop", "new file", ["open", "close"])
    assert again.state() == steps.state()
