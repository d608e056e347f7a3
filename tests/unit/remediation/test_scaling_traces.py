"""Generated loads: what is not known never takes anybody away, and what goes up does not come down at once."""

from __future__ import annotations

import math
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from support.scaling_traces import BEAT, LOOKS, REST, Load, Pool, holes, load, reversals, rules

from remediation.scaling import wanted
from watchkeeper.model import Scale

#: Promised: so many traces; so many of them whenever the tests run.
PROMISED, SAMPLE, BEATS = 200_000, 150, 120
PER_ROUND = 1000
DAY = int(86_400 / BEAT.total_seconds())


def check(seed: int) -> int:
    """One trace, with and without its holes; answers how often the size changed."""
    chance = random.Random(seed)
    values, scales = load(chance, BEATS), rules(chance)
    running = chance.randint(scales[0].min, scales[0].max)
    whole, spoiled = Load(values, np.ones(BEATS, bool)), holes(chance, values)
    pool = Pool(scales, running)
    for beat in range(BEATS):
        whole.beat = spoiled.beat = beat
        out, calm = scales
        with_holes = pool.decisions(spoiled)
        assert with_holes["out"] >= pool.running, (seed, beat)
        if spoiled.known[beat] < min(beat + 1, LOOKS):  # elsewhere both loads are the same
            assert with_holes["in"] >= pool.decide(calm, whole), (seed, beat)  # a hole never lowers the result
        if spoiled.known[beat] < LOOKS:
            assert with_holes["in"] == pool.running, (seed, beat)
        for scale in (out, calm):
            assert abs(with_holes[scale.direction] - pool.running) <= scale.step, (seed, beat)
        pool.beat(spoiled, with_holes)
        assert min(running, out.min) <= pool.running <= max(running, out.max), (seed, beat)
    assert all(gap >= 2 * REST for gap in reversals(pool.changes)), (seed, pool.changes)
    return len(pool.changes)


def test_a_sample_of_the_promised_traces() -> None:
    changes = sum(check(seed) for seed in range(SAMPLE))
    assert changes > SAMPLE  # they were tempted


@pytest.mark.long
def test_all_of_the_promised_traces() -> None:
    """``LONG_SECONDS`` bounds it; what was reached is printed, with its seeds."""
    first = int(os.environ.get("SIMULATION_SEED", "1000000"))
    deadline = time.monotonic() + float(os.environ.get("LONG_SECONDS", "3600"))
    done = changes = 0
    with ProcessPoolExecutor(initializer=os.nice, initargs=(10,)) as pool:
        while done < PROMISED and time.monotonic() < deadline:
            changes += sum(pool.map(check, range(first + done, first + done + PER_ROUND), chunksize=50))
            done += PER_ROUND
    print(f"\n{done} of {PROMISED} traces, seeds {first} to {first + done - 1}, {changes} changes, 0 violations")
    assert done > 0


@pytest.mark.parametrize(("level", "period"), [(4.4, 333), (10.0, DAY), (33.3, 40)])
def test_a_sine_of_eight_percent_changes_nothing_in_a_day(level: float, period: int) -> None:
    """After the first day, in which the size finds its place."""
    beats = np.arange(2 * DAY)
    values = 40.0 * level * (1 + 0.08 * np.sin(2 * math.pi * beats / period))
    common = {"load": "load", "per_worker": 40.0, "min": 1, "max": 1000, "tolerance": 0.1}
    scales = (
        Scale(direction="out", step=100, **common),  # type: ignore[arg-type]
        Scale(direction="in", step=1, **common),  # type: ignore[arg-type]
    )
    pool, seen = Pool(scales, math.ceil(level)), Load(values, np.ones(len(values), bool))
    for beat in range(2 * DAY):
        seen.beat = beat
        pool.beat(seen)
    assert [change for change in pool.changes if change[0] >= DAY] == []
    assert len(pool.changes) <= 30


def test_busy_minutes_that_nobody_saw_take_nobody_away() -> None:
    """The greatest known load of the window would: the programme above can tell."""
    busy = np.full(BEATS, 100.0)
    busy[60:80] = 900.0
    present = np.ones(BEATS, bool)
    present[60:80] = False
    calm = Scale(direction="in", load="load", per_worker=100.0, min=1, max=20, step=1)
    pool, seen = Pool((calm, calm), 9), Load(busy, present)
    seen.beat = 82
    assert wanted(calm, float(seen.most[82]), 9).count == 8
    assert pool.decide(calm, seen) == 9
