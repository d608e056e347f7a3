"""Processes for heavy arithmetic: spawned when there is work, gone when there has been none for a while."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from watchkeeper.errors import WatchkeeperError
from watchkeeper.telemetry import logger

log = logger(__name__)

Answer = TypeVar("Answer")


class WorkerError(WatchkeeperError):
    """A worker process died over a task."""


class Workers:
    """A process pool that does not stay: idle memory is the user's."""

    def __init__(self, count: int, idle_seconds: float) -> None:
        self.count, self.idle_seconds = count, idle_seconds
        self._pool: ProcessPoolExecutor | None = None
        self._busy = 0
        self._closing: asyncio.TimerHandle | None = None

    async def run(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """``function(*arguments)`` in a worker; both must be importable and picklable by name."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, mp_context=context, initializer=_start)
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        except BrokenProcessPool as error:
            self._pool = None
            raise WorkerError(f"a worker died over {getattr(function, '__name__', function)}: {error}") from None
        finally:
            self._busy -= 1
            if not self._busy:
                self._closing = asyncio.get_running_loop().call_later(self.idle_seconds, self.close)

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _start() -> None:
    """In the worker: one thread for linear algebra, and gone when the engine is gone."""
    from watchkeeper.app.children import die_with_parent

    os.environ["WATCHKEEPER_PARENT"] = str(os.getppid())
    die_with_parent()
    os.nice(5)
