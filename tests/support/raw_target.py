"""A loopback TCP server that speaks no protocol: it says what the test tells it to, well or badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

#: What every database client must stand: the words are the ways of ``misbehaving``.
WAYS = ("hang", "silent", "garbage", "drip", "flood", "http")
HUGE = 100 << 20


@dataclass
class Raw:
    port: int = 0
    sent: int = 0  #: bytes written
    connections: int = 0
    heard: bytearray = field(default_factory=bytearray)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def misbehaving(way: str, first: bytes = b"") -> AsyncIterator[Raw]:
    """Says ``first`` to whoever connects and then goes wrong in one way."""
    raw, tasks = Raw(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        raw.connections += 1
        with suppress(ConnectionError, asyncio.CancelledError):
            writer.write(first)
            await _wrong(way, raw, writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()


async def _wrong(way: str, raw: Raw, writer: asyncio.StreamWriter) -> None:
    if way == "hang":
        await asyncio.sleep(60)
    elif way == "garbage":
        writer.write(bytes(range(255, -1, -1)) * 40)
        await writer.drain()
    elif way == "http":
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
    elif way == "drip":
        while True:
            writer.write(b"#")
            await writer.drain()
            await asyncio.sleep(0.02)
    elif way == "flood":
        while raw.sent < HUGE:
            writer.write(b"\xff" * 65_536)
            raw.sent += 65_536
            await writer.drain()
