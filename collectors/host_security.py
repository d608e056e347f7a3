"""What an intruder changes first on this machine: listening ports, files with too many rights, accounts like root's."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

import psutil
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.config.types import Duration
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading
from .one_thread import OneThread
from .part import Part

#: Where programs and their settings are.
PATHS = ("/etc", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/local", "/opt")
#: Debian's and Red Hat's marks that a restart is due.
RESTART = ("run/reboot-required", "run/needs-restarting")
#: UDP ports from here on are mostly answers to this machine's own questions.
EPHEMERAL = 32_768


@dataclass(kw_only=True, config=STRICT)
class HostSecurity(Part):
    """Listening ports, world-writable and set-user-id files, accounts with user id 0, and whether a restart is due.

    Good for: the alerts of the pack ``security``. Not for: a file integrity monitor; what is in files is not read.
    Names of programs are known for processes that this user may look into.
    """

    KIND: ClassVar[str] = "host_security"

    paths: list[str] = field(default_factory=lambda: list(PATHS))  #: absolute folders that are looked through
    scan_every: Duration = timedelta(hours=1)  #: how often the folders are looked through
    max_files: int = Field(default=500_000, gt=0)  #: files of one look; the rest is left out and counted
    rootfs: str = "/"  #: where the host's root is mounted
    timeout: float = Field(default=60.0, gt=0, le=300)  #: seconds for one reading
    sample_limit: int = Field(default=5_000, gt=0)  #: series; known ones stay, new ones beyond it are refused

    def __post_init__(self) -> None:
        if wrong := next((path for path in self.paths if not Path(path).is_absolute()), None):
            raise ValueError(f"paths: {wrong!r} must be absolute")
        super().__post_init__()
        self._scanned: tuple[datetime, Counter[str]] | None = None
        self._thread = OneThread()

    def place(self) -> str:
        return os.uname().nodename

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # no network needed
        return await self._thread.run(lambda: self._read(now), self.timeout)

    def _read(self, now: datetime) -> Collected:
        try:
            readings = [*self._ports(), *self._accounts()]
        except (OSError, psutil.Error) as error:
            raise CollectError(f"this machine cannot be looked into: {error}", reason="unsupported") from None
        if self._scanned is None or now - self._scanned[0] >= self.scan_every:
            self._scanned = now, self._scan()
        found = self._scanned[1]
        due = any((Path(self.rootfs) / mark).exists() for mark in RESTART)
        readings += [
            ("host_world_writable_files", (), float(found["writable"])),
            ("host_setuid_files", (), float(found["setuid"])),
            ("host_security_scanned_files", (), float(found["files"])),
            ("host_restart_due", (), float(due)),
        ]
        tick = self._sheet.tick(now, readings)
        rejected = {**self._sheet.rejected, **({"max_files": found["left"]} if found["left"] else {})}
        return Collected(ticks=[tick], rejected=rejected)

    def _ports(self) -> Iterator[Reading]:
        """One series for each protocol, port, kind of address and program."""
        rows = set[tuple[tuple[str, str], ...]]()
        for row in psutil.net_connections(kind="inet"):
            protocol = "tcp" if row.type == 1 else "udp"
            listens = row.status == psutil.CONN_LISTEN if protocol == "tcp" else not row.raddr
            if not listens or not row.laddr or (protocol == "udp" and row.laddr.port >= EPHEMERAL):
                continue
            reach = "loopback" if ip_address(row.laddr.ip.partition("%")[0]).is_loopback else "network"
            rows.add(
                (("port", str(row.laddr.port)), ("process", _name(row.pid)), ("protocol", protocol), ("reach", reach))
            )
        for own in sorted(rows):
            yield "host_listening_port", own, 1.0

    def _accounts(self) -> Iterator[Reading]:
        lines = (Path(self.rootfs) / "etc/passwd").read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [line.split(":") for line in lines if line.count(":") >= 6]
        yield "host_accounts", (), float(len(rows))
        yield "host_privileged_accounts", (), float(sum(row[2] == "0" for row in rows))

    def _scan(self) -> Counter[str]:
        """Regular files and folders of one file system each; links are not followed, what cannot be read is left."""
        found: Counter[str] = Counter()
        waiting = [Path(self.rootfs) / path.lstrip("/") for path in self.paths]
        while waiting:
            with suppress(OSError), os.scandir(waiting.pop()) as rows:
                for row in rows:
                    self._look(row, found, waiting)
        return found

    def _look(self, row: os.DirEntry[str], found: Counter[str], waiting: list[Path]) -> None:
        if found["files"] >= self.max_files:
            found["left"] += 1
            return
        with suppress(OSError):
            mode = row.stat(follow_symlinks=False).st_mode
            found["files"] += 1
            if stat.S_ISDIR(mode):
                waiting.append(Path(row.path))
                found["writable"] += bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
            elif stat.S_ISREG(mode):
                found["writable"] += bool(mode & stat.S_IWOTH)
                found["setuid"] += bool(mode & stat.S_ISUID)


def _name(pid: int | None) -> str:
    with suppress(psutil.Error):
        return psutil.Process(pid).name() if pid else ""
    return ""
