"""A network inside one event loop: both ends of a connection are objects, and what is written is handed over.

A hundred thousand conversations over sockets cost minutes of the kernel's time and try nothing more of ours.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

#: Whom the connections of this task reach, whatever address they name; nobody: the real network.
SERVER: ContextVar[Callable[[], asyncio.Protocol] | None] = ContextVar("server", default=None)


class _Named:
    """What clients ask of a socket besides its bytes."""

    family = socket.AF_INET
    ended = False  #: the other side has: a pool looks whether there is something to read, and keeps it no longer

    def setsockopt(self, *_: object) -> None:
        """It has none."""

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 1

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 2

    def fileno(self) -> int:
        return always_readable() if self.ended else never_readable()


@cache
def always_readable() -> int:
    """A file descriptor with something to read."""
    return os.eventfd(1, os.EFD_CLOEXEC)


@cache
def never_readable() -> int:
    """A file descriptor for those who want to know whether anything is there to be read."""
    return os.eventfd(0, os.EFD_CLOEXEC)


class Wire(asyncio.Transport):
    """One end. What is written arrives in the loop's next round, as it was written, and an end after it."""

    peer: Wire

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol) -> None:
        self._named = _Named()
        super().__init__({"peername": self._named.getpeername(), "socket": self._named})
        self._loop, self._protocol = loop, protocol
        self._closing = self._lost = self._paused = False
        self._kept = deque[bytes]()  #: came while reading was paused; b"" is the end

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._closing:
            self._loop.call_soon(self.peer._come, bytes(data))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._end)
            self._loop.call_soon(self.peer._come, b"")

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._loop.call_soon(self._go_on)

    def is_reading(self) -> bool:
        return not self._paused

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits to be sent."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def _come(self, data: bytes) -> None:
        self._kept.append(data)
        self._named.ended |= not data
        self._go_on()

    def _go_on(self) -> None:
        while self._kept and not self._paused and not self._closing:
            data = self._kept.popleft()
            if data:
                self._give(data)
            elif not self._protocol.eof_received():  # type: ignore[attr-defined]  # protocols of streams
                self.close()

    def _give(self, data: bytes) -> None:
        protocol: Any = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            protocol.data_received(data)
            return
        left = memoryview(data)
        while left and not self._closing:
            place = memoryview(protocol.get_buffer(len(left)))
            size = min(len(place), len(left))
            place[:size] = left[:size]
            left = left[size:]
            protocol.buffer_updated(size)

    def _end(self) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(None)


def joined(loop: asyncio.AbstractEventLoop, asker: asyncio.BaseProtocol, server: asyncio.BaseProtocol) -> Wire:
    """The asker's end of a connection between the two."""
    mine, other = Wire(loop, asker), Wire(loop, server)
    mine.peer, other.peer = other, mine
    asker.connection_made(mine)
    server.connection_made(other)
    return mine


@contextmanager
def memory_network() -> Iterator[None]:
    """Connections of tasks that name a ``SERVER`` stay inside; their work for threads is done at once, in the loop."""
    loop: Any = asyncio.get_running_loop()
    connect, in_thread = loop.create_connection, loop.run_in_executor

    async def create_connection(factory: Any, *where: Any, **more: Any) -> Any:
        server = SERVER.get()
        if server is None:
            return await connect(factory, *where, **more)
        protocol = factory()
        return joined(loop, protocol, server()), protocol

    def run_in_executor(executor: Any, function: Any, *words: Any) -> Any:
        if SERVER.get() is None:
            return in_thread(executor, function, *words)
        done = loop.create_future()
        try:
            done.set_result(function(*words))
        except Exception as error:
            done.set_exception(error)
        return done

    loop.create_connection = create_connection
    loop.run_in_executor = run_in_executor
    try:
        yield
    finally:
        loop.create_connection, loop.run_in_executor = connect, in_thread
