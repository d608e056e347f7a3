"""kill -9 at any moment: what was acknowledged is there, once, and nothing that was never sent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from support.samples import NOON, SMALL, assert_balanced

from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.model.series import IntArray
from watchkeeper.store.samples import EmbeddedStore

APPENDER = Path(__file__).with_name("appender.py")
TESTS = APPENDER.parents[3]


def append_until_killed(directory: Path, first: int, seconds: float) -> int:
    """The last acknowledged number; -1 when none was. The process lives ``seconds`` after it is ready."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    command = [sys.executable, str(APPENDER), str(directory), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        end, last = monotonic() + seconds, -1
        while monotonic() < end:
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
    return max([last, *(int(line) for line in rest if line)])


def numbers_in(directory: Path) -> IntArray:
    """Numbers of the ticks the store holds, each checked value by value."""
    clock = ManualClock(NOON + timedelta(days=10))
    store = EmbeddedStore(directory, clock=clock, sizes=SMALL, block_span=timedelta(minutes=30))
    matrices = store.select([], 0, 1 << 60)
    assert store.stats()["damaged_frames"] == 0
    assert_balanced(store.stats())
    store.close()
    if not matrices:
        return np.empty(0, dtype=np.int64)
    (matrix,) = matrices
    numbers = (matrix.times - to_ms(NOON)) // 2_000
    assert matrix.present.all()
    places = [int(dict(series)["__name__"][1:]) for series in matrix.series]
    assert np.array_equal(matrix.values, numbers[None, :] * 1000.0 + np.array(places)[:, None])
    return numbers


def kill_and_check(directory: Path, kills: int, seed: int) -> None:
    chance, first = random.Random(seed), 0
    for turn in range(kills):
        acknowledged = append_until_killed(directory, first, chance.uniform(0.0, 0.5))
        numbers = numbers_in(directory)
        assert np.array_equal(numbers, np.arange(len(numbers))), (seed, turn)  # no gap, no double
        assert len(numbers) > acknowledged, (seed, turn)
        first = len(numbers)
    assert first > 0


def test_acknowledged_ticks_survive_kill_9(tmp_path: Path) -> None:
    kill_and_check(tmp_path, kills=3, seed=20261122)


@pytest.mark.long
def test_acknowledged_ticks_survive_two_hundred_kills(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    kill_and_check(tmp_path, kills=200, seed=seed)
