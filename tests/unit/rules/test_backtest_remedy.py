"""A remediation rule over history: proposed as the engine would have proposed it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from support.rules import at, newest_over, query_over

from rules import load_text
from rules.backtest import Backtest
from rules.backtest_remedy import backtest_remedy
from rules.unit_tests import run_tests
from watchkeeper.errors import QueryError
from watchkeeper.model import RemedyRule
from watchkeeper.promql import MemoryReader

TEXT = """
remediations:
- name: more
  when: pending > 100
  observers: {waiting: age > 5}
  confirm: 3 of 4
  interval: 15s
  cooldown: 2m
  action: supervisord
  target: jobs
  verify: pending > 100
"""


def rule() -> RemedyRule:
    return load_text(TEXT).remedies[0]


def over(pending: str, age: str, seconds: float = 900, one: RemedyRule | None = None) -> Backtest:
    reader = MemoryReader().load("15s", f"pending {pending}\nage {age}")
    return backtest_remedy(one or rule(), at(0), at(seconds), query_over(reader), newest_over(reader), UTC)


def test_three_of_four_bad_by_two_witnesses_are_one_proposal_and_one_episode() -> None:
    found = over("0x3 200x5 0x60", "0x3 9x5 0x60")
    (episode,) = found.episodes
    assert (episode.active_at, episode.fired_at, episode.peak) == (at(60), at(90), 200.0)
    assert episode.resolved_at == at(285)  # ten good evaluations after the last bad one
    assert (found.kind, list(found.proposals), found.per_day) == ("remediation", [at(90)], {"1970-01-01": 1})
    assert (found.failed, found.pending_only, found.evaluations) == (0, 0, 61)


@pytest.mark.parametrize(("pending", "age"), [("0x3 200 200 0x70", "0x3 9x3 0x70"), ("0x3 200x8 0x60", "0x90")])
def test_too_few_bad_ones_or_a_witness_that_saw_nothing_are_never_proposed(pending: str, age: str) -> None:
    found = over(pending, age)
    assert (list(found.episodes), list(found.proposals), found.pending_only) == ([], [], 1)


def test_what_stays_bad_is_proposed_again_after_each_cooldown() -> None:
    found = over("200x60", "9x60")
    assert [moment - found.proposals[0] for moment in found.proposals[:3]] == [
        timedelta(0),
        timedelta(minutes=2),
        timedelta(minutes=4),
    ]
    (episode,) = found.episodes
    assert episode.resolved_at is None
    assert found.firing == at(900) - episode.fired_at


def test_a_gap_is_unknown_and_neither_good_nor_bad() -> None:
    found = over("0x3 200x5 _x40", "0x3 9x5 _x40")
    assert found.failed >= 30
    assert found.episodes[0].resolved_at is None


def test_a_single_witness_proposes_nothing_and_a_wrong_span_is_refused() -> None:
    assert over("200x60", "9x60", one=replace(rule(), observers={})).proposals == ()
    with pytest.raises(QueryError, match="end after its start"):
        over("200x60", "9x60", seconds=-1)


UNIT = """
rule_files: [rules.yaml]
evaluation_interval: 15s
tests:
- interval: 15s
  input_series:
  - {series: pending, values: '0x3 200x30'}
  - {series: age, values: '0x3 9x30'}
  remediation_test:
  - {eval_time: 75s, rule: more, expect: bad, proposals: 0}
  - {eval_time: 90s, rule: more, proposals: 1}
  - {eval_time: 5m, rule: more, expect: bad, proposals: WANTED}
"""


@pytest.mark.parametrize(("wanted", "failures"), [("2", []), ("7", ["expected 7, got 2"])])
def test_a_unit_test_counts_proposals_until_a_moment(tmp_path: Path, wanted: str, failures: list[str]) -> None:
    (tmp_path / "rules.yaml").write_text(TEXT)
    (tmp_path / "tests.yaml").write_text(UNIT.replace("WANTED", wanted))
    report = run_tests([tmp_path / "tests.yaml"])
    assert report.checks == 5
    assert [one.message.partition(": ")[2] for one in report.failures] == failures
