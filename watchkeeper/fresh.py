"""One HTTP/1.1 exchange over a connection of its own, as somebody goes who has never been there, and what it took.

For probes, of which there may be thousands: the general client costs ten times as much. The rules are ``Outbound``'s:
names resolved once, every address checked, no redirects, limits on size and time.
"""

from __future__ import annotations

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
from watchkeeper.sockets import WOULD_BLOCK, Sockets, Talk, connected, secured

#: Bytes of the head of an answer.
MOST_HEAD = 64 << 10
#: Bytes read at a time.
PIECE = 64 << 10
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: Every allowed address of a name, within so many seconds. Raises OutboundError.
Resolve = Callable[[str, int, float], Awaitable[list[str]]]


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


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as its bytes, made once and sent as often as wanted."""

    place: Place
    method: str
    data: bytes = field(repr=False)


def asking(method: str, url: str, headers: Mapping[str, str], content: bytes = b"") -> Ask:
    """Raises OutboundError for an address that is none, and for a header that would say more than one."""
    place = place_of(url)
    return Ask(place, method, _request(method, place, headers, content))


async def exchange(
    ask: Ask,
    *,
    timeout: float,
    max_bytes: int,
    resolve: Resolve,
    sockets: Sockets,
    context: ssl.SSLContext,
    timing: Timing,
) -> Response:
    """The whole answer. Raises OutboundError; 3xx, 4xx and 5xx are answers, not errors."""
    answer, began = _Answer(ask.method, max_bytes, timing), time.monotonic()
    host = ask.place.host.strip("[]")
    try:
        addresses = await resolve(host, ask.place.port, timeout)
        left = timeout - (time.monotonic() - began)
        expires = await sockets.run(_talk(ask, host, addresses, context, answer, timing), left)
    except TimeoutError:
        raise OutboundError(f"no answer within {timeout:g} s", reason="timeout") from None
    except ssl.SSLError as error:
        raise OutboundError(str(error), reason="tls") from None
    except OSError as error:
        raise OutboundError(str(error) or type(error).__name__, reason="connect") from None
    return Response(answer.status, answer.headers, answer.body(), certificate_expires=expires)


def _talk(
    ask: Ask, host: str, addresses: Iterable[str], context: ssl.SSLContext, answer: _Answer, timing: Timing
) -> Talk[float | None]:
    """When the server's certificate ends, epoch seconds; None without TLS."""
    made = yield from connected(host, ask.place.port, addresses)
    timing.reached("connect")
    if ask.place.secure:
        made = yield from secured(made, context, host)
        timing.reached("tls")
    with made:
        left = memoryview(ask.data)
        while not answer.over:
            if left:
                left = _pushed(made, left)
            if not _heard(made, answer):
                yield made
        return certificate_end(made) if isinstance(made, ssl.SSLSocket) else None


def _pushed(made: socket.socket, left: memoryview) -> memoryview:
    """Send what the kernel takes; what is left. An end of the connection is for the reading to tell."""
    try:
        return left[made.send(left) :]
    except WOULD_BLOCK:
        return left
    except ConnectionError:
        return left[:0]


def _heard(made: socket.socket, answer: _Answer) -> bool:
    """Read once; False when there is nothing to read yet. Raises OutboundError for what is no answer, and OSError."""
    try:
        data = made.recv(PIECE)
    except WOULD_BLOCK:
        return False
    if data:
        answer.take(data)
    else:
        answer.end_of_connection()
    return True


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


class _Answer:
    """One answer while it arrives; httptools calls ``on_...``."""

    def __init__(self, method: str, max_bytes: int, timing: Timing) -> None:
        self._method, self._max_bytes, self._timing = method, max_bytes, timing
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._size = self._head = 0
        self._headed = False
        self.over = False  #: all of it is here
        self.status, self.headers = 0, dict[str, str]()

    # --- from the connection ---

    def take(self, data: bytes) -> None:
        """Raises OutboundError."""
        if not self._headed:
            self._head += len(data)
            if self._head > MOST_HEAD + len(data):
                raise OutboundError("the head of the answer does not end", reason="protocol")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end()
        except httptools.HttpParserError as error:
            inner = error.__context__
            if isinstance(inner, OutboundError):  # raised below, in what the parser called
                raise inner from None
            if not self.over:
                raise OutboundError(str(error) or "broken HTTP", reason="protocol") from None

    def end_of_connection(self) -> None:
        """Raises OutboundError where that is too early."""
        if not self._headed:
            raise OutboundError("closed without an answer", reason="protocol")
        if "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", ""):
            raise OutboundError("the connection ended inside the answer", reason="protocol")
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
            raise OutboundError(said, reason="too_large")
        if self._method == "HEAD" or self.status in (101, 204, 304):
            self._end()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self.over:
            return
        if self._size > self._max_bytes:
            raise OutboundError(f"body is over the limit of {self._max_bytes} bytes", reason="too_large")
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._headed:
            self._end()

    def _end(self) -> None:
        if not self.over:
            self._timing.reached("transfer")
            self.over = True

    def body(self) -> bytes:
        """Unpacked. Raises OutboundError."""
        raw = b"".join(self._pieces)
        if not raw or self.headers.get("content-encoding", "").strip().lower() != "gzip":
            return raw
        return gunzip(raw, self._max_bytes)
