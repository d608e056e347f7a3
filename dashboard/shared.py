"""One answer for everybody who asks the same within a second: a thousand open pages cost as much as one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any

from watchkeeper.clock import Clock

#: Seconds an answer is given again.
FRESH_SECONDS = 1.0
#: Answers remembered.
REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Made:
    at: float  #: monotonic seconds at which it was begun
    task: asyncio.Future[Any]


class Shared:
    """Remembers what was made for a key, also while it is being made. All who wait are told of a failure."""

    def __init__(self, clock: Clock, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._clock, self._fresh = clock, fresh_seconds
        self._made: OrderedDict[Hashable, Made] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> Any:
        now = self._clock.monotonic()
        made = self._made.get(key)
        if made is None or now - made.at >= self._fresh or _failed(made.task):
            made = Made(now, asyncio.ensure_future(make()))
            self._made[key] = made
            self._made.move_to_end(key)
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return await asyncio.shield(made.task)  # one who goes away does not take the answer from the others


def _failed(task: asyncio.Future[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
