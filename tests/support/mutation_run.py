"""The safety kernel's mutants, tried one after the other until the time is over: ``python -m support.mutation_run``.

A process of its own: it has imported all but the package that is changed, so that a mutant costs its tests alone.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import random
import sys
import time
from collections.abc import Sequence

from support.mutants import UNCHANGED, Mutant, killed, mutants, path_of
from support.mutants_warm import exchange, tried

HERE = "tests/unit/remediation/"
KERNEL_TESTS = ("test_kernel.py", "test_kernel_parts.py", "test_kernel_edges.py", "test_kernel_hands.py")
#: Module of the kernel -> the tests that must notice a change of it, quick ones first.
KERNEL: dict[str, tuple[str, ...]] = {
    "remediation.gates": ("test_gates.py", *KERNEL_TESTS),
    "remediation.gates.authority": ("test_gates.py", *KERNEL_TESTS, "test_scaling.py"),
    "remediation.gates.base": ("test_gates.py", *KERNEL_TESTS),
    "remediation.gates.evidence": ("test_gates.py", *KERNEL_TESTS, "test_cuts.py"),
    "remediation.gates.limits": ("test_gates.py", *KERNEL_TESTS),
    "remediation.gates.target": ("test_gates.py", *KERNEL_TESTS, "test_links.py"),
    "remediation.approval": ("test_gates.py", *KERNEL_TESTS, "test_scaling.py"),
    "remediation.breakers": ("test_breakers.py", "test_gates.py", *KERNEL_TESTS),
    "remediation.confirm": ("test_gates.py", *KERNEL_TESTS, "test_links.py"),
    "remediation.killswitch": (*KERNEL_TESTS, "test_people.py"),
    "remediation.people": (*KERNEL_TESTS, "test_people.py"),
    "remediation.actuator.core": ("test_actuator.py", *KERNEL_TESTS),
    "remediation.actuator.journal": ("test_actuator.py", *KERNEL_TESTS),
}
#: What tests of remediation import beside it.
BESIDE = (
    "hypothesis.stateful", "pytest", "_pytest.assertion.rewrite", "pytest_asyncio", "sqlalchemy.dialects.sqlite",
    "watchkeeper.store.state.database", "watchkeeper.store.state.migrations", "watchkeeper.promql", "rules.observe",
    "watchkeeper.outbound", "watchkeeper.telemetry", "watchkeeper.config.load", "numpy",
)  # fmt: skip

#: Survivors that are the same programme, with the reason; looked at one by one.
_FOUR = "both sides have four cells, written out beside each other"
EQUIVALENT: dict[str, str] = {
    f"remediation.approval:{line} True becomes False": _FOUR
    for line in range(24, 29)  # zip(..., strict=True)
} | {
    "remediation.gates.target:71 1.0 becomes 2.0": "no share that is needed is above 1",
    "remediation.actuator.journal:28 0 becomes 1": "the replay that follows sets it anew",
}


def chosen(names: Sequence[str], seed: int) -> list[Mutant]:
    """Every mutant of the kernel, or of the modules named, in an order that the seed decides."""
    found = [
        mutant
        for module in KERNEL
        if not names or module in names
        for mutant in mutants(module, path_of(module).read_text(encoding="utf-8"))
    ]
    random.Random(seed).shuffle(found)
    return found


def _tests(module: str) -> list[str]:
    return [HERE + name for name in KERNEL[module]]


class Ledger:
    """What became of each mutant; survivors are told as they are found."""

    def __init__(self) -> None:
        self.tried, self.alive = 0, list[Mutant]()

    def enter(self, mutant: Mutant, was_killed: bool) -> None:
        self.tried += 1
        if self.tried % 50 == 0:
            print(f"{self.tried} tried, {len(self.alive)} alive", flush=True)
        if not was_killed:
            self.alive.append(mutant)
            reason = EQUIVALENT.get(str(mutant), "")
            print(f"survived: {mutant}{f' (the same programme: {reason})' if reason else ''}", flush=True)

    def share(self) -> float:
        """Killed of those that are another programme."""
        same = sum(str(mutant) in EQUIVALENT for mutant in self.alive)
        return (self.tried - len(self.alive)) / max(self.tried - same, 1)


def main() -> int:
    """One line for each survivor, then the sum; exit code 1 when more than one in twenty survives."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=3600.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--functions", action="store_true", help="only changes inside functions, the quick ones")
    options.add_argument("modules", nargs="*")
    given = options.parse_args()
    for name in BESIDE:
        importlib.import_module(name)
    assert not any(name.partition(".")[0] == "remediation" for name in sys.modules)
    gc.freeze()
    deadline, ledger = time.monotonic() + given.seconds, Ledger()
    waiting = chosen(given.modules, given.seed)
    changes = [(mutant, exchange(mutant)) for mutant in waiting]
    imported = [mutant for mutant, change in changes if change is None and not given.functions]
    for module in sorted({mutant.module for mutant in imported}):
        if killed(Mutant(module, 0, "unchanged", UNCHANGED), _tests(module)):
            raise SystemExit(f"the tests of {module} fail without any change")
    for mutant in imported:
        if time.monotonic() > deadline:
            break
        ledger.enter(mutant, killed(mutant, _tests(mutant.module)))
    called = [(mutant, change) for mutant, change in changes if change is not None]
    if called and time.monotonic() < deadline:
        tried(called, {module: _tests(module) for module in KERNEL}, deadline, ledger.enter)
    dead = ledger.tried - len(ledger.alive)
    print(f"seed {given.seed}: {dead} of {ledger.tried} mutants killed; {len(waiting)} in the kernel")
    print(f"{len(ledger.alive)} survived; {ledger.share():.1%} of those that are another programme were killed")
    return int(ledger.share() < 0.95)


if __name__ == "__main__":
    raise SystemExit(main())
