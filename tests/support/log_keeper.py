"""A process that reads a log and keeps its lines with the position, as the engine does, until somebody kills it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collectors.log_file import LogFile
from watchkeeper.store.logs import LogLines

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY: Any = None


def opened(pattern: str, folder: str) -> tuple[LogLines, LogFile]:
    """The store, small segments, and a reader that goes on where its lines end."""
    store = LogLines(Path(folder), seal_bytes=2000)
    part = LogFile(name="app", paths=[pattern], from_beginning=True)
    part.restore(store.positions().get("app", {}))
    return store, part


async def look(store: LogLines, part: LogFile, now: datetime) -> None:
    found = await part.collect(now, NOBODY)
    store.append("app", found.logs, part.position(), now)
    store.maintain(now)


def keep_reading(pattern: str, folder: str, looks: Any) -> None:
    """For ever; counts its looks in ``looks``."""
    store, part = opened(pattern, folder)

    async def run() -> None:
        now = NOON
        while True:
            now += timedelta(seconds=5)
            await look(store, part, now)
            looks.value += 1

    asyncio.run(run())
