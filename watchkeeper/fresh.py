"""One HTTP/1.1 exchange over a connection of its own, as somebody goes who has never been there, and what it took.

For probes, of which there may be thousands: the general client costs ten times as much. The rules are ``Outbound``'s:
names resolved once, every address checked, no redirects, limits on size and time.
"""

from __future__ import annotations

import asyncio
import functools
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import httptools
import httpx2

from watchkeeper.errors import OutboundError
from watchkeeper.outbound import Response, certificate_end, gunzip

#: Bytes of the head of an answer.
MOST_HEAD = 64 << 10
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: Every allowed address of a name. Raises OutboundError.
Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads."""

    secure: bool
    host: str
    port: int
    target: str  #: path and query as they are sent
    named: str  #: the Host header


@dataclass(slots=True)
class Timing:
    """Seconds of each phase, of those that were reached."""

    phases: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)

    def reached(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[phase], self._last = now - self._last, now


@functools.lru_cache(maxsize=1 << 15)
def place_of(url: str) -> Place:
    """Raises OutboundError."""
    try:
        found = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise OutboundError(f"the address cannot be read: {error}", reason="refused_address") from None
    if found.scheme not in ("http", "https"):
        raise OutboundError(f"scheme {found.scheme!r} is not allowed; use http or https", reason="refused_address")
    secure = found.scheme == "https"
    host = found.raw_host.decode("ascii")
    return Place(
        secure,
        host,
        found.port or (443 if secure else 80),
        found.raw_path.decode("ascii"),
        found.netloc.decode("ascii"),
    )


async def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes,
    timeout: float,
    max_bytes: int,
    resolve: Resolve,
    context: ssl.SSLContext,
    timing: Timing,
) -> Response:
    """The whole answer. Raises OutboundError; 3xx, 4xx and 5xx are answers, not errors."""
    place = place_of(url)
    request = _request(method, place, headers, content)
    answer = _Answer(method, max_bytes, timing)
    try:
        async with asyncio.timeout(timeout):
            host = place.host.strip("[]")
            made = await connected(host, place.port, await resolve(host, place.port))
            timing.reached("connect")
            transport = await _spoken_to(made, place, context, answer)
            try:
                if place.secure:
                    timing.reached("tls")
                transport.write(request)
                await answer.finished
                expires = certificate_end(transport.get_extra_info("ssl_object"))
            finally:
                transport.abort()
    except TimeoutError:
        raise OutboundError(f"no answer within {timeout:g} s", reason="timeout") from None
    except ssl.SSLError as error:
        raise OutboundError(str(error), reason="tls") from None
    except OSError as error:
        raise OutboundError(str(error) or type(error).__name__, reason="connect") from None
    finally:
        answer.finished.cancel()  # an end of the connection that comes later concerns nobody
    return Response(answer.status, answer.headers, answer.body(), certificate_expires=expires)


async def connected(host: str, port: int, addresses: Iterable[str]) -> socket.socket:
    """A socket that does not block, to the first address that answers. Raises OSError."""
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
            return made
    raise last


async def _spoken_to(made: socket.socket, place: Place, context: ssl.SSLContext, answer: _Answer) -> asyncio.Transport:
    """The connection as a transport, secured where the scheme says so; closed when that fails."""
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: answer,
            sock=made,
            ssl=context if place.secure else None,
            server_hostname=place.host.strip("[]") if place.secure else None,
        )
    except BaseException:
        made.close()
        raise
    return transport


def _request(method: str, place: Place, headers: Mapping[str, str], content: bytes) -> bytes:
    """Raises OutboundError for a header that would say more than one."""
    sent = {"host": place.named, "user-agent": "watchkeeper", "accept": "*/*", "accept-encoding": "gzip"}
    sent |= {name.lower(): value for name, value in headers.items()} | {"connection": "close"}
    if content or method in ("POST", "PUT", "PATCH"):
        sent["content-length"] = str(len(content))
    for name, value in sent.items():
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise OutboundError(f"the header {name[:40]!r} cannot be sent", reason="protocol")
    lines = [f"{method} {place.target} HTTP/1.1", *(f"{name}: {value.strip()}" for name, value in sent.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8") + content


class _Answer(asyncio.Protocol):
    """One answer while it arrives; httptools calls ``on_...``."""

    def __init__(self, method: str, max_bytes: int, timing: Timing) -> None:
        self._method, self._max_bytes, self._timing = method, max_bytes, timing
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._size = self._head = 0
        self._headed = False
        self.status, self.headers = 0, dict[str, str]()
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- from the connection ---

    def data_received(self, data: bytes) -> None:
        if self.finished.done():
            return
        try:
            if not self._headed:
                self._head += len(data)
                if self._head > MOST_HEAD + len(data):
                    raise OutboundError("the head of the answer does not end", reason="protocol")
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            inner = error.__context__
            self._fail(inner if isinstance(inner, OutboundError) else OutboundError(str(error), reason="protocol"))
        except httptools.HttpParserUpgrade:
            self._end()
        except httptools.HttpParserError as error:
            if not self.finished.done():
                self._fail(OutboundError(str(error) or "broken HTTP", reason="protocol"))
        except OutboundError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.finished.done():
            return
        if exc is not None:
            self._fail(OutboundError(str(exc) or type(exc).__name__, reason="connect"))
        elif not self._headed:
            self._fail(OutboundError("closed without an answer", reason="protocol"))
        elif "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", ""):
            self._fail(OutboundError("the connection ended inside the answer", reason="protocol"))
        else:
            self._end()  # a body without a length ends with its connection

    # --- from the parser ---

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if 100 <= self.status < 200 and self.status != 101:
            self.headers = {}
            return
        self._headed = True
        self._timing.reached("processing")
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_bytes and self._method != "HEAD":
            said = f"body of {declared} bytes is over the limit of {self._max_bytes}"
            self._fail(OutboundError(said, reason="too_large"))
        elif self._method == "HEAD" or self.status in (101, 204, 304):
            self._end()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            self._fail(OutboundError(f"body is over the limit of {self._max_bytes} bytes", reason="too_large"))
        elif not self.finished.done():
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._headed:
            self._end()

    def _end(self) -> None:
        if not self.finished.done():
            self._timing.reached("transfer")
            self.finished.set_result(None)

    def _fail(self, error: OutboundError) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)

    def body(self) -> bytes:
        """Unpacked. Raises OutboundError."""
        raw = b"".join(self._pieces)
        if not raw or self.headers.get("content-encoding", "").strip().lower() != "gzip":
            return raw
        return gunzip(raw, self._max_bytes)
