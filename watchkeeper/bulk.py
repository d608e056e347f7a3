"""Large answers with few copies: GET over kept HTTP/1.1 connections, the body received in the place where it stays.

The general client moves every piece of a body through four buffers; of 5 MB each second that is most of what a scrape
costs. Here h11 still reads heads and chunked bodies, and a body of declared length goes from the socket into one
buffer. The rules are ``Outbound``'s: names resolved once, every address checked, limits on size and time.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import h11

from watchkeeper.errors import OutboundError
from watchkeeper.outbound import Response, check_address, gunzip

#: Bytes taken from the socket at a time while the length of the body is not known.
PIECE = 256 << 10
#: Seconds a connection is kept without being used; scrapes come every minute or more often.
KEPT_SECONDS = 90.0
#: Largest place for a body that is kept for the next one.
KEPT_BYTES = 16 << 20

Origin = tuple[str, str, int]


class ClosedError(Exception):
    """The kept connection ended before anything of the answer came."""


class _Room:
    """One place for bodies, used again and again: fresh memory would cost as much as the copy into it."""

    def __init__(self) -> None:
        self._free: bytearray | None = None

    def lend(self, length: int) -> memoryview:
        buffer, self._free = self._free, None
        if buffer is None or len(buffer) < length:
            buffer = bytearray(length)
        return memoryview(buffer)[:length]

    def give_back(self, place: memoryview) -> None:
        buffer = place.obj
        if isinstance(buffer, bytearray) and len(buffer) <= KEPT_BYTES:
            self._free = buffer


class _Exchange:
    """One answer while it arrives."""

    def __init__(self, max_bytes: int, room: _Room) -> None:
        self.max_bytes, self.room = max_bytes, room
        self.http = h11.Connection(h11.CLIENT)
        self.status, self.headers = 0, dict[str, str]()
        self.pieces, self.size = list[bytes](), 0
        self.place, self.filled = memoryview(b""), 0  #: a body of declared length
        self.direct = self.kept = self.began = False
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def request(self, target: str, headers: Mapping[str, str]) -> bytes:
        asked = h11.Request(method="GET", target=target, headers=[*headers.items()])
        return (self.http.send(asked) or b"") + (self.http.send(h11.EndOfMessage()) or b"")

    def take(self, data: bytes) -> None:
        """Bytes from the socket, empty at its end, until the place of the body is known."""
        self.began = self.began or bool(data)
        self.http.receive_data(data)
        while not self.direct:
            event = self.http.next_event()
            if isinstance(event, h11.Response):
                self._head(event)
            elif isinstance(event, h11.Data):
                self._add(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self.kept = self.http.our_state is h11.DONE and not self.http.trailing_data[0]
                return self.end()
            elif not isinstance(event, h11.InformationalResponse):
                return None
        return None

    def _head(self, event: h11.Response) -> None:
        self.status = event.status_code
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        declared = self.headers.get("content-length", "")
        length = int(declared) if declared.isdigit() and "transfer-encoding" not in self.headers else 0
        if length > self.max_bytes:
            raise OutboundError(f"body of {length} bytes is over the limit of {self.max_bytes}", reason="too_large")
        if length <= PIECE or event.status_code in (204, 304):
            return
        early = self.http.trailing_data[0][: length + 1]
        if len(early) > length:
            raise OutboundError("more came than was declared", reason="protocol")
        self.place, self.direct = self.room.lend(length), True
        self.place[: len(early)] = early
        self.kept = self.http.their_state is not h11.MUST_CLOSE and self.http.our_state is not h11.MUST_CLOSE
        self.fill(len(early))

    def _add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.max_bytes:
            raise OutboundError(f"body is over the limit of {self.max_bytes} bytes", reason="too_large")
        self.pieces.append(data)

    def fill(self, count: int) -> None:
        self.filled += count
        if self.filled == len(self.place):
            self.end()

    def end(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)

    def body(self) -> bytes:
        raw = bytes(self.place) if self.direct else b"".join(self.pieces)
        if self.direct:
            self.room.give_back(self.place)
        if self.headers.get("content-encoding", "").strip().lower() != "gzip":
            return raw
        return gunzip(raw, self.max_bytes)


class _Connection(asyncio.BufferedProtocol):
    """One socket, one exchange at a time."""

    def __init__(self) -> None:
        self.alive, self.used_at, self.address = True, 0.0, ""
        self._exchange: _Exchange | None = None
        self._scratch = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""

    def begin(self, exchange: _Exchange, data: bytes) -> None:
        self._exchange = exchange
        self.transport.write(data)  # type: ignore[attr-defined]  # a TCP transport

    def end(self) -> None:
        self._exchange, self._scratch = None, bytearray()

    def get_buffer(self, _sizehint: int) -> memoryview:
        exchange = self._exchange
        if exchange is not None and exchange.direct and exchange.filled < len(exchange.place):
            return exchange.place[exchange.filled :]
        if not self._scratch:
            self._scratch = bytearray(PIECE)
        return memoryview(self._scratch)

    def buffer_updated(self, nbytes: int) -> None:
        exchange = self._exchange
        if exchange is None or exchange.finished.done():
            self.close()  # nobody asked for this
        elif exchange.direct:
            exchange.fill(nbytes)
        else:
            self._take(exchange, bytes(memoryview(self._scratch)[:nbytes]))

    def _take(self, exchange: _Exchange, data: bytes) -> None:
        try:
            exchange.take(data)
        except h11.RemoteProtocolError as error:
            exchange.fail(OutboundError(str(error) or "broken HTTP", reason="protocol"))
        except OutboundError as error:
            exchange.fail(error)

    def eof_received(self) -> None:
        self.alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        exchange = self._exchange
        if exchange is None or exchange.finished.done():
            return
        if isinstance(exc, ssl.SSLError):  # with TLS 1.3 a refused certificate of ours is told after the handshake
            exchange.fail(OutboundError(str(exc), reason="tls"))
        elif exc is not None and exchange.began:
            exchange.fail(OutboundError(str(exc) or type(exc).__name__, reason="connect"))
        elif not exchange.began:
            exchange.fail(ClosedError())
        elif exchange.direct:
            exchange.fail(OutboundError("the connection ended inside the body", reason="protocol"))
        else:
            self._take(exchange, b"")
            exchange.fail(OutboundError("the connection ended inside the answer", reason="protocol"))

    def close(self) -> None:
        self.alive = False
        self.transport.abort()  # type: ignore[attr-defined]  # a TCP transport


class Pages:
    """GET of large pages. Part of ``Outbound``, which has the policy."""

    def __init__(self, *, allow_private: bool, context: ssl.SSLContext) -> None:
        self._allow_private, self._context = allow_private, context
        self._idle: dict[Origin, list[_Connection]] = {}
        self._room = _Room()

    async def get(self, url: str, *, headers: Mapping[str, str], timeout: float, max_bytes: int) -> Response:
        """The whole answer. Raises OutboundError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OutboundError(f"scheme {parts.scheme!r} is not allowed; use http or https", reason="refused_address")
        origin = (parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"host": parts.netloc.rpartition("@")[2], "user-agent": "watchkeeper", "accept-encoding": "gzip"}
        sent |= {name.lower(): value for name, value in headers.items()}
        try:
            async with asyncio.timeout(timeout):
                return await self._asked(origin, target, sent, max_bytes)
        except TimeoutError:
            raise OutboundError(f"no answer within {timeout:g} s", reason="timeout") from None
        except h11.LocalProtocolError as error:
            raise OutboundError(f"the request cannot be sent: {error}", reason="protocol") from None
        except ssl.SSLError as error:
            raise OutboundError(str(error), reason="tls") from None
        except OSError as error:
            raise OutboundError(str(error) or type(error).__name__, reason="connect") from None

    async def _asked(self, origin: Origin, target: str, headers: Mapping[str, str], max_bytes: int) -> Response:
        """A kept connection may have been closed by the other side a moment ago: then a new one is asked."""
        kept = self._kept(origin)
        try:
            if kept is not None:
                return await self._exchange(origin, kept, target, headers, max_bytes)
        except ClosedError:
            pass
        try:
            return await self._exchange(origin, await self._connect(origin), target, headers, max_bytes)
        except ClosedError:
            hint = "; does it ask for another certificate of ours?" if origin[0] == "https" else ""
            raise OutboundError(f"closed without an answer{hint}", reason="protocol") from None

    async def _exchange(
        self, origin: Origin, connection: _Connection, target: str, headers: Mapping[str, str], max_bytes: int
    ) -> Response:
        exchange = _Exchange(max_bytes, self._room)
        good = False
        try:
            connection.begin(exchange, exchange.request(target, headers))
            await exchange.finished
            good = exchange.kept and connection.alive
        finally:
            connection.end()
            if good:
                connection.used_at = asyncio.get_running_loop().time()
                self._idle.setdefault(origin, []).append(connection)
            else:
                connection.close()
        return Response(exchange.status, exchange.headers, exchange.body(), address=connection.address)

    def _kept(self, origin: Origin) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - KEPT_SECONDS
        waiting = self._idle.get(origin, [])
        while waiting:
            connection = waiting.pop()
            if connection.alive and connection.used_at > oldest:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin) -> _Connection:
        scheme, host, port = origin
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            check_address(address, allow_private=self._allow_private)
        context, name = (self._context, host) if scheme == "https" else (None, None)
        last: OSError | None = None
        for address in addresses:
            try:
                _, connection = await loop.create_connection(
                    _Connection, address, port, ssl=context, server_hostname=name
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                last = error
            else:
                return connection
        raise last or OutboundError(f"{host} has no address", reason="connect")

    async def aclose(self) -> None:
        for waiting in self._idle.values():
            for connection in waiting:
                connection.close()
        self._idle.clear()
