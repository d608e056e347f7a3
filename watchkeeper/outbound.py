"""The one way out: every HTTP request Watchkeeper makes passes here.

Names are resolved once, every address is checked, and the connection goes to the checked address; redirects are
not followed; bodies and time are limited. Loopback and private addresses are reached only when the caller is
configured by the owner of the machine (``allow_private``): an address from a rule, a label or a page never is.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import httpcore2
import httpx2

from watchkeeper.errors import OutboundError
from watchkeeper.trust import Trust

if TYPE_CHECKING:
    from watchkeeper.bulk import Pages
    from watchkeeper.fresh import Ask, Timing
    from watchkeeper.sockets import Sockets

#: Never reached by anybody: cloud metadata services, carrier-grade NAT, NAT64, multicast and the unspecified address.
FORBIDDEN = tuple(
    ipaddress.ip_network(net)
    for net in (
        "169.254.0.0/16",
        "fe80::/10",
        "100.100.100.200/32",
        "0.0.0.0/8",
        "224.0.0.0/4",
        "ff00::/8",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
)
#: Reached only with ``allow_private``.
PRIVATE = tuple(
    ipaddress.ip_network(net)
    for net in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15",
        "192.0.0.0/24", "240.0.0.0/4", "::1/128", "::/128", "fc00::/7", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
    )
)  # fmt: skip
NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]  #: lower-case names
    body: bytes
    address: str = ""  #: the address that answered
    certificate_expires: float | None = None  #: when the server's certificate ends, epoch seconds; None without TLS


def check_address(text: str, *, allow_private: bool) -> None:
    """Raises OutboundError when the address may not be reached. IPv4 inside IPv6 counts as both."""
    refusal = _refusal(text, allow_private)
    if refusal:
        raise OutboundError(refusal, reason="refused_address")


@functools.lru_cache(maxsize=1 << 16)
def _refusal(text: str, allow_private: bool) -> str:  # noqa: FBT001 - as its caller has it
    """Why this address is not reached; empty when it may be. Remembered: probes ask for the same ones for ever."""
    whole = ipaddress.ip_address(text.split("%", 1)[0])
    mapped = whole.ipv4_mapped if isinstance(whole, ipaddress.IPv6Address) else None
    inner = mapped or _inner(whole)
    for address in (mapped or whole, *([inner] if inner else [])):
        if any(address in net for net in FORBIDDEN if net.version == address.version):
            return f"address {whole} is never reached"
        if not allow_private and any(address in net for net in PRIVATE if net.version == address.version):
            return f"address {whole} is private and not allowed here"
    return ""


def _inner(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway would make of it: 6to4, NAT64, and the old "compatible" form."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    number = int(address)
    if address in NAT64 or 1 < number < 1 << 32:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return address.sixtofour


async def checked_addresses(host: str, port: int, *, allow_private: bool, timeout: float | None = None) -> list[str]:
    """Every address of a name, each allowed. Raises OutboundError, and httpcore's errors of connecting."""
    if _is_address(host):  # nobody needs to be asked
        check_address(host, allow_private=allow_private)
        return [host]
    try:
        with anyio.fail_after(timeout):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"cannot resolve {host}: {error}") from error
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(f"resolving {host} took too long") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        check_address(address, allow_private=allow_private)
    return addresses


