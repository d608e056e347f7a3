"""What ``watchkeeper up`` takes from a machine that it watches every 5 seconds, when nobody looks.

    python benchmarks/idle.py [--minutes 10] [--settle 2]

CPU is user and system time of every process of the tree over what is left after the settling minutes, in percent of one
core; memory is the sum of proportional set sizes, its largest reading of that time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.up import Up, running  # noqa: E402

from benchmarks._figures import Figure, cpu_of, cpu_seconds, name_of, pss_bytes, show  # noqa: E402

CPU_BAR = 4.0  #: percent of one core
MEMORY_BAR = 450.0  #: MB
#: Seconds between two readings of memory.
READ_EVERY = 10.0
MB = 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="whole time")
    parser.add_argument("--settle", type=float, default=2.0, help="minutes at the start that do not count")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as up:
        figures = measure(up, options.settle * 60, (options.minutes - options.settle) * 60)
    return show(f"idle: {options.minutes:g} minutes, the last {options.minutes - options.settle:g} count", figures)


def measure(up: Up, settle: float, seconds: float) -> list[Figure]:
    pause(up, time.monotonic() + settle)
    began, cpu = time.monotonic(), cpu_seconds(up.pids())
    each = {pid: cpu_of(pid) for pid in up.pids()}
    memory: dict[str, float] = {}
    while time.monotonic() < began + seconds:
        now = by_name(up)
        if sum(now.values()) > sum(memory.values()):
            memory = now
        pause(up, min(time.monotonic() + READ_EVERY, began + seconds))
    spent = time.monotonic() - began
    figures = [
        Figure("CPU of all processes", (cpu_seconds(up.pids()) - cpu) / spent * 100, "% of core", CPU_BAR),
        Figure("memory of all processes, largest", sum(memory.values()), "MB", MEMORY_BAR),
    ]
    for pid, before in each.items():
        if name_of(pid) != "ended":
            figures.append(Figure(f"  CPU of {name_of(pid)}", (cpu_of(pid) - before) / spent * 100, "% of core"))
    return figures + [Figure(f"  memory of {name}", size, "MB") for name, size in sorted(memory.items())]


def by_name(up: Up) -> dict[str, float]:
    """Memory of each process in MB, those of one name together."""
    found: dict[str, float] = {}
    for pid in up.pids():
        name = name_of(pid)
        found[name] = found.get(name, 0.0) + pss_bytes(pid) / MB
    return found


def pause(up: Up, until: float) -> None:
    """Wait, and notice at once when it has ended."""
    while time.monotonic() < until:
        if up.process.poll() is not None:
            raise SystemExit(f"watchkeeper ended by itself: {up.logs()}")
        time.sleep(min(1.0, max(0.0, until - time.monotonic())))


if __name__ == "__main__":
    sys.exit(main())
