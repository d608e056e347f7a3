"""SRV, A, AAAA and MX records over UDP, and over TCP when the answer does not fit."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path

TYPES = {"A": 1, "MX": 15, "AAAA": 28, "SRV": 33}
#: Seconds one server has for its answer.
TIMEOUT = 5.0
_TRUNCATED, _NO_SUCH_NAME = 0x0200, 3

Record = tuple[str, int]


async def resolve(name: str, kind: str, *, servers: Sequence[str] = ()) -> list[Record]:
    """(host or address, port) of each record, none when the name does not exist. Raises OSError, ValueError."""
    last: Exception = OSError("no DNS server is known; see /etc/resolv.conf")
    for server in servers or await asyncio.to_thread(system_servers):
        host, port = _place(server)
        try:
            return read(*await asyncio.wait_for(_ask(host, port, question(name, kind)), TIMEOUT), kind)
        except (OSError, TimeoutError, ValueError) as error:
            last = OSError("no answer in time") if isinstance(error, TimeoutError) else error
    raise last


def system_servers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return [parts[1] for parts in (line.split() for line in lines) if len(parts) > 1 and parts[0] == "nameserver"]


def _place(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    if host and port.isdigit() and (host.startswith("[") or ":" not in host):
        return host.strip("[]"), int(port)
    return server, 53


def question(name: str, kind: str) -> bytes:
    """A query for one name. Raises ValueError for what is no name."""
    labels = [label.encode("idna") if not label.isascii() else label.encode() for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise ValueError("is no DNS name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return (
        struct.pack(">HHHHHH", secrets.randbits(16), 0x0100, 1, 0, 0, 0) + encoded + struct.pack(">HH", TYPES[kind], 1)
    )


class _Answer(asyncio.DatagramProtocol):
    def __init__(self, asked: bytes) -> None:
        self.asked = asked
        self.found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if data[:2] == self.asked[:2] and not self.found.done():  # anything else is not meant for this question
            self.found.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.found.done():
            self.found.set_exception(exc)


async def _ask(host: str, port: int, asked: bytes) -> tuple[bytes, bytes]:
    loop = asyncio.get_running_loop()
    transport, answer = await loop.create_datagram_endpoint(lambda: _Answer(asked), remote_addr=(host, port))
    try:
        transport.sendto(asked)
        data = await answer.found
    finally:
        transport.close()
    if len(data) >= 4 and struct.unpack_from(">H", data, 2)[0] & _TRUNCATED:
        data = await _ask_tcp(host, port, asked)
    return asked, data


async def _ask_tcp(host: str, port: int, asked: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(struct.pack(">H", len(asked)) + asked)
        await writer.drain()
        size = struct.unpack(">H", await reader.readexactly(2))[0]
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        raise OSError("the DNS server broke off") from None
    finally:
        writer.close()


def read(asked: bytes, data: bytes, kind: str) -> list[Record]:
    """The records of an answer. Raises ValueError for one that is broken, OSError for a refusal."""
    try:
        return _read(asked, data, kind)
    except (struct.error, IndexError):
        raise ValueError("the DNS answer is broken") from None


def _read(asked: bytes, data: bytes, kind: str) -> list[Record]:
    number, flags, questions, answers = struct.unpack_from(">HHHH", data)
    if number != struct.unpack_from(">H", asked)[0] or not flags & 0x8000:
        raise ValueError("is no answer to the question")
    code = flags & 15
    if code == _NO_SUCH_NAME:
        return []
    if code:
        raise OSError(f"the DNS server refuses with code {code}")
    at = 12
    for _ in range(questions):
        at = _name(data, at)[1] + 4
    found = []
    for _ in range(answers):
        at = _name(data, at)[1]
        record, _, _, length = struct.unpack_from(">HHIH", data, at)
        at += 10
        if record == TYPES[kind]:
            found.append(_record(data, at, length, kind))
        at += length
    return found


def _record(data: bytes, at: int, length: int, kind: str) -> Record:
    if kind in ("A", "AAAA"):
        return str(ipaddress.ip_address(data[at : at + length])), 0
    if kind == "MX":
        return _name(data, at + 2)[0], 0
    return _name(data, at + 6)[0], int(struct.unpack_from(">H", data, at + 4)[0])


def _name(data: bytes, at: int) -> tuple[str, int]:
    """(name, where what follows it begins). Pointers lead backwards only, so there is no circle."""
    labels: list[str] = []
    end, before = -1, at + 1
    while True:
        size = data[at]
        if size >= 0xC0:
            end = end if end >= 0 else at + 2
            at = struct.unpack_from(">H", data, at)[0] & 0x3FFF
            if at >= before:
                raise ValueError("a name of the DNS answer leads forwards")
            before = at
        elif not size:
            return ".".join(labels), end if end >= 0 else at + 1
        else:
            labels.append(data[at + 1 : at + 1 + size].decode("ascii", "replace"))
            at += 1 + size
