"""TCP connections of probes: the name resolved once, every address checked, then the first that answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from watchkeeper import sockets
from watchkeeper.outbound import Outbound
from watchkeeper.sockets import Talk

Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection, and what it took."""

    made: socket.socket  #: does not block
    resolving: float  #: seconds
    connecting: float  #: seconds


async def over_connection(
    outbound: Outbound, host: str, port: int, talk: Callable[[Connected], Talk[Told]], timeout: float
) -> Told:
    """What the conversation over a new connection returns, within ``timeout`` seconds in all.

    Raises OSError (TimeoutError is one), OutboundError, and what it raises.
    """
    began = time.monotonic()
    addresses = await outbound.addresses(host, port, timeout)
    resolving = time.monotonic() - began

    def whole() -> Talk[Told]:
        asked = time.monotonic()
        made = yield from sockets.connected(host, port, addresses)
        with made:
            return (yield from talk(Connected(made, resolving, time.monotonic() - asked)))

    return await outbound.sockets.run(whole(), timeout - resolving)
