"""Watches the machine Watchkeeper runs on, without any agent and without root."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import field
from datetime import datetime

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels
from .host_files import PARTS
from .host_mounts import filesystems
from .host_processes import Processes

#: Without these two the machine cannot be said to be watched.
ESSENTIAL = ("cpu", "meminfo")


@dataclass(kw_only=True, config=STRICT)
class Host:
    """Processor, memory, disks, network, pressure and processes, under node_exporter's names.

    Good for: the machine at hand; dashboards and rules written for node_exporter work as they stand.
    Not for: other machines (scrape their node_exporter with ``openmetrics``).
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for one reading
    proc: str = "/proc"  #: where procfs is mounted (a container may see the host's elsewhere)
    rootfs: str = "/"  #: where the host's root is mounted
    remote_filesystems: bool = False  #: also ask NFS, SMB, ...: a dead server there blocks the reading
    processes: bool = True  #: sum processes by name
    processes_every: int = Field(default=6, ge=1)  #: readings between two looks at the processes
    top_processes: int = Field(default=20, ge=2, le=500)  #: groups of processes kept, half by processor use

    def __post_init__(self) -> None:
        self.target_labels = target_labels(self.name, self.labels, default_instance=os.uname().nodename)
        self._sheet = Sheet(f"host/{self.name}", self.target_labels)
        self._process_sheet = Sheet(f"host/{self.name}#processes", self.target_labels)
        self._groups = Processes(self.top_processes)
        self._count = 0
        self._running: asyncio.Task[Collected] | None = None

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # no network needed
        if self._running is not None and not self._running.done():
            raise CollectError("the last reading has not come back; a file system hangs", reason="timeout")
        self._running = asyncio.create_task(asyncio.to_thread(self._read, now))
        done, _ = await asyncio.wait({self._running}, timeout=self.timeout)
        if not done:
            raise CollectError(f"no answer within {self.timeout:g} s; a file system hangs", reason="timeout")
        return self._running.result()

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks the machine's series stale, once; ``stale_ticks`` also marks the processes'."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """After a failure: marks all series stale, once."""
        ticks = [self.stale_tick(now), self._process_sheet.stale_tick(now)]
        return [tick for tick in ticks if tick is not None]

    async def close(self) -> None:
        if self._running is not None and self._running.done():
            self._running = None

    def _read(self, now: datetime) -> Collected:
        readings, failed = self._parts(now)
        if all(part in failed for part in ESSENTIAL):
            raise CollectError(f"{self.proc} holds no Linux process file system", reason="unsupported")
        ticks = [self._sheet.tick(now, readings)]
        if self.processes and self._count % self.processes_every == 0:
            ticks.append(self._process_sheet.tick(now, self._groups.scan(self.proc)))
        self._count += 1
        return Collected(ticks=ticks)

    def _parts(self, now: datetime) -> tuple[list[Reading], set[str]]:
        """Readings of every part that can be read here; the others are named, and unknown rather than zero."""
        parts: dict[str, Callable[[], Iterator[Reading]]] = {
            name: lambda part=part: part(self.proc)  # type: ignore[misc]  # default binds the loop variable
            for name, part in PARTS.items()
        }
        parts["filesystem"] = lambda: filesystems(self.proc, self.rootfs, remote=self.remote_filesystems)
        readings: list[Reading] = [("node_time_seconds", (), now.timestamp())]
        failed: set[str] = set()
        for name, part in parts.items():
            try:
                readings.extend(list(part()))
            except (OSError, ValueError, IndexError, KeyError):
                failed.add(name)
            readings.append(("node_scrape_collector_success", (("collector", name),), float(name not in failed)))
        return readings, failed
