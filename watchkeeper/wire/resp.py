"""Redis's protocol (RESP 2) over one connection: a few commands, every answer bounded in size."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Self, TypeAlias

from watchkeeper.errors import CollectError

#: Answers nest one level (SENTINEL MASTERS), two (SLOWLOG GET) or five (XREADGROUP).
MAX_DEPTH = 5
Reply: TypeAlias = "str | int | Refused | list[Reply] | None"


class Refused(str):
    """The server's error answer, such as NOPERM: one command fails, the others go on."""

    __slots__ = ()


class Resp:
    """One connection. ``max_bytes`` is for all answers together; times are limited by the caller's time-out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int) -> None:
        self._reader, self._writer, self._left = reader, writer, max_bytes
        self.received = 0  #: bytes

    @classmethod
    async def connect(cls, host: str, port: int, tls: ssl.SSLContext | None, max_bytes: int) -> Self:
        """Raises CollectError with reason connect or tls."""
        try:
            return cls(*await asyncio.open_connection(host, port, ssl=tls), max_bytes)
        except ssl.SSLError as error:
            raise CollectError(f"TLS: {error.reason or error}", reason="tls") from None
        except OSError as error:
            raise CollectError(f"no connection: {error.strerror or error}", reason="connect") from None

    async def call(self, *words: str) -> Reply:
        """One command and its answer. Raises CollectError when what comes back is no answer."""
        parts = [word.encode() for word in words]
        sent = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self._writer.write(b"*%d\r\n%s" % (len(parts), sent))
            await self._writer.drain()
            return await self._reply(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise CollectError("the connection ended inside an answer", reason="protocol") from None
        except ssl.SSLError as error:
            raise CollectError(f"TLS: {error.reason or error}", reason="tls") from None
        except (asyncio.LimitOverrunError, ValueError):
            raise CollectError("what answers does not speak Redis's protocol", reason="protocol") from None

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.2):  # a peer that does not say goodbye is left alone
                await self._writer.wait_closed()

    async def _reply(self, depth: int) -> Reply:
        line = await self._reader.readuntil(b"\r\n")
        self._count(len(line))
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode(errors="replace")
        if kind == b"-":
            return Refused(rest.decode(errors="replace")[:200])
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return await self._bulk(int(rest))
        if kind == b"*" and depth < MAX_DEPTH:
            return await self._array(int(rest), depth)
        raise ValueError(kind)

    async def _bulk(self, length: int) -> str | None:
        if length < 0:
            return None
        self._count(length + 2)
        return (await self._reader.readexactly(length + 2))[:-2].decode(errors="replace")

    async def _array(self, length: int, depth: int) -> Reply:
        if length < 0:
            return None
        self._count(length)  # an element has a byte at least: the length is checked before the elements come
        return [await self._reply(depth + 1) for _ in range(length)]

    def _count(self, size: int) -> None:
        self.received += size
        self._left -= size
        if self._left < 0:
            raise CollectError("the answers are larger than max_bytes", reason="too_large")


def refusal(reply: Reply) -> str:
    """What the server said instead of an answer; empty where it answered."""
    return str(reply) if isinstance(reply, Refused) else ""


def pairs(reply: Reply) -> dict[str, str]:
    """A flat list of names and values, as CONFIG GET and SENTINEL MASTERS give them."""
    if not isinstance(reply, list):
        return {}
    return {str(name): str(value) for name, value in zip(reply[::2], reply[1::2], strict=False)}
