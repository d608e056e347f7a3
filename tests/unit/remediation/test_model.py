"""The model of lease, intent, actuator and effect, exhausted by Spin; and what it finds once a safeguard is gone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.servers import need

pytestmark = pytest.mark.servers
MODEL = Path(__file__).resolve().parents[2] / "models" / "lease.pml"
SMALL = ("-DENGINES=2", "-DACTIONS=2", "-DLEASES=3")
#: Steps of the longest way that is followed; the longest there is has 85.
DEPTH = 10_000


def exhausted(folder: Path, *options: str, seconds: float = 120) -> tuple[int, int]:
    """(states, errors) of the whole model."""
    commands = (
        [need("spin"), "-a", *options, str(MODEL)],
        [need("gcc"), "-O1", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"],
    )
    for argv in commands:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=seconds)
        assert done.returncode == 0, done.stdout + done.stderr
    told = subprocess.run(
        [folder / "pan", f"-m{DEPTH}"], cwd=folder, capture_output=True, text=True, check=False, timeout=seconds
    )
    assert "max search depth too small" not in told.stdout
    states, errors = re.search(r"(\d+) states, stored", told.stdout), re.search(r"errors: (\d+)", told.stdout)
    assert states is not None
    assert errors is not None
    return int(states[1]), int(errors[1])


def test_two_engines_that_sleep_and_die_at_any_step_double_nothing_and_do_nothing_stale(tmp_path: Path) -> None:
    states, errors = exhausted(tmp_path, *SMALL)
    assert errors == 0
    assert states > 50_000


@pytest.mark.parametrize("gone", [("-DNO_FENCE",), ("-DNO_REVOKE",), ("-DNO_KEY", "-DNO_TOKEN")], ids="".join)
def test_without_a_safeguard_the_model_finds_how_it_goes_wrong(tmp_path: Path, gone: tuple[str, ...]) -> None:
    _, errors = exhausted(tmp_path, *SMALL, *gone)
    assert errors == 1


@pytest.mark.long
def test_three_engines_and_four_leases(tmp_path: Path) -> None:
    states, errors = exhausted(tmp_path, seconds=600)
    print(f"\n{states} states, {errors} errors")
    assert errors == 0
