"""Answers that something on the way has changed: bytes flipped, cut, repeated, moved, overwritten by what does harm."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

#: What does harm where it is not expected.
WORDS = (
    b"\xff" * 9, b"\x00" * 8, b"\x80" * 9 + b"\x01", b"\x7f\xff\xff\xff", b"NaN", b"-1", b"1e999", b"9" * 30,
    b"[" * 300, b'{"a":' * 60, b"null", b"true", b"\r\n", b"\n", b'"', b"\xed\xa0\x80", "多".encode(), b"",
)  # fmt: skip
#: What is a value rather than a frame, in texts and between the lengths of binary protocols.
VALUES = re.compile(rb"[-+.0-9A-Za-z]{2,}")


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The same with one to four changes."""
    body = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        body = dice.choice((_flip, _cut, _splice, _overwrite, _swap))(body or bytearray(b"\0"), dice)
    return bytes(body)


def values_changed(data: bytes, dice: random.Random) -> bytes:
    """The same with one to four of its words and numbers overwritten, each as long as it was: the frame stays whole.

    What has neither words nor numbers stays as it is.
    """
    body, found = bytearray(data), [one.span() for one in VALUES.finditer(data)]
    for _ in range(dice.choice((1, 1, 2, 4)) if found else 0):
        start, end = dice.choice(found)
        word = dice.choice((*WORDS, bytes([dice.randrange(256)]), body[start : start + 1])) or b"0"
        body[start:end] = (word * (end - start))[: end - start]
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
