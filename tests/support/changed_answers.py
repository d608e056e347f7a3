"""Good servers whose answers are changed on the way, and what a collector may make of them.

An attempt builds a collector, lets it read something changed and answers the reason, or "" where it read ticks.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from support.certificates import self_made
from support.fewer_rows import ROWS, fewer_rows
from support.good_servers import SHORT, Make, build
from support.inboxes import same_inboxes
from support.libpq import ANSWERING, Answering, libpq_network
from support.memory_net import SERVER, memory_network
from support.replays import Blocking, Changes, Conversation, Recorded, Recording, Replay, Tap, blocking_network
from support.shaking import Shaking, shaking
from support.targets import TRUST

from watchkeeper.errors import CollectError
from watchkeeper.model import is_stale
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: Attempts at a time; each has a way of its own to the server. So many change all that an answer consists of.
LANES, WILD = 8, 2
#: Readings of one collector before the next begins.
LIFE = 16
#: Seconds of one attempt where the answers are in memory already, and where a real server is recorded.
AT_HAND, RECORDED = 0.3, 20.0
#: One attempt: builds a collector, lets it read something changed, answers the reason or "".
Attempt = Callable[[random.Random], Awaitable[str]]
#: Kinds that hold a conversation; the others have read all there is with the first answer.
TALKING = {"kubernetes", "mysql", "postgresql", "redis", "event_stream"}


class Changing(Protocol):
    """On the way between server and collector."""

    changed: int  #: answers so far


@dataclass
class Lane:
    """Attempts one after the other. Without a relay to ask, each attempt is one changed answer."""

    once: Attempt
    relay: Changing | None = None
    tried: int = 0

    @property
    def changed(self) -> int:
        """Answers that reached the collector otherwise than they were sent."""
        return self.tried if self.relay is None else self.relay.changed

    async def attempt(self, dice: random.Random) -> str:
        self.tried += 1
        return await self.once(dice)


async def outcome(part: Any, outbound: Outbound, *, close: bool = True) -> str:
    """The promise: a CollectError with a reason, or ticks that are well formed. Anything else ends the test."""
    try:
        async with asyncio.timeout(20):
            found = await part.collect(NOON, outbound)
    except CollectError as error:
        reason = error.reason
        assert reason.isidentifier(), reason
        return reason
    finally:
        if close:
            await part.close()
    for tick in found.ticks:
        assert tick.values.shape == (len(tick.layout),)
        assert len(set(tick.layout.series)) == len(tick.layout)
        assert np.count_nonzero(~is_stale(tick.values)) >= 0
    assert all(count > 0 for count in found.rejected.values())
    for batch in found.logs:
        assert len(batch.times) == len(batch.ends) == len(batch.severity)
        batch.texts()
    return ""


#: Where the answers come from; whoever is not named here uses an event loop's connections.
BLOCKING, SOCKETS = {"mysql", "kubernetes"}, {"http_probe", "tcp_probe"}


async def over_tcp(kind: str, port: int, make: Make, seed: int, stack: AsyncExitStack) -> list[Lane]:
    """One lane for each attempt at a time, each with changes of its own on the way from the server."""
    outbound = await stack.enter_async_context(leaving(Outbound(allow_private=True, verify=TRUST)))
    recorded = Recorded()
    again = await _how(kind)(port, make, outbound, recorded, stack)
    assert recorded.size(), "the server said nothing"
    changes = list(_changes(recorded, kind, seed, at_once=kind.partition("/")[0] not in TALKING))
    return [Lane(await again(way), way) for way in changes]


def _changes(recorded: Recorded, kind: str, seed: int, *, at_once: bool) -> Iterator[Changes]:
    """One lane changes whole answers anywhere, one short ones, and in the others values alone: those end less."""
    less, size = fewer_rows(recorded, ROWS.get(kind)), recorded.size()
    anywhere = (0,) if at_once else (0, 0, 0, *range(size))
    beyond, near = ((0,), (0,)) if at_once else ((0, *range(2, size)), (0, 0, 1))
    if kind == "kubernetes":  # a connection for every list
        anywhere = beyond = (0, 1, 2)
    for number in range(LANES):
        dice = random.Random(f"{seed}/{number}")
        if number < WILD or kind == "event_stream/kafka":  # whose client asks and asks where a name was changed
            yield Changes(less if number else recorded, dice, anywhere, anywhere, at_once)
        else:
            yield Changes(less, dice, beyond, near, at_once=False, values=True)


def _how(kind: str) -> Callable[..., Awaitable[Again]]:
    if kind == "postgresql":
        return _libpq
    if kind == "event_stream/nats":
        return _nats
    return _blocking if kind in BLOCKING else _over_sockets if kind in SOCKETS else _in_memory


@dataclass
class Reader:
    """A collector that reads again and again, as in its life; a new one begins after ``LIFE`` readings."""

    make: Callable[[], Any]
    outbound: Outbound
    part: Any = None
    read: int = 0

    async def __call__(self, _: random.Random) -> str:
        self.part = self.part or self.make()
        self.read += 1
        reason = await outcome(self.part, self.outbound, close=False)
        if self.read % LIFE == 0:
            await self.close()
        return reason

    async def close(self) -> None:
        if self.part is not None:
            await self.part.close()
        self.part = None


Again = Callable[[Changes], Awaitable[Attempt]]


async def _good(part: Any) -> None:
    """One reading while it is recorded, over connections that nobody goes on with."""
    async with leaving(Outbound(allow_private=True, verify=TRUST)) as outbound:
        try:
            await part.collect(NOON, outbound)
        finally:
            await part.close()


async def _in_memory(port: int, make: Make, outbound: Outbound, recorded: Recorded, stack: AsyncExitStack) -> Again:
    stack.enter_context(memory_network())

    async def record() -> None:
        SERVER.set(lambda: Tap(port, recorded))
        await _good(make(port, timeout=RECORDED))

    async def again(way: Changes) -> Attempt:
        reader = _reader(lambda: make(port, timeout=AT_HAND), outbound, stack)

        async def once(dice: random.Random) -> str:
            SERVER.set(lambda: Replay(Conversation(way), way.at_once))
            return await reader(dice)

        return once

    await asyncio.create_task(record())
    return again


async def _nats(port: int, make: Make, outbound: Outbound, recorded: Recorded, stack: AsyncExitStack) -> Again:
    stack.enter_context(same_inboxes())
    return await _in_memory(port, make, outbound, recorded, stack)


async def _blocking(port: int, make: Make, outbound: Outbound, recorded: Recorded, stack: AsyncExitStack) -> Again:
    with blocking_network(lambda real: Recording(real(), recorded)):
        await _good(make(port, timeout=RECORDED))
    stack.enter_context(memory_network())
    ways: list[Changes] = []
    stack.enter_context(blocking_network(lambda _: Blocking(ways[0])))

    async def again(way: Changes) -> Attempt:
        reader = _reader(lambda: make(port), outbound, stack)

        async def once(dice: random.Random) -> str:
            SERVER.set(asyncio.Protocol)  # nothing is awaited: what follows is done at once, in the loop
            ways[:] = [way]
            return await reader(dice)

        return once

    return again


async def _libpq(port: int, make: Make, outbound: Outbound, recorded: Recorded, stack: AsyncExitStack) -> Again:
    await _tapped(port, make, recorded)
    stack.enter_context(libpq_network())

    async def again(way: Changes) -> Attempt:
        answering = stack.enter_context(closing(Answering(lambda: Conversation(way))))
        reader = _reader(lambda: make(answering.port), outbound, stack)

        async def once(dice: random.Random) -> str:
            ANSWERING.set(answering)
            return await reader(dice)

        return once

    return again


async def _tapped(port: int, make: Make, recorded: Recorded) -> None:
    tap = await asyncio.get_running_loop().create_server(lambda: Tap(port, recorded), "127.0.0.1", 0)
    await _good(make(tap.sockets[0].getsockname()[1], timeout=RECORDED))
    tap.close()


async def _over_sockets(port: int, make: Make, outbound: Outbound, recorded: Recorded, stack: AsyncExitStack) -> Again:
    loop = asyncio.get_running_loop()
    await _tapped(port, make, recorded)

    async def again(way: Changes) -> Attempt:
        server = await loop.create_server(lambda: Replay(Conversation(way), way.at_once), "127.0.0.1", 0)
        stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        return _reader(lambda: make(port), outbound, stack)

    return again


def _reader(make: Callable[[], Any], outbound: Outbound, stack: AsyncExitStack) -> Reader:
    reader = Reader(make, outbound)
    stack.push_async_callback(reader.close)
    return reader


@asynccontextmanager
async def leaving(outbound: Outbound) -> AsyncIterator[Outbound]:
    yield outbound
    await outbound.aclose()


async def tls_lanes(folder: Path, seed: int, stack: AsyncExitStack) -> list[Lane]:
    """A server that shakes hands anew each time, for keys are never the same; every other one by TLS 1.2, whose
    certificates go over the wire as they are."""
    cert, key = self_made(folder)
    outbound = await stack.enter_async_context(leaving(Outbound(allow_private=True, verify=TRUST)))
    loop, lanes = asyncio.get_running_loop(), list[Lane]()
    for number in range(LANES):
        way = Changes(Recorded(), random.Random(f"{seed}/{number}"), (0, 0, 0, 1), (0,), at_once=False, values=False)
        context = shaking(cert, key, ssl.TLSVersion.TLSv1_3 if number % 2 else ssl.TLSVersion.TLSv1_2)
        server = await loop.create_server(partial(_shaking, way, context), "127.0.0.1", 0)
        stack.callback(server.close)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        options = {"address": address, "ca": cert.read_text(), "server_name": "watchkeeper.example", "timeout": SHORT}
        lanes.append(Lane(_reader(partial(build, "tls_probe", options), outbound, stack), way))
    return lanes


def _shaking(way: Changes, context: ssl.SSLContext) -> Replay:
    return Replay(Shaking(way, context), at_once=False)
