"""A way to a good server on which one fault after the other is laid, in the protocol's own bytes where it has some."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from support.listening import listening

Fault = Literal["", "timeout", "garbage", "truncation", "huge", "redirect", "tls", "drip", "restart"]
#: Bytes of an answer that is far too large.
HUGE = 100 << 20
GARBAGE = bytes(range(255, -1, -1)) * 40
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a protocol says at the beginning of a fault."""

    huge: bytes = b""  #: announces a hundred megabytes
    redirect: Callable[[int], bytes] | None = None  #: sends the asker to another port; None: the protocol cannot
    before_tls: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None  #: in the clear
    waits: bool = True  #: the asker speaks first


class Way:
    """Leads to a server; ``turn`` ends what is open and lays a fault. Bytes and connections are counted."""

    def __init__(self, server: int, words: Words, wrong: ssl.SSLContext) -> None:
        self.port, self.elsewhere, self.fault = 0, 0, ""
        self.connections = self.strayed = 0
        self._said: Counter[asyncio.StreamWriter] = Counter()
        self._server, self._words, self._wrong = server, words, wrong
        self._whole = 0  #: bytes of the longest answer that went through
        self._open = set[asyncio.StreamWriter]()

    def turn(self, fault: Fault) -> None:
        """From now on. Connections that are kept between readings would not meet the fault."""
        self.fault, self.connections, self.strayed = fault, 0, 0
        self._said.clear()
        for writer in list(self._open):
            writer.transport.abort()

    @property
    def sent(self) -> int:
        """Bytes of the connection that took most."""
        return max(self._said.values(), default=0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            await self._lay(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the asker has had enough
        finally:
            self._open.discard(writer)
            writer.close()

    async def stray(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Where a redirect leads to: nobody must come here."""
        self.strayed += 1
        writer.close()

    async def _lay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self.fault:
            case "":
                await self._relay(reader, writer, HUGE, 0.0)
            case "truncation":
                await self._relay(reader, writer, max(1, self._whole // 3), 0.0)
            case "drip":
                await self._relay(reader, writer, HUGE, 0.2)
            case "restart":
                writer.transport.abort()
            case "tls":
                await self._show_wrong(reader, writer)
            case fault:
                if self._words.waits:
                    await reader.read(1)
                await self._speak(fault, writer)

    async def _speak(self, fault: str, writer: asyncio.StreamWriter) -> None:
        if fault == "timeout":
            await asyncio.sleep(60)
        elif fault == "garbage":
            await self._say(writer, GARBAGE)
        elif fault == "redirect":
            assert self._words.redirect is not None
            await self._say(writer, self._words.redirect(self.elsewhere))
            await asyncio.sleep(1)
        else:
            await self._say(writer, self._words.huge)
            while self._said[writer] < HUGE:
                await self._say(writer, b"\x41" * 65_536)

    async def _say(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        self._said[writer] += len(data)
        writer.write(data)
        await writer.drain()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int, pause: float) -> None:
        """The server's words up to ``most`` bytes; with a ``pause``, byte by byte."""
        answers, theirs = await asyncio.open_connection("127.0.0.1", self._server)
        forward = asyncio.ensure_future(_pump(reader, theirs))
        said = 0
        try:
            while said < most and (piece := await answers.read(1 if pause else min(1 << 16, most - said))):
                said += len(piece)
                await self._say(writer, piece)
                await asyncio.sleep(pause)
        finally:
            if not self.fault:
                self._whole = max(self._whole, said)
            forward.cancel()
            theirs.close()

    async def _show_wrong(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A certificate of somebody else, signed by nobody."""
        if self._words.before_tls is not None:
            await self._words.before_tls(reader, writer)
        with suppress(ssl.SSLError):
            await writer.start_tls(self._wrong, ssl_handshake_timeout=5.0)
            await reader.read(1 << 16)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def fault_way(server: int, words: Words, wrong: ssl.SSLContext) -> AsyncIterator[Way]:
    made = Way(server, words, wrong)
    async with listening(made.serve) as made.port, listening(made.stray) as made.elsewhere:
        yield made
