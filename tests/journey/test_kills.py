"""Killed at random moments, again and again: nothing kept is lost, no effect is doubled, nobody outlives the parent."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest
from support.killing import RULES, assert_effects, assert_once, machine, one_round, sections
from support.up import running

#: Recorded, so that a run can be repeated.
SEED = 20261122


def kill(folder: Path, seed: int, rounds: int, seconds: float = 600.0) -> int:
    """``rounds`` times each of engine, dashboard, actuator and parent, or as many as fit; answers how many."""
    chance, done, deadline = random.Random(seed), 0, time.monotonic() + seconds
    (folder / "rules").mkdir()
    (folder / "rules" / "mend.yaml").write_text(RULES)
    with machine() as made, running(folder, **sections(made.port)) as up:
        up.sign_in()
        up.ask("POST", "/api/wk/rules/mend/rehearse", {})
        while done < rounds and time.monotonic() < deadline:
            one_round(up, made, chance, patient=done % 3 == 0)
            done += 1
            assert_once(made)
            said = {"seed": seed, "rounds": done, "kills": 4 * done, "effects": len(made.orders)}
            print(json.dumps(said), flush=True)  # a run that is cut off has said what it saw
    assert_effects(up.data, made)
    return done


def test_each_process_is_killed_three_times_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    assert kill(tmp_path, SEED, rounds=3) == 3


@pytest.mark.long
def test_each_process_is_killed_fifty_times_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    assert kill(tmp_path, SEED + 1, rounds=50, seconds=float(os.environ.get("LONG_SECONDS", "3600"))) > 0
