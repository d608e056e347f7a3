"""What tests of probes share: their readings by name, and listeners on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from watchkeeper.model import METRIC_NAME, metric_name
from watchkeeper.outbound import Outbound

NOW = datetime.now(UTC)
TARGET = {METRIC_NAME, "job", "instance"}


async def shown(part: Any, outbound: Outbound) -> dict[str, float]:
    """Readings as ``name`` or ``name/value of its own label/...``."""
    (tick,) = (await part.collect(NOW, outbound)).ticks
    return {
        "/".join([metric_name(series), *(value for key, value in series if key not in TARGET)]): value
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True)
    }


@asynccontextmanager
async def speaking(greeting: bytes, reply: bytes = b"") -> AsyncIterator[str]:
    """A TCP server that greets, and replies to the first line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if await reader.readline():
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def closed_port() -> str:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{made.getsockname()[1]}"
