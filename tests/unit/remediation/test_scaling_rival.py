"""Somebody else's controller on the same pool: it is noticed, and never fought."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from support.rival import Rivalry

#: Promised: so many seeds of a day each; whenever the tests run two of a few hours.
SEEDS, HOURS = 500, 24.0


def day(folder: Path, seed: int, hours: float, rival_every: float) -> tuple[int, int]:
    """Changes of ours and of theirs."""
    folder.mkdir()
    with closing(Rivalry(folder, seed, rival_every=rival_every)) as world:
        world.run(hours)
        assert world.fights() == [], seed
        return world.ours(), len(world.pool.changes) - world.ours()


def test_without_a_rival_the_pool_follows_the_load(tmp_path: Path) -> None:
    ours, theirs = day(tmp_path / "alone", 1, 6.0, 0.0)
    assert ours >= 3
    assert theirs == 0


def test_with_a_rival_no_change_of_ours_undoes_one_of_the_last_minutes(tmp_path: Path) -> None:
    busy = [day(tmp_path / f"{seed}", seed, 3.0, 120.0) for seed in (2, 3)]
    assert min(theirs for _, theirs in busy) > 10
    seldom = day(tmp_path / "seldom", 4, 6.0, 7200.0)  # it sleeps for hours: we act in between, and it wakes
    assert seldom[0] > 0


@pytest.mark.long
def test_in_five_hundred_days_with_a_rival_nothing_is_fought_over(tmp_path: Path) -> None:
    """``LONG_SECONDS`` bounds it; what was reached is printed, with its seeds."""
    first, deadline = (
        int(os.environ.get("SIMULATION_SEED", "5000")),
        time.monotonic() + float(os.environ.get("LONG_SECONDS", "3600")),
    )
    done = ours = theirs = 0
    while done < SEEDS and time.monotonic() < deadline:
        seed = first + done
        mine, other = day(tmp_path / f"{seed}", seed, HOURS, (60.0, 300.0, 1800.0, 7200.0)[seed % 4])
        done, ours, theirs = done + 1, ours + mine, theirs + other
    print(f"\n{done} of {SEEDS} seeds from {first}, {HOURS:g} h each: {ours} changes of ours, {theirs} theirs")
    assert done > 0
