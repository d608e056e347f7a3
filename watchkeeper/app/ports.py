"""Are our addresses free? Asked before any child starts, so that a busy port is one sentence and not a restart loop."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from watchkeeper.errors import ConfigError

_LISTEN = "0A"  #: state of a listening socket in /proc/net/tcp


def check_free(addresses: Iterable[tuple[str, str, int]]) -> None:
    """(key of the configuration, host, port) each; raises ConfigError for the first that cannot be listened on.

    Port 0 is the kernel's choice and always free.
    """
    for key, host, port in addresses:
        try:
            _try(host, port)
        except OSError as error:
            raise ConfigError(_sentence(error, host, port), key=key) from None


def _try(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: TIME_WAIT is no holder
        probe.bind(address)
        probe.listen(1)


def _sentence(error: OSError, host: str, port: int) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"cannot listen on {host}:{port}: {error.strerror or error}; name another address"
    return f"port {port} is taken{_by(port)}; stop that, or name another port"


def _by(port: int) -> str:
    """`` by haproxy (process 4711)`` when /proc tells this user."""
    inodes = set(_inodes(port))
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's, or gone meanwhile
            for handle in (process / "fd").iterdir():
                if str(handle.readlink()) in inodes:
                    return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _inodes(port: int) -> Iterable[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (Path("/proc/net") / table).read_text().splitlines()[1:]:
                part = line.split()
                if part[3] == _LISTEN and int(part[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{part[9]}]"
