"""Exchanges over connections of their own: every form an answer may have, its bounds, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections.abc import AsyncIterator

import pytest
from support.raw_target import WAYS, misbehaving

from watchkeeper.errors import OutboundError
from watchkeeper.fresh import Timing, asking
from watchkeeper.outbound import Outbound, Response


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True)
    yield client
    await client.aclose()


async def asked(outbound: Outbound, said: bytes, method: str = "GET", limit: int = 1000) -> tuple[Response, bytes]:
    """(answer, what was asked) of a server that says just this and hangs up."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a b?c=1"
    async with server:
        ask = asking(method, url, {"X-Who": "me"})
        answer = await outbound.fresh(ask, timeout=5.0, max_bytes=limit, timing=Timing())
    return answer, bytes(heard)


PACKED = gzip.compress(b"hello" * 100, mtime=0)


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(PACKED) + PACKED,
            b"hello" * 100,
        ),
    ],
)
async def test_every_form_of_an_answer_is_read(outbound: Outbound, said: bytes, body: bytes) -> None:
    answer, heard = await asked(outbound, said)
    assert answer.body == body
    assert answer.status == int(said.rpartition(b"HTTP/1.")[2][2:5])
    assert heard.startswith(b"GET /a%20b?c=1 HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\nx-who: me\r\n" in heard
    assert b"\r\nconnection: close\r\n" in heard


async def test_the_length_in_the_answer_to_head_is_not_waited_for(outbound: Outbound) -> None:
    answer, _ = await asked(outbound, b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n", "HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nhel", "too_large"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 2000, "too_large"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", "protocol"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, "protocol"),
        (b"nonsense\r\n\r\n", "protocol"),
        (b"", "protocol"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n" + PACKED[:9], "protocol"),
    ],
)
async def test_what_is_no_answer_is_one_bounded_word(outbound: Outbound, said: bytes, reason: str) -> None:
    with pytest.raises(OutboundError) as caught:
        await asked(outbound, said)
    assert caught.value.reason == reason


@pytest.mark.parametrize("way", [way for way in WAYS if way != "http"])
async def test_whatever_goes_wrong_costs_the_timeout_and_leaves_nothing_behind(outbound: Outbound, way: str) -> None:
    async with misbehaving(way) as raw:
        url = f"http://{raw.address}/"
        with pytest.raises(OutboundError) as caught:
            await outbound.fresh(asking("GET", url, {}), timeout=0.2, max_bytes=1 << 16, timing=Timing())
        assert caught.value.reason in ("timeout", "protocol", "connect", "too_large")
        assert raw.sent < 64 << 20
    await asyncio.sleep(0)
    gc.collect()  # an error nobody looked at would be a warning, and a warning fails the test


async def test_no_header_says_more_than_one_and_no_forbidden_address_is_reached(outbound: Outbound) -> None:
    with pytest.raises(OutboundError, match="cannot be sent"):
        asking("GET", "http://127.0.0.1:1/", {"a": "b\r\nc: d"})
    for url in ("http://169.254.169.254/", "ftp://127.0.0.1/", "http://[::ffff:169.254.169.254]/"):
        with pytest.raises(OutboundError) as caught:
            await outbound.fresh(asking("GET", url, {}), timeout=1, timing=Timing())
        assert caught.value.reason == "refused_address"
