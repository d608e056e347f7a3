"""A loopback HTTP server that misbehaves on purpose, one path for each way, spoken in raw bytes."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache

from support.listening import listening

#: Reading the machine's certificates takes 50 ms: the clients of all tests share what was read.
TRUST = ssl.create_default_context()

GOOD = b"""# HELP up_requests_total Requests served.
# TYPE up_requests_total counter
up_requests_total{code="200",method="get"} 1027
up_requests_total{code="500",method="get"} 3
# TYPE temperature_celsius gauge
temperature_celsius 21.5
"""


def answer(body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """A whole HTTP/1.1 answer; ``length`` overrides the true content-length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n{headers}"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


@cache
def bomb() -> bytes:
    """100 MB of line ends, in gzip."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b"\n" * (1 << 20)) for _ in range(100)) + packer.flush()


class Target:
    """Serves ``pages[path]``; the named misbehaviours below are always there. ``requests`` holds what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {"/metrics": answer(GOOD)}
        self.requests: list[tuple[str, str, bytes]] = []  #: method, path, whole head and body
        self.port = 0
        self.sent = 0  #: bytes written for /huge
        self._special: dict[str, Callable[[asyncio.StreamWriter], Awaitable[None]]] = {
            "/hang": self._hang,
            "/drip": self._drip,
            "/half": self._half,
            "/huge": self._huge,
            "/bomb": self._bomb,
            "/cut": self._cut,
            "/silent": self._silent,
        }

    def url(self, path: str = "/metrics") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        length = next((line.split(b":")[1] for line in head.lower().split(b"\r\n") if b"content-length:" in line), b"0")
        body = await reader.readexactly(int(length))
        self.requests.append((method, path, head + body))
        name = self._name(path)
        if name in self._special:
            await self._special[name](writer)
            return False
        writer.write(self.pages.get(name) or answer(b"not found", status="404 Not Found"))
        await writer.drain()
        return True

    def _name(self, path: str) -> str:
        """What is served at a path: itself, itself without its question, or the misbehaviour it begins with."""
        whole = path.split("?", 1)[0]
        first = f"/{whole.split('/')[1]}"
        wrong = first in self._special or first in BAD_PAGES
        return path if path in self.pages else first if wrong else whole

    async def _hang(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        """Always one more byte in time, never the end."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"#")
            await writer.drain()
            await asyncio.sleep(0.02)

    async def _half(self, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(GOOD[: len(GOOD) // 2], length=len(GOOD)))
        await writer.drain()

    async def _huge(self, writer: asyncio.StreamWriter) -> None:
        """100 MB in chunks, without saying so beforehand."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"# " + b"x" * 65_533 + b"\n"
        for _ in range(1600):
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.sent += len(chunk)
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async def _bomb(self, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(bomb(), headers="Content-Encoding: gzip\r\n"))
        await writer.drain()

    async def _cut(self, writer: asyncio.StreamWriter) -> None:
        """HTTP/1.0 manners: no length, the closed connection is the end. The last value loses a digit."""
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GOOD[:-2])
        await writer.drain()

    async def _silent(self, writer: asyncio.StreamWriter) -> None:
        """Closes without a word."""


#: Pages that are wrong in themselves, by path.
BAD_PAGES = {
    "/garbage": answer(bytes(range(256)) * 40),
    "/html": answer(b"<html><body>It works!</body></html>"),
    "/words": answer(b"Service is fine\n"),
    "/empty": answer(b""),
    "/500": answer(b"boom", status="500 Internal Server Error"),
    "/loop": answer(b"", status="302 Found", headers="Location: /loop\r\n"),
    "/duplicate": answer(b'm{a="1"} 1\nm{a="1"} 2\nm{a="2"} 3\n'),
    "/nan": answer(b"m_a NaN\nm_b +Inf\nm_c -Inf\n"),
    "/value": answer(b'm{a="1"} twelve\nm{a="2"} 1_000\nm{a="3"} 3\n'),
    "/gzip": answer(gzip.compress(GOOD), headers="Content-Encoding: gzip\r\n"),
    "/gzip-broken": answer(b"\x1f\x8b\x08" + b"nonsense" * 9, headers="Content-Encoding: gzip\r\n"),
    "/gzip-cut": answer(gzip.compress(GOOD)[:-12], headers="Content-Encoding: gzip\r\n"),
}


@asynccontextmanager
async def target(**pages: bytes) -> AsyncIterator[Target]:
    """A running target with the misbehaviours, and ``pages`` under ``/<name>``."""
    made = Target()
    made.pages |= BAD_PAGES | {f"/{name}": body for name, body in pages.items()}
    async with listening(made.serve) as made.port:
        yield made
