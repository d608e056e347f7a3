"""TCP connections of probes: the name resolved once, every address checked, then the first that answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress

from watchkeeper.outbound import Outbound


async def connected(outbound: Outbound, host: str, port: int) -> tuple[socket.socket, float, float]:
    """(socket that does not block, seconds of resolving, seconds of connecting). Raises OSError, OutboundError."""
    began = time.monotonic()
    addresses = await outbound.addresses(host, port)
    resolved = time.monotonic()
    last: OSError = OSError(f"{host} has no address")
    for address in addresses:
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, (address, port))
        except OSError as error:
            made.close()
            last = error
        except BaseException:
            made.close()
            raise
        else:
            return made, resolved - began, time.monotonic() - resolved
    raise last


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
