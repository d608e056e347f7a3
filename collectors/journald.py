"""Follows the journal of systemd through ``journalctl``; the journal's own cursor is the position."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from dataclasses import field
from datetime import datetime
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Sheet, target_labels
from .log_rows import SYSLOG, Counts, Row, batches, sane

#: Bytes of one entry as JSON; journald's own limit of a field is below it.
MOST_ENTRY = 8 << 20
#: Seconds after which a collection goes with what is there.
WAIT = 0.2


@dataclass(kw_only=True, config=STRICT)
class Journald:
    """New entries of the journal with their own times and severities, labelled by unit.

    Good for: hosts with systemd. Not for: a container without the host's journal. The user must be able to read it
    (group ``systemd-journal``). Entries from the first look on; ``restore`` goes on behind a cursor. Since systemd 251
    ``--follow`` shows the last boot only: what is older is read without it, and so is a ``directory`` always, whose
    machines may boot at any time.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series and line
    units: list[str] = field(default_factory=list)  #: only these units; empty: all
    directory: str = ""  #: journal of another machine or container; empty: this one's
    program: str = "journalctl"  #: name or absolute path
    max_lines: int = Field(default=20_000, ge=1)  #: entries of one look; the others wait in the journal
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for one look

    def __post_init__(self) -> None:
        self.target_labels = target_labels(self.name, self.labels, default_instance=os.uname().nodename)
        self._sheet = Sheet(f"journald/{self.name}", self.target_labels)
        self._counts = Counts()
        self._cursor = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[bytes] | None = None
        self._follows = self._looked = False
        self._broken = 0

    def position(self) -> dict[str, Any]:
        """The cursor of the last entry that was collected."""
        return {"cursor": self._cursor}

    def restore(self, position: dict[str, Any]) -> None:
        """Go on behind that entry; before the first ``collect``."""
        self._cursor = str(position.get("cursor", ""))

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # no network needed
        process = await self._running()
        rows: list[Row] = []
        used, ends = 0, time.monotonic() + self.timeout
        while len(rows) < self.max_lines and time.monotonic() < ends:
            line = await self._line(process)
            if line is None:
                break
            used += len(line)
            row = self._row(line, now)
            if row is None:
                self._broken += 1
            else:
                rows.append(row)
        if process.stdout is not None and process.stdout.at_eof() and self._reading is None:
            await self._ended(process, found=bool(rows))
        self._counts.add(rows)
        readings = [*self._counts.readings(), ("watchkeeper_log_broken_total", (), float(self._broken))]
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick], logs=batches(rows, self.target_labels), body_bytes=used)

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        process, self._process = self._process, None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process is not None:
            process._transport.close()  # type: ignore[attr-defined]  # else its pipes wait for the garbage collector

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None:
            return self._process
        program = shutil.which(self.program)
        if program is None:
            raise CollectError(f"{self.program} is not on this machine; install systemd's tools", reason="unsupported")
        self._follows = not self.directory and (self._looked or not self._cursor)
        first = [] if self._looked else ["--lines=1"]
        options = [f"--after-cursor={self._cursor}"] if self._cursor else first
        options += ["--follow"] if self._follows else []
        options += [f"--directory={self.directory}"] if self.directory else []
        options += [f"--unit={unit}" for unit in self.units]
        self._process = await asyncio.create_subprocess_exec(
            program, "--output=json", "--all", "--quiet", "--no-pager", *options,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=MOST_ENTRY,
        )  # fmt: skip
        return self._process

    async def _line(self, process: asyncio.subprocess.Process) -> bytes | None:
        """The next entry; None when none is there now. A read that is under way is kept for the next look."""
        assert process.stdout is not None
        if self._reading is None:
            self._reading = asyncio.ensure_future(process.stdout.readline())
        done, _ = await asyncio.wait({self._reading}, timeout=WAIT)
        if not done:
            return None
        reading, self._reading = self._reading, None
        try:
            return reading.result() or None
        except ValueError:  # longer than the limit: the stream has let go of it
            return b""

    async def _ended(self, process: asyncio.subprocess.Process, *, found: bool) -> None:
        """Everything was read, or it has failed: the next look starts it anew. Raises CollectError."""
        assert process.stderr is not None
        said = (await process.stderr.read(2000)).decode("utf-8", "replace").strip()
        code = await process.wait()
        await self.close()
        if code == 0 and not self._follows:
            self._looked = True
        elif not found:
            raise CollectError(f"{self.program} has ended: {said or code}", reason="protocol")

    def _row(self, line: bytes, now: datetime) -> Row | None:
        try:
            entry = json.loads(line)
            cursor, raw = str(entry["__CURSOR"]), entry.get("MESSAGE", "")
            text = bytes(raw).decode("utf-8", "replace") if isinstance(raw, list) else str(raw or "")
            time_ms = sane(int(entry.get("__REALTIME_TIMESTAMP", to_ms(now) * 1000)) // 1000)
            severity = SYSLOG[int(entry.get("PRIORITY", 6)) & 7]
            unit = str(entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER") or "")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
        self._cursor = cursor
        own = (("hostname", str(entry.get("_HOSTNAME", ""))), ("unit", unit))
        return Row(time_ms, severity, tuple(pair for pair in own if pair[1]), text)
