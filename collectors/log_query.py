"""What collectors share that ask a log store for new lines by HTTP: options, cursor, severities, counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.config.types import Duration
from watchkeeper.model import LogBatch
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading
from .log_rows import Counts, Row, batches, severity_code
from .log_severity import severities
from .log_window import Found, Window
from .log_words import Buffer
from .part import HttpPart

#: Labels by which stores tell the severity of a line.
SEVERITY_LABELS = ("level", "severity", "detected_level", "log.level")


@dataclass(kw_only=True, config=STRICT)
class LogQuery(HttpPart):
    """New lines since the last look; at the first look, those of the last ``lookback``."""

    UNIT: ClassVar[int] = 1  #: of the store's times in one millisecond

    headers: dict[str, str] = field(default_factory=dict)  #: sent with the request
    lookback: Duration = timedelta(minutes=1)  #: how old lines may be that are read at the first look
    overlap: Duration = timedelta(seconds=60)  #: how much later than others a line may arrive in the store
    max_lines: int = Field(default=20_000, ge=100, le=200_000)  #: of one look; the others wait in the store
    page: int = Field(default=2000, ge=10, le=10_000)  #: lines of one answer
    max_bytes: int = Field(default=64 << 20, gt=0)  #: largest answer, after decompression

    def __post_init__(self) -> None:
        super().__post_init__()
        self._window = Window(overlap=self._units(self.overlap))
        self._counts = Counts()
        self._cut = 0

    def position(self) -> dict[str, Any]:
        """How far lines were read, as plain JSON data."""
        return self._window.position()

    def restore(self, position: dict[str, Any]) -> None:
        """Go on where ``position`` was taken; before the first ``collect``."""
        self._window.restore(position)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        at = to_ms(now) * self.UNIT
        window = self._window
        if not window.floor:
            window.floor = at - self._units(self.lookback)
        self._read_bytes = 0

        async def fetch(start: int, size: int) -> tuple[Sequence[Found], bool]:
            return await self.lines(outbound, start, at, size)

        found, cut = await window.read(fetch, now=at, most=self.max_lines, page=self.page)
        self._cut += cut
        rows = self._rows(found)
        self._counts.add(rows)
        behind = max(0.0, (at - window.newest) / self.UNIT / 1000) if len(found) >= self.max_lines else 0.0
        readings: list[Reading] = [
            *self._counts.readings(),
            ("watchkeeper_log_cut_pages_total", (), float(self._cut)),
            ("watchkeeper_log_behind_seconds", (), behind),
        ]
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick], logs=self._batches(rows), body_bytes=self._read_bytes)

    async def lines(self, outbound: Outbound, start: int, now: int, size: int) -> tuple[Sequence[Found], bool]:
        """The oldest lines from ``start`` on, by time, and whether there are more. Raises CollectError."""
        raise NotImplementedError

    def _units(self, span: timedelta) -> int:
        return round(span.total_seconds() * 1000) * self.UNIT

    def _rows(self, found: Sequence[Found]) -> list[Row]:
        texts = [row.text.replace("\0", "\ufffd") for row in found]
        made = LogBatch.of((), texts, 0)
        stated = severities(Buffer.of(made.data), made.ends) if len(made) else np.empty(0, np.uint8)
        rows = []
        for row, text, code in zip(found, texts, stated.tolist(), strict=True):
            told = next((word for name, word in row.labels if name in SEVERITY_LABELS), "")
            rows.append(Row(row.time // self.UNIT, severity_code(told) or code, row.labels, text))
        return rows

    def _batches(self, rows: Sequence[Row]) -> list[LogBatch]:
        """``job`` and ``instance`` of a line are where it came from, where the store knows that."""
        own = {name for row in rows for name, _ in row.own} & {"job", "instance"}
        return batches(rows, {name: value for name, value in self.target_labels.items() if name not in own})
