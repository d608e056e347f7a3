"""What the benchmarks share: a figure beside its bar, the state of the machine in the same minute, the table."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Ticks of /proc/<pid>/stat in a second.
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. ``bar`` is the most it may be; NaN means that there is none."""

    name: str
    value: float
    unit: str
    bar: float = math.nan

    @property
    def verdict(self) -> str:
        if math.isnan(self.bar):
            return ""
        return "met" if self.value <= self.bar else "MISSED"

    def line(self) -> str:
        bar = "" if math.isnan(self.bar) else f"bar {self.bar:g} {self.unit}"
        return f"  {self.name:<42} {self.value:>10.3f} {self.unit:<10} {bar:<18} {self.verdict}".rstrip()


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least ``part`` of the values do not exceed."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def calm_down(load: float, patience: float = 600.0) -> None:
    """Wait until the load of the last minute is below this, for so many seconds at most; 0 waits for nothing."""
    ends = time.monotonic() + patience
    while load and os.getloadavg()[0] >= load and time.monotonic() < ends:
        time.sleep(5.0)


def machine() -> str:
    """Cores, load and what the machine can do right now: figures are read in proportion to it."""
    from benchmarks.calibrate import readings

    load = os.getloadavg()[0]
    found = ", ".join(f"{name} {value:.3g}" for name, value in readings().items())
    return f"  machine: {os.cpu_count()} cores, load {load:.1f}; {found}"


def show(title: str, figures: Sequence[Figure]) -> int:
    """Print the table; 0 when every bar is met, else 1."""
    sys.stdout.write("\n".join([title, *(figure.line() for figure in figures), machine(), ""]))
    sys.stdout.flush()
    return int(any(figure.verdict == "MISSED" for figure in figures))


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of the processes and of the children they have already seen end."""
    return sum(cpu_of(pid) for pid in pids)


def cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended meanwhile: its parent has its time
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS


def pss_bytes(pid: int) -> int:
    """Proportional set size: shared pages are counted once, divided among those who share them."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def name_of(pid: int) -> str:
    """``engine`` of ``python -m watchkeeper engine --config ...``; the workers are named as such."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    if "watchkeeper" in words:
        return words[words.index("watchkeeper") + 1]
    return "worker" if any("spawn" in word or "resource_tracker" in word for word in words) else Path(words[0]).name
