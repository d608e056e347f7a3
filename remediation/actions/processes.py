"""Processes of this machine as /proc tells them: children of a master that still take work, and when they began."""

from __future__ import annotations

import os
import time
from pathlib import Path

from . import said

PROC = Path("/proc")
#: What nginx calls a worker that ends its last requests.
LEAVING = b"shutting down"


def workers_of(pid_file: str) -> list[int]:
    """Children of the process that the file names, without those that only end their last requests."""
    try:
        master = int(Path(pid_file).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise said.unreachable(pid_file, error) from None
    return [pid for pid in _pids() if _parent(pid) == master and LEAVING not in _title(pid)]


def started_at(pid: int) -> float:
    """Seconds since the epoch, to a hundredth; one that is gone by now began now."""
    found = _stat(pid)
    if not found:
        return time.time()
    ticks = int(found[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks


def _pids() -> list[int]:
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    found = _stat(pid)
    return int(found[1]) if found else 0


def _stat(pid: int) -> list[str]:
    """Fields after the name, which may hold anything; empty when the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _title(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return LEAVING
