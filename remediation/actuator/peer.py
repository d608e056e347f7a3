"""Who is at the other end of a UNIX socket, told by the kernel: nobody can lie about it."""

from __future__ import annotations

import os
import select
import socket
import struct
from pathlib import Path
from typing import Literal, NamedTuple

Separation = Literal["user", "process", "none", "unknown"]
#: Seconds for a connection on this machine.
PATIENCE = 0.5
LAYOUT = "3i"  #: struct ucred of unix(7): process, user, group


class Peer(NamedTuple):
    pid: int  #: 0 when it lives in another namespace
    uid: int


def peer(connection: socket.socket) -> Peer:
    """The process at the other end, as it was when it connected or began to listen."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(LAYOUT))
    pid, uid, _ = struct.unpack(LAYOUT, raw)
    return Peer(pid, uid)


def is_open(connection: socket.socket) -> bool:
    """False once the other end has closed, however much of what it sent is still to be read."""
    asked = select.poll()
    try:
        asked.register(connection.fileno(), select.POLLRDHUP)
    except ValueError:  # it is closed on our side, too
        return False
    return not asked.poll(0)


def separation(path: Path) -> Separation:
    """What stands between us and the actuator that listens at ``path``: its own user, its own process, or nothing.

    Unknown when it cannot be asked: no separation is claimed that nobody has seen.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(path))
            found = peer(connection)
        except OSError:
            return "unknown"
    if found.uid != os.getuid():
        return "user"
    return "none" if found.pid == os.getpid() else "process"
