"""Three engines on one PostgreSQL, killed and frozen at random moments: one acts, and nothing is ever done twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from support.strikes import Strike, estate, judge

from watchkeeper.store.state.lease import TTL

pytestmark = pytest.mark.servers
#: Seconds a machine that is busy with other tests may take for what takes one.
PATIENCE = 120.0
#: Promised: strikes, seconds until somebody leads again, and until whatever was under way has an end.
STRIKES, NEW_LEADER, ENDED = 300, 15.0, 60.0


def programme(tmp_path: Path, seed: int, victims: list[str], *, ttl: float, within: float, seconds: float) -> None:
    chance, deadline = random.Random(seed), time.monotonic() + seconds
    strikes: list[Strike] = []
    with estate(tmp_path, ttl) as found:
        found.until(lambda: found.acts(0), PATIENCE)
        for victim in victims:
            if time.monotonic() > deadline:
                break
            strikes.append(found.strike(chance, victim, PATIENCE))
            print(f"{len(strikes)} {strikes[-1]}, load {os.getloadavg()[0]:.0f}", flush=True)
        assert strikes
        open_now = found.open_actions()
        ended = found.until(lambda: found.open_actions() <= 1, ENDED)
        verdict = judge(found)
    what = Counter(strike.what for strike in strikes)
    slowest = {kind: round(max(one.acted for one in strikes if one.what == kind), 1) for kind in sorted(what)}
    led = max(strike.led for strike in strikes)
    print(f"\nseed {seed}: {len(strikes)} strikes, {dict(what)}")
    print(f"led again after {led:.1f} s at most, acted again after {slowest}")
    print(f"{open_now} open ended in {ended:.1f} s; longest action {verdict.longest:.1f} s")
    print(f"{sum(verdict.states.values())} actions, {dict(verdict.states)}")
    assert led <= within
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
