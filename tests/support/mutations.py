"""Answers that something on the way has changed: bytes flipped, cut, repeated, moved, overwritten by what does harm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from support.listening import listening

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
    """Hands on what a server says, one piece of each connection changed; the asker's own words go through whole."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self.port, self.dice, self._server = 0, dice, port
        self.changed = 0  #: pieces that were changed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs: asyncio.StreamWriter | None = None
        forward: asyncio.Task[None] | None = None
        try:
            answers, theirs = await asyncio.open_connection("127.0.0.1", self._server)
            forward = asyncio.ensure_future(_pump(reader, theirs))
            left = self.dice.choice((0, 0, 1, 1, 2, 3, 5, 8))
            while piece := await answers.read(1 << 16):
                if left == 0:
                    self.changed += 1
                    piece = mutated(piece, self.dice)
                left -= 1
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # one side has gone, or the test is over
        finally:
            if forward is not None:
                forward.cancel()
            for side in filter(None, (writer, theirs)):
                side.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def relay(port: int, dice: random.Random) -> AsyncIterator[Relay]:
    """Between an asker and the TCP server on ``port``."""
    made = Relay(port, dice)
    async with listening(made.serve) as made.port:
        yield made


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
