"""Many short conversations over sockets of their own, watched together: for probes, of which there may be thousands.

A conversation is a generator that tries what it wants and yields its socket when that would block. One epoll tells
which of them can go on; each is registered once, at its edges, so that a wait costs neither a task nor a future nor a
call to the kernel.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import ssl
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

Told = TypeVar("Told")
#: Yields the socket that it waits for, and is gone on with when that can be read or written, or has ended.
Talk = Generator[socket.socket, None, Told]

#: What a socket that does not block raises when there is nothing to do yet.
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
#: Conversations gone on with before the loop's other work has its turn.
_TURN = 64
#: Seconds between two looks for conversations whose time is up; a timer each would cost more than most say.
_LOOK = 0.02


@dataclass(slots=True, eq=False)
class _Running:
    talk: Talk[Any]
    answer: asyncio.Future[Any]
    until: float  #: of the loop's clock
    made: socket.socket | None = None  #: what it waits for
    number: int = -1  #: its file descriptor


class Sockets:
    """Of one event loop. Close it when done."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._waiting: dict[int, _Running] = {}
        self._looking: asyncio.TimerHandle | None = None
        self.loop.add_reader(self._epoll.fileno(), self._ready)

    async def run(self, talk: Talk[Told], seconds: float) -> Told:
        """What the conversation returns or raises; TimeoutError after so long. Cancelled, it closes its socket."""
        running = _Running(talk, self.loop.create_future(), self.loop.time() + seconds)
        self._go_on(running)
        if self._looking is None:
            self._looking = self.loop.call_later(_LOOK, self._look)
        try:
            told: Told = await running.answer
            return told
        finally:
            self._end(running)

    def close(self) -> None:
        """End whatever is still going on."""
        for running in list(self._waiting.values()):
            running.answer.cancel()
            self._end(running)
        if self._looking is not None:
            self._looking.cancel()
        if not self._epoll.closed:
            if not self.loop.is_closed():
                self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _ready(self, most: int = _TURN) -> None:
        for number, _events in self._epoll.poll(0, most):
            running = self._waiting.get(number)
            if running is not None:
                self._go_on(running)

    def _look(self) -> None:
        """End what has lasted too long; there is another look as long as somebody waits."""
        if self._over():
            self._ready(len(self._waiting))  # all that has come counts: it is we who are late
            for running in self._over():
                self._end(running)
                if not running.answer.done():
                    running.answer.set_exception(TimeoutError())
        self._looking = self.loop.call_later(_LOOK, self._look) if self._waiting else None

    def _over(self) -> list[_Running]:
        now = self.loop.time()
        return [one for one in self._waiting.values() if one.until <= now]

    def _go_on(self, running: _Running) -> None:
        try:
            made = running.talk.send(None)
        except StopIteration as end:
            self._forget(running)
            if not running.answer.done():  # who asked has been cancelled, and will end it
                running.answer.set_result(end.value)
        except Exception as error:  # noqa: BLE001 - raised again where the answer is waited for
            self._forget(running)
            if not running.answer.done():
                running.answer.set_exception(error)
        else:
            if made is not running.made:
                self._watch(running, made)

    def _watch(self, running: _Running, made: socket.socket) -> None:
        self._forget(running)
        running.made, running.number = made, made.fileno()
        self._waiting[running.number] = running
        try:
            self._epoll.register(running.number, _EDGES)
        except FileExistsError:  # the same connection, now with TLS
            self._epoll.modify(running.number, _EDGES)

    def _forget(self, running: _Running) -> None:
        """The kernel forgets a socket by itself when it is closed."""
        if self._waiting.get(running.number) is running:
            del self._waiting[running.number]

    def _end(self, running: _Running) -> None:
        self._forget(running)
        running.talk.close()


def connected(host: str, port: int, addresses: Iterable[str]) -> Talk[socket.socket]:
    """A socket that does not block, to the first address that answers. Raises OSError."""
    last: OSError = OSError(f"{host} has no address")
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            yield from _connect(made, address, port)
        except OSError as error:
            made.close()
            last = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise last


def _connect(made: socket.socket, address: str, port: int) -> Talk[None]:
    code = made.connect_ex((address, port))
    if code in (errno.EINPROGRESS, errno.EINTR):
        yield made
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, f"cannot connect to {address}:{port}: {os.strerror(code)}")


def secured(made: socket.socket, context: ssl.SSLContext, name: str) -> Talk[ssl.SSLSocket]:
    """TLS on a connection, which is closed when it fails. Raises OSError (``ssl.SSLError`` is one)."""
    try:
        tls = context.wrap_socket(made, server_hostname=name, do_handshake_on_connect=False)
    except BaseException:
        made.close()
        raise
    try:
        while True:
            try:
                tls.do_handshake()
            except WOULD_BLOCK:
                yield tls
            else:
                return tls
    except ssl.SSLEOFError as error:  # hung up on us: no fault of anything it said
        tls.close()
        raise ConnectionResetError(errno.ECONNRESET, "closed while shaking hands") from error
    except BaseException:
        tls.close()
        raise


def sent(made: socket.socket, data: bytes) -> Talk[None]:
    """Everything is with the kernel. Raises OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[made.send(left) :]
        except WOULD_BLOCK:
            yield made


def received(made: socket.socket, most: int) -> Talk[bytes]:
    """Some bytes, none at the end. Raises OSError."""
    while True:
        try:
            return made.recv(most)
        except WOULD_BLOCK:
            yield made
