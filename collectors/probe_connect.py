"""TCP connections of probes: the name resolved once, every address checked, then the first that answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress

from watchkeeper import fresh
from watchkeeper.outbound import Outbound


async def connected(outbound: Outbound, host: str, port: int) -> tuple[socket.socket, float, float]:
    """(socket that does not block, seconds of resolving, seconds of connecting). Raises OSError, OutboundError."""
    began = time.monotonic()
    addresses = await outbound.addresses(host, port)
    resolved = time.monotonic()
    made = await fresh.connected(host, port, addresses)
    return made, resolved - began, time.monotonic() - resolved


async def secured(made: socket.socket, context: ssl.SSLContext, name: str) -> asyncio.Transport:
    """TLS on a connection, which is closed when it fails. Raises OSError (``ssl.SSLError`` is one)."""
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=made, ssl=context, server_hostname=name)
    except BaseException:
        with suppress(OSError):
            made.close()
        raise
    return transport
