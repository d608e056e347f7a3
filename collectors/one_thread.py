"""Blocking work of one collector in a thread: one reading at a time, and nobody waits longer than agreed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from watchkeeper.errors import CollectError
from watchkeeper.ports import Collected


class OneThread:
    """A reading that does not come back keeps its thread; the next ones fail at once until it does."""

    def __init__(self) -> None:
        self._running: asyncio.Task[Collected] | None = None

    async def run(self, read: Callable[[], Collected], bound: float) -> Collected:
        """What ``read`` answers or raises; CollectError with reason timeout after ``bound`` seconds."""
        if self._running is not None and not self._running.done():
            raise CollectError("the last reading has not come back", reason="timeout")
        self._running = asyncio.create_task(asyncio.to_thread(read))
        self._running.add_done_callback(_look_at)
        done, _ = await asyncio.wait({self._running}, timeout=bound)
        if not done:
            raise CollectError(f"no answer within {bound:g} s", reason="timeout")
        return self._running.result()


def _look_at(task: asyncio.Task[Collected]) -> None:
    """An error that comes after nobody waits any more is not an error of the loop."""
    if not task.cancelled():
        task.exception()
