"""A backlog, a real supervisord, a real Watchkeeper: more workers within seconds, fewer only in a known calm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import scaling_runs as runs
from support.kept import Kept, kept_for
from support.scaling import CALM, IN, LEAST, MOST, OUT, Pool, pool

pytestmark = pytest.mark.servers

#: One estate for all tests, on each store.
kept = kept_for("module")


@pytest.fixture(scope="module")
def jobs(kept: Kept) -> Iterator[Pool]:
    with pool(foreign_hold="10s") as found:
        yield found


def test_a_burst_brings_the_workers_that_it_needs_within_thirty_seconds_and_without_a_person(jobs: Pool) -> None:
    found = runs.one_burst(jobs)
    assert found.to_count <= 30
    assert (found.count, found.effects) == (MOST, 1)
    (done,) = jobs.effects(OUT)
    assert (done["state"], done["risk"], done["plan"]["parameters"]) == ("succeeded", "A2", {"count": MOST})
    assert "awaiting_approval" not in runs.path(jobs, done)


def test_a_gap_takes_nobody_away_and_a_known_calm_takes_one_at_a_time(jobs: Pool) -> None:
    found = runs.way_back(jobs)
    assert found.during_gap == 0
    assert found.first_after >= CALM - 1
    assert (found.largest, found.least, found.reversals, found.waited) == (1, LEAST, 0, 0)
    assert {row["risk"] for row in jobs.effects(IN)} == {"A3"}


def test_what_somebody_else_changed_is_left_alone_for_the_hold_off(jobs: Pool) -> None:
    found = runs.hands_off(jobs, 10.0)
    assert found.ours_within == 0
    assert found.noticed_after < 10
    assert found.refusals >= 1
    assert found.acted_after >= 10 - 1
