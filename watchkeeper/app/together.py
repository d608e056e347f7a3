"""Work of a thread, handed over together: whatever is asked while the thread is busy is its next piece of work.

A hop to a thread and back costs more than appending a few samples. With one source nothing changes; with thousands a
hop serves as many as have come meanwhile, and nobody waits for company.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Told = TypeVar("Told")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Asked, Told]):
    asked: Asked
    answer: asyncio.Future[Told]


class Together(Generic[Asked, Told]):
    """Ask it in the event loop; ``work`` runs in the executor and gives an answer, or an error, for each question."""

    def __init__(self, executor: Executor, work: Callable[[Sequence[Asked]], Sequence[Told | Exception]]) -> None:
        self._executor, self._work = executor, work
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[_Waiting[Asked, Told]] = []
        self._busy = False

    async def ask(self, asked: Asked) -> Told:
        """The answer to one question. Raises what the work has for it, and RuntimeError when the executor has ended."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a loop that ended took with it whoever waited
            self._loop, self._waiting, self._busy = loop, [], False
        answer: asyncio.Future[Told] = loop.create_future()
        self._waiting.append(_Waiting(asked, answer))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._begin, loop)  # behind those who are about to ask too
        return await answer

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        taken, self._waiting = self._waiting, []
        self._busy = bool(taken)
        if not taken:
            return
        try:
            running = loop.run_in_executor(self._executor, self._work, [one.asked for one in taken])
        except RuntimeError as error:
            self._busy = False
            _answer(taken, [error] * len(taken))
            return
        running.add_done_callback(lambda done: self._end(loop, taken, done))

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        taken: Sequence[_Waiting[Asked, Told]],
        done: asyncio.Future[Sequence[Told | Exception]],
    ) -> None:
        if done.cancelled():
            for one in taken:
                one.answer.cancel()
        elif (error := done.exception()) is not None:
            _answer(taken, [error] * len(taken))
        else:
            _answer(taken, done.result())
        self._begin(loop)


def _answer(taken: Sequence[_Waiting[Asked, Told]], told: Sequence[Told | BaseException]) -> None:
    for one, answer in zip(taken, told, strict=True):
        if one.answer.done():  # who asked has been cancelled
            continue
        if isinstance(answer, BaseException):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)
