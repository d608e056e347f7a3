"""Long work done by two threads, where it is work that lets go of Python's lock: decoding does.

There is one helper thread. Whoever finds it busy does all of the work alone, so that nothing waits for it in a circle.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

#: Packed values of either half for which a second thread is worth its while: half a millisecond of decoding.
SHARED = 1 << 16

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Cores:
    """Thread-safe. The helper thread starts with the first work for it."""

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or len(os.sched_getaffinity(0))
        self._free, self._helper = threading.Lock(), ThreadPoolExecutor(1, thread_name_prefix="decode")

    def map(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """The answers in order; an error of any is raised."""
        if len(items) < 2 or self._cores < 2 or not self._free.acquire(blocking=False):
            return [work(item) for item in items]
        try:
            half = (len(items) + 1) // 2
            later = self._helper.submit(lambda: [work(item) for item in items[half:]])
            try:
                return [work(item) for item in items[:half]] + later.result()
            finally:
                later.cancel() or later.exception()
        finally:
            self._free.release()


CORES = Cores()
