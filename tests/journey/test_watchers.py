"""Three engines on one PostgreSQL, killed and frozen at random moments: one acts, and nothing is ever done twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from support.strikes import estate, judge

from watchkeeper.store.state.lease import TTL

pytestmark = pytest.mark.servers
#: Seconds a machine that is busy with other tests may take for what takes one.
PATIENCE = 120.0
#: Promised: strikes, seconds until somebody acts again, and until whatever was under way has an end.
STRIKES, NEW_LEADER, ENDED = 300, 15.0, 60.0


def programme(tmp_path: Path, seed: int, victims: list[str], *, ttl: float, within: float, seconds: float) -> None:
    chance, deadline = random.Random(seed), time.monotonic() + seconds
    done: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    with estate(tmp_path, ttl) as found:
        found.until(lambda: found.acts(0), PATIENCE)
        for victim in victims:
            if time.monotonic() > deadline:
                break
            strike = found.strike(chance, victim, PATIENCE)
            done[strike.what] += 1
            slowest[strike.what] = max(slowest.get(strike.what, 0.0), strike.seconds)
            print(f"{sum(done.values())} {strike.what}: {strike.seconds:.1f} s, load {os.getloadavg()[0]:.0f}")
        assert sum(done.values()) > 0
        open_now = found.open_actions()
        ended = found.until(lambda: found.open_actions() <= 1, ENDED)
        verdict = judge(found)
    print(f"\nseed {seed}: {sum(done.values())} strikes, {dict(done)}")
    print(f"acted again after at most: { {what: round(took, 1) for what, took in sorted(slowest.items())} }")
    print(f"{open_now} open ended in {ended:.1f} s; longest action {verdict.longest:.1f} s")
    print(f"{sum(verdict.states.values())} actions, {dict(verdict.states)}")
    assert max(slowest.values()) <= within, slowest
    assert verdict.longest <= max(ENDED, within)


def test_killed_and_frozen_at_a_few_moments_one_engine_acts_and_nothing_is_doubled(tmp_path: Path) -> None:
    programme(
        tmp_path, 7, ["leader", "leader", "actuator", "database", "leader"], ttl=2.0, within=PATIENCE, seconds=120
    )


@pytest.mark.long
def test_killed_and_frozen_at_three_hundred_moments_one_engine_acts_and_nothing_is_doubled(tmp_path: Path) -> None:
    """With the lease that engines have. ``LONG_SECONDS`` bounds it, ``SEED`` repeats it."""
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    victims = random.Random(seed).choices(["leader", "actuator", "database", "a"], [5, 2, 2, 1], k=STRIKES)
    seconds = float(os.environ.get("LONG_SECONDS", "3600"))
    programme(tmp_path, seed, victims, ttl=TTL.total_seconds(), within=NEW_LEADER, seconds=seconds)
