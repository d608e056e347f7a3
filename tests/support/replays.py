"""What a real server said, recorded in one conversation and said again, changed, as often as one likes."""

from __future__ import annotations

import asyncio
import io
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from support.memory_net import SERVER, never_readable
from support.mutations import mutated, values_changed

#: One in how many changed conversations is left open: waiting must end too.
HANGING = 32
#: Seconds of silence after which a changed conversation is over: who waits for bytes that never come tells nothing new.
QUIET_SECONDS = 0.002


def about(asked: bytes) -> bytes:
    """What is asked: requests over HTTP by their path alone, for their signatures and times differ."""
    line, _, rest = asked.partition(b"\r\n")
    return line.partition(b"?")[0] if b" HTTP/1." in line and rest else asked


@dataclass
class Recorded:
    """Pieces that the server said by itself, and after each piece that it was told."""

    greeting: list[bytes] = field(default_factory=list)
    turns: list[tuple[bytes, list[bytes]]] = field(default_factory=list)

    def size(self) -> int:
        """How many pieces the server said."""
        return len(self.greeting) + sum(len(pieces) for _, pieces in self.turns)

    def after(self, asked: bytes, before: Counter[bytes]) -> Sequence[bytes]:
        """What followed this, or whatever had its place in the conversation; ``before``: how often which was asked."""
        word = about(asked)
        same = [pieces for recorded, pieces in self.turns if recorded == word]
        same = same or [pieces for _, pieces in self.turns[before.total() :][:1]]
        number = before[word]
        before[word] += 1
        return same[min(number, len(same) - 1)] if same else ()


class Heard:
    """One connection while it is recorded; there may be several at a time."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._pieces = [] if recorded.turns or recorded.greeting else recorded.greeting

    def told(self, asked: bytes) -> None:
        self._pieces = []
        self._recorded.turns.append((about(asked), self._pieces))

    def said(self, piece: bytes) -> None:
        self._pieces.append(piece)


@dataclass
class Changes:
    """Which pieces of each conversation come changed, and how many have so far."""

    recorded: Recorded
    dice: random.Random
    first: Sequence[int]  #: pieces of a conversation that go through before one is changed
    before: Sequence[int]  #: and before the next, where it goes on
    at_once: bool  #: a changed answer is the last
    values: bool = False  #: values are changed, and the frames around them stay whole
    changed: int = 0


class Conversation:
    """One connection to the recorded server."""

    def __init__(self, way: Changes) -> None:
        self._way, self._asked = way, Counter[bytes]()
        self._left, self._changed = way.dice.choice(way.first), False
        self._hangs = not way.dice.randrange(HANGING)

    @property
    def over(self) -> bool:
        """Who waits now waits in vain."""
        return self._changed and not self._hangs

    def greeting(self) -> bytes:
        return b"".join(map(self._said, self._way.recorded.greeting))

    def answer(self, asked: bytes) -> bytes:
        return b"".join(map(self._said, self._way.recorded.after(asked, self._asked)))

    def _said(self, piece: bytes) -> bytes:
        if self._left:
            self._left -= 1
            return piece
        said = (values_changed if self._way.values else mutated)(piece, self._way.dice)
        if said != piece:
            self._changed = True
            self._way.changed += 1
            self._left = self._way.dice.choice(self._way.before)  # those that are kept go on so
        return said


class Replay(asyncio.Protocol):
    """The server's side of a connection in an event loop."""

    def __init__(self, talk: Conversation, at_once: bool) -> None:
        self._talk, self._at_once = talk, at_once
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._say(self._talk.greeting())

    def data_received(self, data: bytes) -> None:
        self._say(self._talk.answer(data))

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _say(self, words: bytes) -> None:
        self._transport.write(words)
        if self._timer is not None:
            self._timer.cancel()
        if self._talk.over and self._at_once:
            self._transport.close()
        elif self._talk.over:
            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._transport.close)


class Tap(asyncio.Protocol):
    """Stands for the server while it is recorded."""

    def __init__(self, port: int, recorded: Recorded) -> None:
        self._port, self._heard = port, Heard(recorded)
        self._back: asyncio.WriteTransport | None = None
        self._waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._front = transport
        self._reaching = asyncio.ensure_future(self._reach())

    async def _reach(self) -> None:
        SERVER.set(None)  # in this task alone
        made: Callable[[], asyncio.Protocol] = lambda: _Back(self._front, self._heard)  # noqa: E731
        self._back, _ = await asyncio.get_running_loop().create_connection(made, "127.0.0.1", self._port)
        for data in self._waiting:
            self._back.write(data)

    def data_received(self, data: bytes) -> None:
        self._heard.told(data)
        if self._back is None:
            self._waiting.append(data)
        else:
            self._back.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self._back is not None:
            self._back.close()


class _Back(asyncio.Protocol):
    def __init__(self, front: asyncio.Transport, heard: Heard) -> None:
        self._front, self._heard = front, heard

    def data_received(self, data: bytes) -> None:
        self._heard.said(data)
        self._front.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._front.close()


class Blocking(io.RawIOBase):
    """A socket for clients that block: reads answer at once, or time out at once where nothing would come."""

    def __init__(self, way: Changes) -> None:
        super().__init__()
        self._talk = Conversation(way)
        self._come = bytearray(self._talk.greeting())

    def sendall(self, data: bytes) -> None:
        self._come += self._talk.answer(bytes(data))

    def readable(self) -> bool:
        return True

    def readinto(self, place: Any) -> int:
        size = min(len(place), len(self._come))
        if not size and not self._talk.over:
            raise TimeoutError("timed out")
        place[:size] = self._come[:size]
        del self._come[:size]
        return size

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Left(self))

    def fileno(self) -> int:
        return never_readable()

    def settimeout(self, _: float | None) -> None:
        """It never waits."""

    def setsockopt(self, *_: object) -> None:
        """It has none."""

    def getsockopt(self, *_: object) -> int:
        """TLS asks; the server that was recorded had none."""
        raise ssl.SSLError("wrong version number")

    def shutdown(self, _: int) -> None:
        """Whoever is asked no more says no more."""


class _Left(io.RawIOBase):
    """Reads on after the file of a socket is closed belong to the socket, which stays."""

    def __init__(self, of: Blocking) -> None:
        super().__init__()
        self._of = of

    def readable(self) -> bool:
        return True

    def readinto(self, place: Any) -> int:
        return self._of.readinto(place)


class Recording:
    """A real socket that writes down what goes over it."""

    def __init__(self, real: socket.socket, recorded: Recorded) -> None:
        self._real, self._heard = real, Heard(recorded)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sendall(self, data: bytes) -> None:
        self._heard.told(bytes(data))
        self._real.sendall(data)

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Listening(self._real, self._heard))


class _Listening(io.RawIOBase):
    def __init__(self, real: socket.socket, heard: Heard) -> None:
        super().__init__()
        self._real, self._heard = real, heard

    def readable(self) -> bool:
        return True

    def readinto(self, place: Any) -> int:
        size = self._real.recv_into(place)
        if size:
            self._heard.said(bytes(place[:size]))
        return size


@contextmanager
def blocking_network(made: Callable[[Any], Any]) -> Iterator[None]:
    """What ``socket.create_connection`` (PyMySQL) and urllib3 answer; ``made`` is given the real one."""
    from urllib3.util import connection

    real = socket.create_connection

    def create(*where: Any, **more: Any) -> Any:
        return made(lambda: real(*where[:2]))

    with (
        mock.patch.object(socket, "create_connection", create),
        mock.patch.object(connection, "create_connection", create),
    ):
        yield
