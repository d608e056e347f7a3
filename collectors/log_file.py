"""Reads log files as they grow, through every kind of rotation, and counts lines by severity."""

from __future__ import annotations

import asyncio
import glob
import os
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import time_zones
from watchkeeper.errors import CollectError
from watchkeeper.model import SEVERITIES, Labels, LogBatch, Tick, labels
from watchkeeper.model.series import IntArray
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels
from .log_clock import LineClock
from .log_compressed import COMPRESSED
from .log_reader import LineReader
from .log_rotation import Family
from .log_siblings import is_rotated
from .log_tail import Raw
from .log_text import decode, join, line_ends
from .log_traces import may_hold_traces, record_ends

_NO_LINES = np.zeros(len(SEVERITIES), np.int64)


@dataclass(kw_only=True, config=STRICT)
class LogFile:
    """New lines of log files, and counters of lines, bytes, cut lines and lost ends by file.

    Good for: application and system logs on this machine. Not for: binary files. What rotation compresses before it
    was read to its end is read there (gzip, bzip2, xz, zstd, lz4). What is there at the
    first look is old; files that appear later are read from their beginning, and ``restore`` goes on where
    ``position`` was taken. Save the position after the lines are kept: then no line is lost in a crash.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series and line
    paths: list[str] = Field(min_length=1)  #: absolute paths; * ? [] and ** stand for names
    encoding: Literal["utf-8", "gb18030"] = "utf-8"  #: bytes that are no character become U+FFFD
    max_line: int = Field(default=1 << 20, ge=64)  #: bytes; longer lines are cut and counted
    max_bytes: int = Field(default=16 << 20, ge=1 << 16)  #: read in one look, over all files
    max_files: int = Field(default=500, ge=1)  #: files followed; further ones are counted and left alone
    from_beginning: bool = False  #: also read what is there at the first look
    multiline_start: str = ""  #: RE2 pattern that begins a record; other lines are joined to it. Empty: off
    stack_traces: bool = True  #: stack traces and indented lines belong to the line before; not with multiline_start
    line_times: bool = True  #: lines happened when they say; off: when they were read
    time_zone: str = ""  #: IANA name, of times that state none; empty: this machine's, and times far off are doubted
    timeout: float = Field(default=30.0, gt=0, le=300)  #: seconds for one look

    kind = "log_file"

    def __post_init__(self) -> None:
        if any(not Path(path).is_absolute() for path in self.paths):
            raise ValueError("paths must be absolute")
        if self.multiline_start:
            try:
                join(["x"], self.multiline_start)
            except ValueError as error:  # pyarrow's ArrowInvalid is one
                raise ValueError(f"multiline_start is no RE2 pattern: {error}") from None
        if self.time_zone and self.time_zone not in time_zones():
            raise ValueError(f"time_zone {self.time_zone!r} is no IANA zone, such as Asia/Shanghai or UTC")
        self.target_labels = target_labels(self.name, self.labels, default_instance=os.uname().nodename)
        self._sheet = Sheet(f"{self.kind}/{self.name}", self.target_labels)
        self._families: dict[str, Family] = {}
        self._readers: dict[str, LineReader] = {}
        self._saved: dict[str, Any] = {}
        self._seen_before = False
        self._ignored = 0
        self._lines: dict[tuple[str, str], int] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._running: asyncio.Task[Collected] | None = None

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # no network needed
        if self._running is not None and not self._running.done():
            raise CollectError("the last look has not come back; a file system hangs", reason="timeout")
        self._running = asyncio.create_task(asyncio.to_thread(self._look, now))
        done, _ = await asyncio.wait({self._running}, timeout=self.timeout)
        if not done:
            raise CollectError(f"no answer within {self.timeout:g} s; a file system hangs", reason="timeout")
        return self._running.result()

    def position(self) -> dict[str, Any]:
        """How far every file was read, as plain JSON data."""
        return {"files": {path: family.position() for path, family in self._families.items()}}

    def restore(self, position: dict[str, Any]) -> None:
        """Go on where ``position`` was taken, by this or an earlier process; before the first ``collect``."""
        self._saved = dict(position.get("files", {}))
        self._seen_before = bool(self._saved)

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        for family in self._families.values():
            family.close()

    def _look(self, now: datetime) -> Collected:
        self._find()
        found: list[LogBatch] = []
        used = 0
        share = max(1 << 16, self.max_bytes // max(1, len(self._families)))
        for path, family in list(self._families.items()):
            batches, size = self._read(path, family, now, share)
            found += batches
            used += size
            if family.empty:
                family.close()
                del self._families[path]
                self._readers.pop(path, None)
        self._seen_before = True
        return Collected(ticks=[self._sheet.tick(now, self._readings())], logs=found, body_bytes=used)

    def _find(self) -> None:
        """Follow files that match and are not yet followed; what rotation made of a log belongs to that log."""
        matched = {path for pattern in self.paths for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207  # absolute
        matched |= self._saved.keys()
        wanted = sorted(path for path in matched - self._families.keys() if not path.endswith(COMPRESSED))
        names: dict[Path, set[str]] = {}
        for path in map(Path, (*self._families, *wanted)):
            names.setdefault(path.parent, set()).add(path.name)
        self._ignored = 0
        for name in wanted:
            path = Path(name)
            if any(is_rotated(path.name, other) for other in names[path.parent]) or os.path.isdir(path):  # noqa: PTH112 - never raises
                continue
            if len(self._families) >= self.max_files:
                self._ignored += 1
                continue
            from_end = not (self._seen_before or self.from_beginning)
            family = self._families[name] = Family(path, max_line=self.max_line, from_end=from_end)
            if name in self._saved:
                family.restore(self._saved.pop(name))

    def _read(self, path: str, family: Family, now: datetime, budget: int) -> tuple[list[LogBatch], int]:
        try:
            raw = family.read(now.timestamp(), budget)
        except OSError:
            self._count("watchkeeper_log_errors_total", path, 1)
            return [], 0
        size = sum(map(len, raw.pieces))
        batches = self._batches(path, raw, now, live=family.caught_up)
        family.caught_up = size < budget
        codes = sum((np.bincount(batch.severity, minlength=len(SEVERITIES)) for batch in batches), _NO_LINES)
        for code in np.flatnonzero(codes).tolist():
            key = (path, SEVERITIES[code] or "none")
            self._lines[key] = self._lines.get(key, 0) + int(codes[code])
        self._count("watchkeeper_log_errors_total", path, 0)
        self._count("watchkeeper_log_bytes_total", path, size)
        self._count("watchkeeper_log_cut_lines_total", path, raw.cut)
        self._count("watchkeeper_log_lost_ends_total", path, family.lost_tails)
        family.lost_tails = 0
        self._doubted(path, at_end=family.caught_up)
        return batches, size

    def _batches(self, path: str, raw: Raw, now: datetime, *, live: bool) -> list[LogBatch]:
        """One for each piece; one in all where lines are joined, for a record may stand in two pieces.

        ``live``: all of it was written since the last look.
        """
        own = labels(None, {**self.target_labels, "file": path})
        pieces = [decode(piece, self.encoding) for piece in raw.pieces]
        joined = bool(self.multiline_start)
        if self.multiline_start and pieces:
            texts = b"".join(pieces).decode().split("\n")[:-1]
            made = [LogBatch.of(own, join(texts, self.multiline_start), 0)]
        elif self.stack_traces and any(may_hold_traces(piece) for piece in pieces):
            whole = b"".join(pieces)
            every = line_ends(whole)
            ends = record_ends(whole, every)
            made, joined = [_batch(own, whole, ends)], len(ends) < len(every)
        else:
            made = [_batch(own, piece, line_ends(piece)) for piece in pieces]
        reader = self._readers.get(path)
        if reader is None:
            reader = self._readers[path] = LineReader(LineClock(self.time_zone) if self.line_times else None)
        return [reader.read(batch, now, live=live, joined=joined) for batch in made]

    def _doubted(self, path: str, *, at_end: bool) -> None:
        clock = self._readers[path].clock if path in self._readers else None
        if clock is not None:
            self._count("watchkeeper_log_doubtful_times_total", path, clock.doubted)
            clock.doubted = 0
            if at_end:
                clock.pause()

    def _count(self, name: str, path: str, by: int) -> None:
        self._counts[name, path] = self._counts.get((name, path), 0) + by

    def _readings(self) -> list[Reading]:
        readings: list[Reading] = [
            ("watchkeeper_log_files", (), float(len(self._families))),
            ("watchkeeper_log_files_ignored", (), float(self._ignored)),
        ]
        for (path, word), count in self._lines.items():
            readings.append(("watchkeeper_log_lines_total", (("file", path), ("severity", word)), float(count)))
        for (name, path), count in self._counts.items():
            readings.append((name, (("file", path),), float(count)))
        return readings


def _batch(own: Labels, data: bytes, ends: IntArray) -> LogBatch:
    """Lines of which neither time nor severity is known yet."""
    return LogBatch(
        labels=own, data=data, ends=ends, times=np.zeros(len(ends), np.int64), severity=np.zeros(len(ends), np.uint8)
    )
