"""How many questions are worked on at once, and who goes first: rules never wait behind pages and scripts."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from watchkeeper.errors import QueryError

#: Longest rest at one place for those who go first, in seconds: rules that never end must not stop every question.
MOST_REST = 1.0
#: Questions that may wait. Each holds a thread of the API, which has forty, and other requests need some.
MOST_WAITING = 24


class Gate:
    """Lets so many questions in and the next ones in the order in which they came. Safe to share between threads."""

    def __init__(
        self,
        running: int | None = None,
        waiting: int = MOST_WAITING,
        clock_monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``running``: by default as many as there are cores, and two at least."""
        self.most = max(2, os.cpu_count() or 2) if running is None else running
        self.waiting, self._monotonic = waiting, clock_monotonic
        self._changed = threading.Condition()
        self._running, self._ahead = 0, 0
        self._line: deque[object] = deque()

    @property
    def busy(self) -> tuple[int, int]:
        """(running, waiting) questions."""
        return self._running, len(self._line)

    @contextmanager
    def enter(self, deadline: float) -> Iterator[None]:
        """Work on one question once it is its turn. Raises QueryError (timeout) when that never comes."""
        with self._changed:
            if self._running >= self.most or self._line:
                self._wait(deadline)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _wait(self, deadline: float) -> None:
        if len(self._line) >= self.waiting:
            raise QueryError(
                f"query queue is full: {self.waiting} queries are waiting, ask again later", kind="timeout"
            )
        ticket = object()
        self._line.append(ticket)
        try:
            while self._line[0] is not ticket or self._running >= self.most:
                left = deadline - self._monotonic()
                if left <= 0:
                    raise QueryError("query timed out in query queue", kind="timeout")
                self._changed.wait(left)
        finally:
            self._line.remove(ticket)
            self._changed.notify_all()

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """While this goes on, questions rest between their operators."""
        with self._changed:
            self._ahead += 1
        try:
            yield
        finally:
            with self._changed:
                self._ahead -= 1
                self._changed.notify_all()

    def rest(self) -> None:
        """Let those ahead go first. Called by a question between its operators."""
        if not self._ahead:
            return
        until = self._monotonic() + MOST_REST
        with self._changed:
            while self._ahead and (left := until - self._monotonic()) > 0:
                self._changed.wait(left)
