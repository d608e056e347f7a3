"""The one way out: what it reaches, what it refuses, and its limits."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from watchkeeper.errors import OutboundError
from watchkeeper.outbound import Outbound, check_address

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: bytes, *, linger: float = 0.0) -> AsyncIterator[str]:
    """A loopback server that answers every connection with the same bytes."""

    handling: list[asyncio.Task[None] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        try:
            await asyncio.sleep(linger)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        tasks = [task for task in handling if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = {"content_length": str(len(body)), "connection": "close", **headers}
    head = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


async def get(url: str, *, allow_private: bool = True, timeout: float = 5.0, max_bytes: int = 1 << 20) -> bytes:
    outbound = Outbound(allow_private=allow_private)
    try:
        return (await outbound.request("GET", url, timeout=timeout, max_bytes=max_bytes)).body
    finally:
        await outbound.aclose()


async def reason(url: str, **options: bool | float | int) -> str:
    with pytest.raises(OutboundError) as caught:
        await get(url, **options)  # type: ignore[arg-type]
    return caught.value.reason


async def test_a_body_arrives_whole() -> None:
    async with serving(http(b"hello")) as url:
        assert await get(url) == b"hello"


async def test_gzip_is_unpacked() -> None:
    async with serving(http(gzip.compress(b"a" * 1000), content_encoding="gzip")) as url:
        assert await get(url) == b"a" * 1000


async def test_a_gzip_bomb_stops_at_the_limit() -> None:
    async with serving(http(gzip.compress(bytes(50 << 20)), content_encoding="gzip")) as url:
        assert await reason(url) == "too_large"


async def test_half_a_gzip_body_is_an_error() -> None:
    async with serving(http(gzip.compress(b"abc" * 999)[:-6], content_encoding="gzip")) as url:
        assert await reason(url) == "protocol"


async def test_what_is_not_gzip_is_an_error() -> None:
    async with serving(http(b"plain text", content_encoding="gzip")) as url:
        assert await reason(url) == "protocol"


async def test_a_declared_length_over_the_limit_is_refused_before_reading() -> None:
    async with serving(http(b"x", content_length=str(10**9))) as url:
        assert await reason(url) == "too_large"


async def test_an_undeclared_length_is_stopped_at_the_limit() -> None:
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"x" * 5000
    async with serving(answer) as url:
        assert await reason(url, max_bytes=1000) == "too_large"


async def test_a_silent_server_is_a_timeout() -> None:
    async with serving(b"", linger=5.0) as url:
        assert await reason(url, timeout=0.3) == "timeout"


async def test_half_a_body_is_a_protocol_error() -> None:
    async with serving(http(b"half", content_length="100")) as url:
        assert await reason(url) in ("protocol", "connect")


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async with serving(http(b"", "302 Found", location="http://127.0.0.1:1/")) as url:
        outbound = Outbound(allow_private=True)
        response = await outbound.request("GET", url)
        await outbound.aclose()
    assert response.status == 302


@pytest.mark.parametrize("written", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "[::1]"])
async def test_another_way_to_write_loopback_needs_permission_too(written: str) -> None:
    assert await reason(f"http://{written}:9/", allow_private=False) in ("refused_address", "connect")
    assert await reason(f"http://{written}:9/", allow_private=False) == "refused_address"


@pytest.mark.parametrize("url", ["http://[::1", "http://a/\n", "http://a/\x00", "http://a/" + "x" * 70_000, "//a", ""])
async def test_what_is_no_address_is_refused(url: str) -> None:
    assert await reason(url) == "refused_address"


@pytest.mark.parametrize(
    "head",
    ["content-length: " + "9" * 5000,
     "content-length: -1", "content-length: \xb2", "content-length: 1\r\ncontent-length: 2",
     "transfer-encoding: chunked, chunked", "x: " + "y" * 200_000, "x: a\x00b"],
)  # fmt: skip
async def test_a_hostile_head_is_a_broken_answer(head: str) -> None:
    async with serving(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\nbody".encode("latin-1")) as url:
        assert await reason(url) in ("protocol", "too_large")


async def test_loopback_needs_permission() -> None:
    async with serving(http(b"secret")) as url:
        assert await reason(url, allow_private=False) == "refused_address"
        assert await reason(url.replace("127.0.0.1", "localhost"), allow_private=False) == "refused_address"


async def test_other_schemes_are_refused() -> None:
    assert await reason("file:///etc/passwd") == "refused_address"


async def test_a_closed_port_is_a_connect_error() -> None:
    assert await reason("http://127.0.0.1:1/") == "connect"


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "64:ff9b::169.254.169.254",
     "2002:a9fe:a9fe::1", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::ffff:0.0.0.0", "100.100.100.200", "168.63.129.16",
     "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "::ffff:224.0.0.1"],
)  # fmt: skip
def test_metadata_addresses_are_never_reached(address: str) -> None:
    with pytest.raises(OutboundError, match="never reached"):
        check_address(address, allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fc00::1",
        "64:ff9b::7f00:1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "2002:a00:1::1",
    ],
)
def test_private_addresses_need_permission(address: str) -> None:
    check_address(address, allow_private=True)
    with pytest.raises(OutboundError, match="private"):
        check_address(address, allow_private=False)


def test_public_addresses_are_reached() -> None:
    check_address("93.184.216.34", allow_private=False)


@pytest.mark.parametrize(("method", "answered"), [("GET", True), ("POST", False)])
async def test_a_kept_connection_that_was_closed_meanwhile_costs_no_question(method: str, answered: bool) -> None:
    """The first request keeps the connection; the server hangs up on the second one without a word."""
    requests = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                requests += 1
                if requests == 2:
                    break
                writer.write(http(b"fine"))
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    outbound = Outbound(allow_private=True)
    try:
        assert (await outbound.request(method, url)).body == b"fine"
        if answered:
            assert (await outbound.request(method, url)).body == b"fine"
        else:  # what changes something is never sent twice
            with pytest.raises(OutboundError):
                await outbound.request(method, url)
        assert requests == (3 if answered else 2)
    finally:
        await outbound.aclose()
        server.close()
