"""Levels of service: when a step down or up is asked for, and that unknown asks for none."""

from __future__ import annotations

import re

import pytest
from support.rules import at, newest_over, query_over

from rules import load_text
from rules.observe import observe
from watchkeeper.errors import ConfigError
from watchkeeper.model import Mode, RemedyRule
from watchkeeper.promql import MemoryReader

TEXT = """
ladders:
- name: planner
  action: feature_flag
  target: planner
  service: planner
  level: planner_level
  budget: 30s
  dwell: 5m
  interval: 15s
  cooldown: 1m
  mode: auto
  owner: lin@example.com
  observers: {users: "complaints > 0"}
  levels:
    - {name: FULL, timeout: 15s, state: {mode: full}}
    - {name: CACHED, timeout: 10s, state: {mode: cached}, enter: good_ratio < 0.9, leave: good_ratio > 0.98}
    - {name: TEMPLATE, timeout: 5s, state: {mode: template}, enter: good_ratio < 0.5, leave: good_ratio > 0.8}
"""
DOWN_1, DOWN_2, UP_1, UP_2 = "planner:CACHED", "planner:TEMPLATE", "planner:back:FULL", "planner:back:CACHED"


def rules() -> dict[str, RemedyRule]:
    return {rule.name: rule for rule in load_text(TEXT).remedies}


def asked(ratio: str, level: str, seconds: float = 450) -> set[str]:
    """Steps that the rule itself and all of its observers ask for, at the end of these series."""
    reader = MemoryReader().load("15s", f"good_ratio {ratio}\nplanner_level {level}\ncomplaints 5x60")
    query, newest = query_over(reader), newest_over(reader)
    found = {name: observe(rule, at(seconds), query, newest) for name, rule in rules().items()}
    return {name for name, seen in found.items() if seen.bad is True and all(seen.observers.values())}


@pytest.mark.parametrize(
    ("ratio", "level", "steps"),
    [
        ("0.99x60", "0x60", set()),
        ("0.8x60", "0x60", {DOWN_1}),
        ("0.3x60", "0x60", {DOWN_2}),  # the deepest that is asked for, at once
        ("0.3x60", "1x60", {DOWN_2}),
        ("0.8x60", "1x60", set()),  # it is there already
        ("0.3x60", "2x60", set()),
        ("0.99x60", "1x60", {UP_1}),
        ("0.99x60", "2x60", {UP_2}),  # one level at a time
        ("0.85x60", "2x60", {UP_2}),  # good enough to leave the deepest, and for the one above no better
        ("0.95x60", "1x60", set()),  # between enter and leave: hysteresis
    ],
)
def test_a_step_is_asked_for_by_its_own_entry_or_exit(ratio: str, level: str, steps: set[str]) -> None:
    assert asked(ratio, level) == steps


@pytest.mark.parametrize(
    ("ratio", "level"),
    [
        ("0.99x20 _x3 0.99x40", "1x60"),  # a gap in the dwell
        ("0.8x20 0.99x40", "1x60"),  # not good for the whole of it
        ("0.99x60", "2x20 1x40"),  # not at this level for the whole of it
        ("0.99x60", "_x60"),  # nobody says which level it is
        ("NaNx60", "1x60"),
        ("NaNx60", "0x60"),
    ],
)
def test_what_is_not_known_or_not_long_enough_leads_nowhere(ratio: str, level: str) -> None:
    assert asked(ratio, level) == set()


def test_every_step_is_a_rule_with_the_ladders_own_terms_and_a_state_to_reach() -> None:
    found = rules()
    assert list(found) == [DOWN_1, DOWN_2, UP_1, UP_2]
    assert {rule.mode for rule in found.values()} == {Mode.AUTO}
    assert found[DOWN_2].parameters == {"state": {"mode": "template"}}
    assert found[UP_1].parameters == {"state": {"mode": "full"}}
    assert found[DOWN_1].verify == "max(planner_level) < 1"
    assert len({rule.version for rule in found.values()}) == 4


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("timeout: 15s", "timeout: 30s", "take 30s + 10s + 5s = 45s, more than 30s"),
        ("dwell: 5m", "dwell: 5s", "not be shorter than interval"),
        ("name: TEMPLATE", "name: CACHED", "names that differ"),
        ("state: {mode: full}}", "state: {mode: full}, enter: x > 1}", "the best level"),
        ("state: {mode: cached}, ", "", "must be a mapping"),
        ("good_ratio > 0.98", "good_ratio >", "leave"),
        ("budget: 30s", "budgets: 30s", "not a known key"),
    ],
)
def test_a_mistake_names_its_place(was: str, now: str, says: str) -> None:
    assert was in TEXT
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_text(TEXT.replace(was, now, 1))
