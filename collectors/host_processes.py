"""Processes summed by name: who uses the processor and the memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from .base import Reading
from .host_files import USER_HZ

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class _Group:
    seconds: float = 0.0  #: processor time since this group was first seen, never falling while it lives
    recent: float = 0.0  #: of it, since the last scan
    resident: int = 0  #: bytes
    count: int = 0


class Processes:
    """Remembers each process's last figure, so that a group's counter does not fall when one of many ends."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._seen: dict[tuple[int, int], float] = {}  #: (pid, start time) -> processor seconds at the last scan
        self._groups: dict[str, _Group] = {}

    def scan(self, proc: str) -> Iterator[Reading]:
        """The groups that used most processor time since the last scan, then those that hold most memory."""
        seen: dict[tuple[int, int], float] = {}
        groups: dict[str, _Group] = {}
        for name, pid, start, seconds, resident in _stats(proc):
            group = groups.get(name)
            if group is None:
                group = groups[name] = _Group(seconds=self._groups[name].seconds if name in self._groups else 0.0)
            used = max(0.0, seconds - self._seen.get((pid, start), 0.0))
            seen[pid, start] = seconds
            group.seconds += used
            group.recent += used
            group.resident += resident
            group.count += 1
        self._seen, self._groups = seen, groups
        for name in self._chosen():
            own = (("groupname", name),)
            yield "watchkeeper_process_cpu_seconds_total", own, groups[name].seconds
            yield "watchkeeper_process_resident_memory_bytes", own, float(groups[name].resident)
            yield "watchkeeper_process_count", own, float(groups[name].count)

    def _chosen(self) -> list[str]:
        groups = self._groups
        busy = [name for name in groups if groups[name].recent > 0]
        by_cpu = sorted(busy, key=lambda name: (-groups[name].recent, name))[: self._top // 2]
        large = [name for name in groups if groups[name].resident > 0]  # kernel threads hold no memory of their own
        by_memory = sorted(large, key=lambda name: (-groups[name].resident, name))
        chosen = dict.fromkeys(by_cpu)
        for name in by_memory:
            if len(chosen) >= self._top:
                break
            chosen.setdefault(name)
        return sorted(chosen)


def _stats(proc: str) -> Iterator[tuple[str, int, int, float, int]]:
    """(name, pid, start, processor seconds, resident bytes) of each process that still is there when read."""
    with os.scandir(proc) as entries:
        names = [entry.name for entry in entries if entry.name.isdigit()]
    for entry in names:
        try:
            with open(f"{proc}/{entry}/stat", "rb") as file:
                raw = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the reading
        head, _, tail = raw.rpartition(b")")  # a name may itself hold brackets and spaces
        name = head.partition(b"(")[2].decode(errors="replace")
        fields = tail.split()
        yield name, int(entry), int(fields[19]), (int(fields[11]) + int(fields[12])) / USER_HZ, int(fields[21]) * PAGE
