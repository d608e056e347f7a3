"""What was seen while we were cut off, and what reaches back to then, never confirms a fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.hours import PARTITIONS, Hours

from remediation.cuts import Cuts
from watchkeeper.promql import reach

NAMED = {partition.name: partition for partition in PARTITIONS}


class Scripted(Hours):
    """Nothing befalls the watcher but what a test says."""

    def _befall(self) -> None:
        pass

    def divide(self, name: str, seconds: float) -> None:
        self.partition, self.until = NAMED[name], self.clock.monotonic() + seconds
        self.run(seconds / 3600)

    def refused_by(self) -> set[str]:
        return {str(record.progress.get("gate")) for record in self.records() if record.progress.get("gate")}


@pytest.fixture
def hours(tmp_path: Path) -> Iterator[Scripted]:
    with closing(Scripted(tmp_path, 7)) as made:
        made.run(0.05)
        yield made


def test_errors_of_our_own_cut_confirm_nothing_after_it(hours: Scripted) -> None:
    hours.divide("of our own uplink", 75)
    hours.divide("from the primary's site", 180)
    assert hours.pool.executed() == 0
    assert hours.refused_by() == {"isolation"}


def test_without_that_memory_they_would(hours: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cuts, "look", lambda *_: False)
    hours.divide("of our own uplink", 75)
    hours.divide("from the primary's site", 180)
    assert hours.pool.executed() == 1


def test_a_fault_that_outlives_the_cut_is_mended_once_everything_seen_is_newer(hours: Scripted) -> None:
    hours.fault = lambda _now: True
    hours.divide("of our own uplink", 75)
    assert hours.pool.executed() == 0
    took = hours.run(1, enough=lambda: hours.pool.executed() > 0) * 3600
    assert 90 <= took <= 240  # a minute of rate, two intervals, and three looks that confirm
    assert hours.pool.executed() == 1


def test_canaries_that_are_slower_than_the_rule_are_waited_for(hours: Scripted) -> None:
    hours.canary_every, hours.beats = 20, 0
    hours.run(15 / 3600)  # the canaries have just answered
    hours.divide("of our own uplink", 150)
    assert hours.pool.executed() == 0


def test_a_fault_waits_for_the_next_answer_of_a_slow_canary_and_no_longer(hours: Scripted) -> None:
    hours.canary_every, hours.beats = 20, 0
    hours.run(15 / 3600)
    hours.fault = lambda _now: True
    took = hours.run(1, enough=lambda: hours.pool.executed() > 0) * 3600
    assert 285 <= took <= 300


@pytest.mark.parametrize(
    ("expr", "seconds"),
    [
        ("up == 0", 0),
        ("rate(x[5m]) > 0", 300),
        ("x offset 1m > 0", 60),
        ("max_over_time(rate(x[1m])[10m:30s] offset 2m) > sum(rate(y[5m]))", 780),
        ("vector(1)", 0),
    ],
)
def test_the_reach_of_a_query_is_its_longest_look_back(expr: str, seconds: float) -> None:
    assert reach(expr).total_seconds() == seconds
