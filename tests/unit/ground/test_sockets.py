"""Many conversations over sockets of their own: none waits for another, and none leaves a socket behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator

import pytest
from support.probes import closed_port, speaking

from watchkeeper.sockets import Sockets, Talk, connected, received, sent

#: More than the loop goes on with in one turn.
MANY = 150


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    made = Sockets()
    yield made
    made.close()


def heard(port: int, said: bytes, wanted: int, *addresses: str) -> Talk[bytes]:
    made = yield from connected("here", port, addresses or ("127.0.0.1",))
    with made:
        yield from sent(made, said)
        came = b""
        while len(came) < wanted:
            more = yield from received(made, 7)
            if not more:
                break
            came += more
        return came


async def test_what_was_said_before_anybody_waited_for_it_is_heard(sockets: Sockets) -> None:
    async with speaking(b"220 ready\r\n") as address:
        port = int(address.rpartition(":")[2])
        assert await sockets.run(heard(port, b"", 11), 5) == b"220 ready\r\n"


async def test_many_go_on_side_by_side_and_one_that_is_silent_holds_up_nobody(sockets: Sockets) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.readexactly(4)
        if said != b"0000":
            writer.write(said)
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=MANY)
    port = server.sockets[0].getsockname()[1]
    async with server:
        silent = asyncio.ensure_future(sockets.run(heard(port, b"0000", 4), 5))
        words = [b"%04d" % number for number in range(1, MANY)]
        assert await asyncio.gather(*(sockets.run(heard(port, word, 4), 5) for word in words)) == words
        assert not silent.done()
        silent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await silent


async def test_a_large_word_is_said_in_pieces_while_the_other_side_reads_slowly(sockets: Sockets) -> None:
    said = bytes(range(256)) * (8 << 10)
    came = bytearray()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(came) < len(said):
            came.extend(await reader.read(30_000))
        writer.write(b"done")
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0, limit=1 << 10)
    async with server:
        assert await sockets.run(heard(server.sockets[0].getsockname()[1], said, 4), 5) == b"done"
    assert came == said


async def test_the_next_address_is_tried_and_the_last_refusal_is_told(sockets: Sockets) -> None:
    async with speaking(b"hello") as address:
        port = int(address.rpartition(":")[2])
        assert await sockets.run(heard(port, b"", 5, "127.0.0.2", "127.0.0.1"), 5) == b"hello"
    port = int(closed_port().rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError, match=f"cannot connect to 127.0.0.1:{port}"):
        await sockets.run(heard(port, b"", 1), 5)
    with pytest.raises(OSError, match="here has no address"):
        await sockets.run(connected("here", port, ()), 5)


async def test_one_whose_time_is_up_is_ended_while_the_others_go_on(sockets: Sockets) -> None:
    async with speaking(b"hello") as address:
        port = int(address.rpartition(":")[2])
        waiting = asyncio.ensure_future(sockets.run(heard(port, b"", 6), 60))
        with pytest.raises(TimeoutError):
            await sockets.run(heard(port, b"", 6), 0.01)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_what_has_come_counts_although_we_look_late(sockets: Sockets) -> None:
    served = threading.Event()

    def serve(listening: socket.socket) -> None:
        for _ in range(MANY):
            made, _ = listening.accept()
            with made:
                made.sendall(b"hello")
        served.set()

    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        port = listening.getsockname()[1]
        asked = [asyncio.ensure_future(sockets.run(heard(port, b"", 5), 0.0)) for _ in range(MANY)]
        await asyncio.sleep(0)
        assert served.wait(30)  # the loop is held up meanwhile
        assert await asyncio.gather(*asked) == [b"hello"] * MANY


async def test_closing_ends_whatever_is_going_on(sockets: Sockets) -> None:
    held: list[socket.socket] = []

    def waits(port: int) -> Talk[None]:
        made = yield from connected("here", port, ("127.0.0.1",))
        with made:
            held.append(made)
            yield from received(made, 1)

    async with speaking(b"") as address:
        waiting = asyncio.ensure_future(sockets.run(waits(int(address.rpartition(":")[2])), 5))
        while not held:
            await asyncio.sleep(0)
        sockets.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert held[0].fileno() == -1
    gc.collect()  # a socket that any of these tests left open would be a warning, and a warning fails the test
