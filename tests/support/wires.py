"""Wires between a watcher and what it watches: relays on loopback that can be cut and mended.

A cut wire looks like a network that drops everything: what was connected hears nothing more, and a new connection gets
no answer. Nobody is refused; the watcher cannot tell a cut wire from a dead machine by the wire alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


class Wires:
    """``to`` gives a port that leads to another; ``cut`` and ``mend`` are for all of them. Runs in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._through: asyncio.Event
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._run, name="wires", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._through = asyncio.Event()
        self._through.set()
        self._loop.run_forever()
        self._loop.close()

    def to(self, port: int) -> int:
        """A port of ours whose connections end at ``port``."""
        return int(self._call(self._listen(port)))

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(lambda: self._through.clear())

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(lambda: self._through.set())

    def close(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, port: int) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await self._relay(port, reader, writer)
            except (OSError, asyncio.CancelledError):
                pass  # one end is gone, or the test is over
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self._servers.append(server)
        found: int = server.sockets[0].getsockname()[1]
        return found

    async def _relay(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._through.wait()
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            back.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._through.wait()
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
