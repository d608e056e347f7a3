"""Answers that something on the way has changed: bytes flipped, cut, repeated, moved, overwritten by what does harm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

#: Seconds of silence after which a changed conversation is over, and one in how many is left open instead.
QUIET_SECONDS, HANGING = 0.02, 16
#: Pieces of a conversation that go through before one is changed; the same where one answer is all there is.
BEFORE, AT_ONCE = (0, 0, 1, 1, 2, 3, 5, 8), (0, 0, 0, 0, 0, 0, 0, 1)
#: What does harm where it is not expected.
WORDS = (
    b"\xff" * 9, b"\x00" * 8, b"\x80" * 9 + b"\x01", b"\x7f\xff\xff\xff", b"NaN", b"-1", b"1e999", b"9" * 30,
    b"[" * 300, b'{"a":' * 60, b"null", b"true", b"\r\n", b"\n", b'"', b"\xed\xa0\x80", "多".encode(), b"",
)  # fmt: skip


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The same with one to four changes."""
    body = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        body = dice.choice((_flip, _cut, _splice, _overwrite, _swap))(body or bytearray(b"\0"), dice)
    return bytes(body)


def _flip(body: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.choice((1, 1, 3, 20))):
        body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
    return body


def _cut(body: bytearray, dice: random.Random) -> bytearray:
    return body[: dice.randrange(len(body))]


def _splice(body: bytearray, dice: random.Random) -> bytearray:
    start, size, place = dice.randrange(len(body)), dice.randrange(1, 60), dice.randrange(len(body))
    return body[:place] + body[start : start + size] * dice.choice((1, 2, 40)) + body[place:]


def _overwrite(body: bytearray, dice: random.Random) -> bytearray:
    place, word = dice.randrange(len(body)), dice.choice(WORDS)
    return body[:place] + word + body[place + dice.choice((0, len(word))) :]


def _swap(body: bytearray, dice: random.Random) -> bytearray:
    place = dice.randrange(len(body))
    return body[place:] + body[:place]


class Relay:
    """Hands on what a server says, some pieces of each connection changed; the asker's own words go through whole.

    Where nobody speaks for a moment after that, the connection is ended: who waits for bytes that never come tells
    nothing new, and costs the whole time-out. One in ``HANGING`` stays open, for waiting must end too.
    """

    def __init__(self, port: int, dice: random.Random, before: Sequence[int] = BEFORE) -> None:
        self.port, self.dice, self.server, self.before = 0, dice, port, before
        self.changed = 0  #: pieces that were changed
        self.open = set[_Front]()

    def made(self) -> asyncio.Protocol:
        return _Front(self)


class _Front(asyncio.Protocol):
    """The asker's side of one connection."""

    def __init__(self, relay: Relay) -> None:
        self.relay, self._back = relay, _Back(self)
        self._left, self._changed = relay.dice.choice(relay.before), False
        self._hangs = not relay.dice.randrange(HANGING)
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[bytes] = []  #: said before the server was reached

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.relay.open.add(self)
        self._reaching = asyncio.ensure_future(self._reach())

    async def _reach(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self._back, "127.0.0.1", self.relay.server)
        except OSError:
            self.end()
            return
        for data in self._waiting:
            self._back.write(data)
        if self._transport.is_closing():
            self.end()

    def data_received(self, data: bytes) -> None:
        self._heard()
        if self._back.reached:
            self._back.write(data)
        else:
            self._waiting.append(data)

    def answered(self, piece: bytes) -> None:
        """The server says this."""
        if self._left == 0:
            self.relay.changed += 1
            piece = mutated(piece, self.relay.dice)
            self._changed, self._left = True, self.relay.dice.choice(self.relay.before) + 1  # kept ones go on so
        self._left -= 1
        self._transport.write(piece)
        self._heard()

    def _heard(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._changed and not self._hangs:
            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self.end)

    def connection_lost(self, exc: Exception | None) -> None:
        self.relay.open.discard(self)
        self.end()

    def end(self) -> None:
        """Both sides."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        self._back.close()

    async def over(self) -> None:
        """At once, whatever is still to be sent."""
        self._reaching.cancel()
        await asyncio.gather(self._reaching, return_exceptions=True)
        self._transport.abort()
        self._back.abort()
        await asyncio.sleep(0)  # their ends are told in the loop's next round


class _Back(asyncio.Protocol):
    """The server's side of one connection."""

    reached = False

    def __init__(self, front: _Front) -> None:
        self._front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.reached = transport, True

    def data_received(self, data: bytes) -> None:
        self._front.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.end()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        if self.reached:
            self._transport.close()

    def abort(self) -> None:
        if self.reached:
            self._transport.abort()


@asynccontextmanager
async def relay(port: int, dice: random.Random, before: Sequence[int] = BEFORE) -> AsyncIterator[Relay]:
    """Between an asker and the TCP server on ``port``."""
    made = Relay(port, dice, before)
    server = await asyncio.get_running_loop().create_server(made.made, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for one in list(made.open):
            await one.over()
        await server.wait_closed()


@asynccontextmanager
async def datagrams(port: int, change: Any) -> AsyncIterator[int]:
    """A relay of datagrams that hands each answer to ``change``: None loses it."""
    loop = asyncio.get_running_loop()
    askers: dict[str, Any] = {}

    class Back(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _: Any) -> None:
            changed = change(data)
            if changed is not None:
                askers["front"].sendto(changed, askers["who"])

    class Front(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, who: Any) -> None:
            askers["who"] = who
            back.sendto(data)

    back, _ = await loop.create_datagram_endpoint(Back, remote_addr=("127.0.0.1", port))
    front, _ = await loop.create_datagram_endpoint(Front, local_addr=("127.0.0.1", 0))
    askers["front"] = front
    try:
        yield front.get_extra_info("sockname")[1]
    finally:
        back.close()
        front.close()