def _is_address(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return False
    return True


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves once, checks every address, connects to what was checked."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await checked_addresses(host, port, allow_private=self._allow_private, timeout=timeout)
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                last = error
        raise last or httpcore2.ConnectError(f"{host} has no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise OutboundError("UNIX sockets are not reached by URL", reason="refused_address")

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class Outbound:
    """An HTTP client with the house rules built in. One per policy; close it when done."""

    def __init__(
        self, *, allow_private: bool, verify: ssl.SSLContext | None = None, max_connections: int = 200
    ) -> None:
        context = verify or ssl.create_default_context()
        self._allow_private, self._context = allow_private, context
        self._pages: Pages | None = None
        self._sockets: Sockets | None = None
        self._max_connections = max_connections
        self._trusting: dict[Trust, tuple[object, Outbound]] = {}  #: with the stamp of its files
        self._before: dict[Trust, Outbound] = {}  #: clients of files that changed: what they ask may be under way
        self._closing: set[asyncio.Task[None]] = set()
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=30.0,
            network_backend=CheckedBackend(allow_private=allow_private),
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        timeout: float = 10.0,
        max_bytes: int = 1 << 20,
    ) -> Response:
        """One request, whole body. Raises OutboundError; 3xx, 4xx and 5xx are answers, not errors."""
        try:
            target = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise OutboundError(f"the address cannot be read: {error}", reason="refused_address") from None
        if target.scheme not in ("http", "https"):
            raise OutboundError(f"scheme {target.scheme!r} is not allowed; use http or https", reason="refused_address")
        sent = {"user-agent": "watchkeeper", "accept-encoding": "gzip", **(headers or {})}
        request = httpx2.Request(method, target, headers=sent, content=content)
        core = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path),
            headers=request.headers.raw,
            content=content,
            extensions={"timeout": {"connect": timeout, "read": timeout, "write": timeout, "pool": timeout}},
        )
        try:
            with anyio.fail_after(timeout):
                return await self._sent(core, max_bytes)
        except TimeoutError:
            raise OutboundError(f"no answer within {timeout:g} s", reason="timeout") from None
        except httpcore2.TimeoutException:
            raise OutboundError(f"no answer within {timeout:g} s", reason="timeout") from None
        except (httpcore2.ConnectError, httpcore2.ReadError, httpcore2.WriteError, OSError) as error:
            reason = "tls" if "SSL" in str(error) or "certificate" in str(error) else "connect"
            raise OutboundError(str(error) or type(error).__name__, reason=reason) from None
        except httpcore2.ProtocolError as error:
            raise OutboundError(str(error) or "broken HTTP", reason="protocol") from None

    def trusting(self, trust: Trust) -> Outbound:
        """The client for servers of an authority of their own, or that ask who we are. Raises OutboundError.

        One for all targets of the same files, until these change. Ask for it in the event loop.
        """
        if not trust:
            return self
        stamp, known = trust.stamp(), self._trusting.get(trust)
        if known is None or known[0] != stamp:
            made = Outbound(
                allow_private=self._allow_private, verify=trust.context(), max_connections=self._max_connections
            )
            if known is not None:
                self._retire(trust, known[1])
            self._trusting[trust] = known = (stamp, made)
        return known[1]

    def _retire(self, trust: Trust, client: Outbound) -> None:
        """The one before the last change has nothing under way any more."""
        older = self._before.get(trust)
        self._before[trust] = client
        if older is not None:
            task = asyncio.get_running_loop().create_task(older.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def addresses(self, host: str, port: int, timeout: float | None = None) -> list[str]:
        """For what is not HTTP: every address of a name, allowed here. Raises OutboundError."""
        try:
            return await checked_addresses(host, port, allow_private=self._allow_private, timeout=timeout)
        except httpcore2.ConnectError as error:
            raise OutboundError(str(error), reason="resolve") from None
        except httpcore2.ConnectTimeout as error:
            raise OutboundError(str(error), reason="timeout") from None

    async def page(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 10.0, max_bytes: int = 1 << 20
    ) -> Response:
        """As ``request`` with GET, for bodies of megabytes that come again and again: at a sixth of its cost."""
        if self._pages is None:
            from watchkeeper.bulk import Pages

            self._pages = Pages(allow_private=self._allow_private, context=self._context)
        return await self._pages.get(url, headers=headers or {}, timeout=timeout, max_bytes=max_bytes)

    async def fresh(self, ask: Ask, *, timeout: float, max_bytes: int = 1 << 20, timing: Timing) -> Response:
        """As ``request``, over a connection of its own, for a fraction of its cost; ``timing`` is told of phases."""
        from watchkeeper.fresh import exchange

        return await exchange(
            ask,
            timeout=timeout,
            max_bytes=max_bytes,
            resolve=self.addresses,
            sockets=self.sockets,
            context=self._context,
            timing=timing,
        )

    @property
    def sockets(self) -> Sockets:
        """For conversations over connections of their own, to ``addresses``. Ask for it in the event loop."""
        if self._sockets is None or self._sockets.loop is not asyncio.get_running_loop():
            from watchkeeper.sockets import Sockets

            self._sockets = Sockets()
        return self._sockets

    async def _sent(self, request: httpcore2.Request, max_bytes: int) -> Response:
        """A kept connection may have been closed by the other side a moment ago: what only asks is asked once more."""
        try:
            return await self._exchange(request, max_bytes)
        except httpcore2.RemoteProtocolError as error:
            if request.method not in (b"GET", b"HEAD") or "without sending" not in str(error):
                raise
        return await self._exchange(request, max_bytes)

    async def _exchange(self, request: httpcore2.Request, max_bytes: int) -> Response:
        response = await self._pool.handle_async_request(request)
        try:
            headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in response.headers}
            declared = headers.get("content-length", "")
            if declared.isdigit() and int(declared) > max_bytes:
                raise OutboundError(f"body of {declared} bytes is over the limit of {max_bytes}", reason="too_large")
            stream = response.extensions.get("network_stream")
            expires = certificate_end(stream.get_extra_info("ssl_object") if stream is not None else None)
            body = await self._body(response, headers.get("content-encoding", ""), max_bytes)
        finally:
            await response.aclose()
        return Response(response.status, headers, body, certificate_expires=expires)

    @staticmethod
    async def _body(response: httpcore2.Response, encoding: str, max_bytes: int) -> bytes:
        decoder = Gunzip(max_bytes) if encoding.strip().lower() == "gzip" else None
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_stream():
            piece = decoder.feed(chunk) if decoder else chunk
            size += len(piece)
            if size > max_bytes:
                raise OutboundError(f"body is over the limit of {max_bytes} bytes", reason="too_large")
            chunks.append(piece)
        if decoder and not decoder.finished:
            raise OutboundError("gzip body ends early", reason="protocol")
        return b"".join(chunks)

    async def aclose(self) -> None:
        others = [*(client for _, client in self._trusting.values()), *self._before.values()]
        self._trusting, self._before = {}, {}
        for client in others:
            await client.aclose()
        if self._pages is not None:
            await self._pages.aclose()
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None
        await self._pool.aclose()


