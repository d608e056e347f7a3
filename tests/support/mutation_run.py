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

HERE = "tests/unit/remediation/"
#: Module of the kernel -> the tests that must notice a change of it, quick ones first.
KERNEL: dict[str, tuple[str, ...]] = {
    "remediation.gates": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py"),
    "remediation.gates.authority": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py", "test_scaling.py"),
    "remediation.gates.base": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py"),
    "remediation.gates.evidence": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py", "test_cuts.py"),
    "remediation.gates.limits": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py"),
    "remediation.gates.target": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py", "test_links.py"),
    "remediation.approval": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py", "test_scaling.py"),
    "remediation.breakers": ("test_breakers.py", "test_gates.py", "test_kernel.py", "test_kernel_parts.py"),
    "remediation.confirm": ("test_gates.py", "test_kernel.py", "test_kernel_parts.py", "test_links.py"),
    "remediation.killswitch": ("test_kernel.py", "test_kernel_parts.py", "test_people.py"),
    "remediation.people": ("test_kernel.py", "test_kernel_parts.py", "test_people.py"),
    "remediation.actuator.core": ("test_actuator.py", "test_kernel.py", "test_kernel_parts.py"),
    "remediation.actuator.journal": ("test_actuator.py", "test_kernel.py", "test_kernel_parts.py"),
}
#: What tests of remediation import beside it.
BESIDE = (
    "hypothesis.stateful", "pytest", "_pytest.assertion.rewrite", "pytest_asyncio", "sqlalchemy.dialects.sqlite",
    "watchkeeper.store.state.database", "watchkeeper.store.state.migrations", "watchkeeper.promql", "rules.observe",
    "watchkeeper.outbound", "watchkeeper.telemetry", "watchkeeper.config.load", "numpy",
)  # fmt: skip


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


def main() -> int:
    """One line for each survivor, then the sum; exit code 1 when more than one in twenty survives."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=3600.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("modules", nargs="*")
    given = options.parse_args()
    for name in BESIDE:
        importlib.import_module(name)
    assert not any(name.partition(".")[0] == "remediation" for name in sys.modules)
    gc.freeze()
    began, tried, alive = time.monotonic(), 0, 0
    waiting = chosen(given.modules, given.seed)
    for module in sorted({mutant.module for mutant in waiting}):
        if killed(Mutant(module, 0, "unchanged", UNCHANGED), _tests(module)):
            raise SystemExit(f"the tests of {module} fail without any change")
    for mutant in waiting:
        if time.monotonic() - began > given.seconds:
            break
        tried += 1
        if not killed(mutant, _tests(mutant.module)):
            alive += 1
            print(f"survived: {mutant}", flush=True)
    share = (tried - alive) / max(tried, 1)
    print(f"seed {given.seed}: {tried - alive} of {tried} mutants killed ({share:.1%}); {len(waiting)} in the kernel")
    return int(share < 0.95)


if __name__ == "__main__":
    raise SystemExit(main())
