"""Tests of the safety kernel are tested themselves: whoever changes it anywhere must break one."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.mutants import code_of, mutants
from support.mutants_warm import exchange
from support.mutation_run import EQUIVALENT, KERNEL, chosen

ROOT = Path(__file__).resolve().parents[3]
SOURCE = '''
"""Words are left alone."""


def allowed(age: int, limit: int = 3) -> bool:
    if age < 0:
        raise ValueError("from the future")
    return age <= limit and not [1 for _ in "ab" if age == 7]
'''


def test_every_mutant_is_another_programme_and_each_can_be_told_from_the_first() -> None:
    found = mutants("allowed", SOURCE)
    told = [mutant.what for mutant in found]
    assert {"condition turned round", "LtE becomes Lt", "And becomes Or", "3 becomes 4", "filter dropped"} <= set(told)
    assert any("raise" in what for what in told)
    codes = [code_of(mutant, SOURCE, "x.py") for mutant in found]
    assert len({marshal.dumps(code) for code in codes}) == len(found)


def test_the_kernel_names_modules_and_tests_that_exist() -> None:
    for module, tests in KERNEL.items():
        place = ROOT.joinpath(*module.split("."))
        assert place.is_dir() or place.with_suffix(".py").exists()
        assert all((Path(__file__).parent / name).exists() for name in tests)


def test_what_is_said_to_be_the_same_programme_is_a_mutant_that_exists() -> None:
    names = {name.partition(":")[0] for name in EQUIVALENT}
    told = {
        str(mutant)
        for name in names
        for mutant in mutants(name, ROOT.joinpath(*name.split(".")).with_suffix(".py").read_text(encoding="utf-8"))
    }
    assert set(EQUIVALENT) <= told


def test_a_change_of_a_function_is_exchanged_and_one_of_a_module_is_imported() -> None:
    lines = (ROOT / "remediation" / "confirm.py").read_text(encoding="utf-8").splitlines()
    at = {line: number for number, line in enumerate(lines, start=1)}
    found = {str(one): exchange(one) for one in chosen(["remediation.confirm"], 1)}
    inside = [change for name, change in found.items() if f":{at['        votes[RULE] = 0']} " in name]
    assert [[(old.co_qualname, old != new) for old, new in change or []] for change in inside] == [[("agreeing", True)]]
    assert found[f"remediation.confirm:{at['LEAVE_AFTER = 10']} 10 becomes 11"] is None


@pytest.mark.long
def test_at_least_nineteen_of_twenty_mutants_of_the_safety_kernel_are_killed() -> None:
    """``LONG_SECONDS`` bounds it; ``SEED`` repeats its order. Survivors are printed."""
    seconds, seed = os.environ.get("LONG_SECONDS", "3600"), os.environ.get("SEED", "1")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    argv = [sys.executable, "-m", "support.mutation_run", "--seconds", seconds, "--seed", seed]
    done = subprocess.run(argv, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0
