"""Servers asked for a connection, all at the same time: what nobody else tells of them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 32
UNIX = "unix:"
#: Where an address names no port.
HTTP = 80


def accepting(servers: Mapping[str, str], seconds: float) -> dict[str, bool]:
    """Name -> it took a connection in time, of ``host:port``, ``host``, ``[v6]:port`` or ``unix:/path``."""
    with ThreadPoolExecutor(min(AT_ONCE, max(len(servers), 1))) as pool:
        found = pool.map(lambda address: _accepts(address, seconds), servers.values())
        return dict(zip(servers, found, strict=True))


def _accepts(address: str, seconds: float) -> bool:
    try:
        if address.startswith(UNIX):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(seconds)
                connection.connect(address.removeprefix(UNIX))
            return True
        with socket.create_connection(place_of(address), timeout=seconds):
            return True
    except (OSError, OverflowError):  # a port beyond 65535, too
        return False


def place_of(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        return host.strip("[]"), int(port)
    return address.strip("[]"), HTTP
