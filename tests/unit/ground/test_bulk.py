"""Large answers over kept connections: the same rules as any request, with fewer copies."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator

import pytest
from support.targets import TRUST, answer, target

from watchkeeper.bulk import PIECE
from watchkeeper.errors import OutboundError
from watchkeeper.outbound import Outbound

#: Larger than what is read at a time, so that it takes the direct way.
LARGE = b"".join(b'm{n="%d"} %d\n' % (n, n) for n in range(40_000))


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def chunked(body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode()
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def test_a_large_body_comes_whole_and_the_connection_is_used_again(outbound: Outbound) -> None:
    assert len(LARGE) > 2 * PIECE
    async with target(big=answer(LARGE)) as server:
        for _ in range(3):
            assert (await outbound.page(server.url("/big"), max_bytes=1 << 20)).body == LARGE
        assert (await outbound.page(server.url())).status == 200
    assert [path for _, path, _ in server.requests] == ["/big", "/big", "/big", "/metrics"]


@pytest.mark.parametrize(
    "page",
    [
        chunked(LARGE),
        answer(gzip.compress(LARGE, mtime=0), headers="Content-Encoding: gzip\r\n"),
        chunked(gzip.compress(LARGE, mtime=0), "Content-Encoding: gzip\r\n"),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(LARGE),
        answer(LARGE, headers="Connection: close\r\n"),
    ],
    ids=["chunked", "gzip", "chunked-gzip", "informational", "close"],
)
async def test_every_way_of_sending_a_body_is_read(outbound: Outbound, page: bytes) -> None:
    async with target(big=page) as server:
        for _ in range(2):
            assert (await outbound.page(server.url("/big"), max_bytes=1 << 20)).body == LARGE


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (answer(LARGE, length=2 << 20), "too_large"),
        (chunked(LARGE * 3), "too_large"),
        (answer(gzip.compress(LARGE * 3, mtime=0), headers="Content-Encoding: gzip\r\n"), "too_large"),
        (answer(gzip.compress(LARGE, mtime=0)[:-20], headers="Content-Encoding: gzip\r\n"), "protocol"),
        (answer(b"not gzip", headers="Content-Encoding: gzip\r\n"), "protocol"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "protocol"),
    ],
    ids=["declared", "chunks", "inflated", "cut-gzip", "no-gzip", "no-http"],
)
async def test_what_is_too_large_or_broken_is_refused_with_a_reason(
    outbound: Outbound, page: bytes, reason: str
) -> None:
    async with target(big=page) as server:
        with pytest.raises(OutboundError) as failure:
            await outbound.page(server.url("/big"), max_bytes=1 << 20)
    assert failure.value.reason == reason


async def test_a_body_that_ends_early_is_no_body(outbound: Outbound) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(LARGE)[:-1])
        await writer.drain()
        await closed(writer)

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OutboundError, match="inside the body") as failure:
            await outbound.page(f"http://127.0.0.1:{port}/", max_bytes=1 << 20)
    assert failure.value.reason == "protocol"


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced(outbound: Outbound) -> None:
    served = 0
    ended = asyncio.Semaphore(0)

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers as if the connection stayed, and closes it at the next request."""
        nonlocal served
        await reader.readuntil(b"\r\n\r\n")
        served += 1
        writer.write(answer(b"m 1\n"))
        await writer.drain()
        await reader.read(1)
        await closed(writer)
        ended.release()

    async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for _ in range(3):
            assert (await outbound.page(f"http://127.0.0.1:{port}/")).body == b"m 1\n"
        await outbound.aclose()
        for _ in range(3):
            await asyncio.wait_for(ended.acquire(), 10)
    assert served == 3


async def test_a_target_that_hangs_or_never_answers_is_left(outbound: Outbound) -> None:
    async with target() as server:
        for path, reason in (("/hang", "timeout"), ("/drip", "timeout"), ("/silent", "protocol")):
            with pytest.raises(OutboundError) as failure:
                await outbound.page(server.url(path), timeout=0.3, max_bytes=2_000_000)
            assert failure.value.reason == reason


async def test_private_and_forbidden_addresses_are_refused_as_everywhere() -> None:
    client = Outbound(allow_private=False, verify=TRUST)
    for url in ("http://127.0.0.1:1/", "http://169.254.169.254/", "http://[::ffff:127.0.0.1]/", "ftp://x/"):
        with pytest.raises(OutboundError) as failure:
            await client.page(url)
        assert failure.value.reason == "refused_address"
    await client.aclose()


async def test_nobody_there_is_a_connection_error(outbound: Outbound) -> None:
    with pytest.raises(OutboundError) as failure:
        await outbound.page("http://127.0.0.1:9/")
    assert failure.value.reason == "connect"


async def test_a_header_with_a_line_end_is_not_sent(outbound: Outbound) -> None:
    async with target() as server:
        with pytest.raises(OutboundError, match="cannot be sent"):
            await outbound.page(server.url(), headers={"x-a": "b\r\nx-c: d"})
    assert server.requests == []