def certificate_end(tls: ssl.SSLObject | ssl.SSLSocket | None) -> float | None:
    """When the certificate the server showed on this connection ends, epoch seconds; None without TLS."""
    said = tls.getpeercert() if tls is not None else None
    return float(ssl.cert_time_to_seconds(str(said["notAfter"]))) if said else None


class Gunzip:
    """gzip with a lid: stops at ``limit`` bytes of output, whatever the input claims."""

    def __init__(self, limit: int) -> None:
        import zlib

        self._inflate, self._left, self._error = zlib.decompressobj(wbits=31), limit + 1, zlib.error

    def feed(self, chunk: bytes) -> bytes:
        try:
            piece = self._inflate.decompress(chunk, self._left)
        except self._error as error:
            raise OutboundError(f"broken gzip: {error}", reason="protocol") from None
        self._left = max(self._left - len(piece), 1)
        return piece

    @property
    def finished(self) -> bool:
        return self._inflate.eof


def gunzip(raw: bytes, limit: int) -> bytes:
    """A whole body. Raises OutboundError: over ``limit`` bytes, broken, or ended early."""
    decoder = Gunzip(limit)
    whole = decoder.feed(raw)
    if len(whole) > limit:
        raise OutboundError(f"body is over the limit of {limit} bytes", reason="too_large")
    if not decoder.finished:
        raise OutboundError("gzip body ends early", reason="protocol")
    return whole
