"""HAProxy's Runtime API: one command a connection, over a UNIX socket or TCP; answers are text, empty means done."""

from __future__ import annotations

import csv
import io
import re
import socket

from watchkeeper.errors import ActionError

#: Answers longer than this are not read.
MAX_ANSWER = 4 << 20
#: Names HAProxy allows for proxies and servers; anything else could smuggle a second command.
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def ask(address: str, command: str, timeout: float) -> str:
    """The answer to one command. After the command was sent, a lost answer leaves the effect unknown."""
    if any(character in command for character in "\n\r;\\"):
        raise ActionError("a command to HAProxy may hold one line only")
    sent = False
    try:
        with _connect(address, timeout) as connection:
            connection.sendall(f"{command}\n".encode())
            sent = True
            answer = _read(connection)
    except OSError as error:
        raise ActionError(f"HAProxy at {address}: {error}", unknown=sent) from error
    return answer.decode(errors="replace").strip()


def _connect(address: str, timeout: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        return socket.create_connection((host, int(port)), timeout=timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _read(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := connection.recv(65536):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            raise ActionError("HAProxy's answer is too long", unknown=True)
    return b"".join(parts)


def table(text: str) -> list[dict[str, str]]:
    """Rows of ``show servers state``: a version line, a header after ``#``, then space-separated columns."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = next((line for line in lines if line.startswith("# ")), "")
    columns = header[2:].split()
    rows = lines[lines.index(header) + 1 :] if header else []
    return [dict(zip(columns, row.split(" "), strict=False)) for row in rows]


def statistics(text: str) -> list[dict[str, str]]:
    """Rows of ``show stat``: CSV with ``# `` before the header."""
    return list(csv.DictReader(io.StringIO(text.removeprefix("# "))))
