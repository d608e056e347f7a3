"""A recorded PostgreSQL for libpq, which knows no other network than the kernel's: whoever waits answers first.

Psycopg waits in Python. There the thread that waits plays the server's part in between: no other thread, no loop.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from unittest import mock

from psycopg import waiting
from support.replays import QUIET_SECONDS, Conversation

#: Seconds after which even a conversation left open is over: nobody waits any more, and its thread is needed.
LEFT_OPEN = 1.0


class Answering:
    """The server's end of one lane's connections, one after the other."""

    def __init__(self, made: Callable[[], Conversation]) -> None:
        self._made = made
        self._door = socket.create_server(("127.0.0.1", 0))
        self._door.setblocking(False)
        self._end: socket.socket | None = None
        self._talk = made()
        self.port: int = self._door.getsockname()[1]

    def until_readable(self, asker: int) -> None:
        """Say what is to be said until the asker, a file descriptor, has something to read: words or an end."""
        waited = QUIET_SECONDS
        while not self._answered():
            ends: list[Any] = [asker, self._door, *([self._end] if self._end else [])]
            ready = select.select(ends, [], [], waited)[0]
            if asker in ready:
                return
            if self._door in ready:
                self._enter()
            elif not ready and (self._talk.over or waited == LEFT_OPEN):
                self._leave()
            elif not ready:
                waited = LEFT_OPEN

    def close(self) -> None:
        self._leave()
        self._door.close()

    def _enter(self) -> None:
        self._leave()
        try:
            self._end, _ = self._door.accept()
        except BlockingIOError:  # who knocked has left
            return
        self._talk = self._made()
        self._say(self._talk.greeting())

    def _answered(self) -> bool:
        """Something was asked and has its answer. This comes first, for the kernel takes long to look at several."""
        if self._end is None:
            return False
        try:
            asked = self._end.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            asked = b""
        if asked:
            self._say(self._talk.answer(asked))
        else:
            self._leave()
        return bool(asked)

    def _say(self, words: bytes) -> None:
        if words and self._end is not None:
            with suppress(OSError):  # who asked has left
                self._end.sendall(words)

    def _leave(self) -> None:
        if self._end is not None:
            self._end.close()
        self._end = None


#: Who answers the connections of this task and of its threads.
ANSWERING: ContextVar[Answering] = ContextVar("answering")


def _wait(going: Any, number: int, **_: object) -> Any:
    """Psycopg's ``wait``: ``going`` yields what it waits for, and is told that it is there."""
    try:
        state = next(going)
        while True:
            state = going.send(_ready(number, state))
    except StopIteration as end:
        return end.value


def _wait_conn(going: Any, **_: object) -> Any:
    """Psycopg's ``wait_conn``: the same while it connects, with the socket that it waits for."""
    try:
        number, state = next(going)
        while True:
            number, state = going.send(_ready(number, state))
    except StopIteration as end:
        return end.value


def _ready(number: int, state: int) -> int:
    if state != waiting.WAIT_R:
        return waiting.READY_W  # there is always room to write
    ANSWERING.get().until_readable(number)
    return waiting.READY_R


@contextmanager
def libpq_network() -> Iterator[None]:
    """What psycopg waits for comes from ``ANSWERING``."""
    with mock.patch.object(waiting, "wait", _wait), mock.patch.object(waiting, "wait_conn", _wait_conn):
        yield
