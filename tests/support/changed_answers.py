"""Good servers whose answers are changed on the way, and what a collector may make of them.

An attempt builds a collector, lets it read something changed and answers the reason, or "" where it read ticks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import dns.message
import dns.rrset
import numpy as np
from support import cloud_doubles, cluster
from support.certificates import self_made, serving_tls
from support.kafka_double import broker
from support.memory_net import SERVER, memory_network
from support.mutations import AT_ONCE, BEFORE, QUIET_SECONDS, relay
from support.queue_servers import nats
from support.replays import Blocking, Changes, Recorded, Recording, Replay, Tap, blocking_network
from support.servers import kept_alive, redis_cli, shared_mariadb, shared_memcached, shared_postgres, shared_redis
from support.targets import GOOD, TRUST, Target, answer, target

from collectors import BUILTIN
from watchkeeper.errors import CollectError
from watchkeeper.model import is_stale
from watchkeeper.outbound import Outbound
from watchkeeper.registry import Registry

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REGISTRY = Registry("collectors", BUILTIN)
#: Attempts at a time; each has a way of its own to the server.
LANES = 8
#: Seconds of one attempt: an answer whose length was changed never ends.
SHORT = 0.5
#: The same where the answers are in memory already, and where a real server is recorded.
AT_HAND, RECORDED = 0.3, 20.0
VECTOR = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}'
LOKI = (
    b'{"data":{"resultType":"streams","result":'
    b'[{"stream":{"a":"b"},"values":[["1795348800000000000","x"],["2","y"]]}]}}'
)
FOUND = (
    b'{"timed_out":false,"_shards":{"failed":0},'
    b'"hits":{"hits":[{"_index":"logs","_id":"1","sort":[1795348800000],"_source":{"message":"x","host":{"name":"a"}}}]}}'
)
CHAT = b'{"choices":[{"message":{"content":"fine"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
STUB = b"Active connections: 3\nserver accepts handled requests\n 12 11 40\nReading: 0 Writing: 1 Waiting: 2\n"

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


def _of_cloud(kind: str, base: str) -> dict[str, Any]:
    return cloud_doubles.options(kind, f"{base}/{kind}")


HTTP: dict[str, Callable[[str], dict[str, Any]]] = {
    "openmetrics": lambda base: {"url": f"{base}/metrics"},
    "prometheus_api": lambda base: {"url": f"{base}/good", "queries": {"q": "1"}},
    "json_http": lambda base: {
        "url": f"{base}/good.json",
        "metrics": [
            {"name": "depth", "path": "queues[*].depth", "labels": {"queue": "queues[*].name", "n": "$1"}},
            {"name": "started", "path": "queues[*].at", "convert": "time"},
        ],
    },
    "nginx_status": lambda base: {"url": f"{base}/stub_status"},
    "loki_logs": lambda base: {"url": base, "query": "{}", "lookback": "3650d"},
    "elasticsearch_logs": lambda base: {"url": base, "index": "logs", "lookback": "3650d"},
    "kubernetes": lambda base: {"api_server": f"{base}/cluster"},
    "http_probe": lambda base: {"steps": [{"name": "s", "url": f"{base}/good.json", "expect_json": {"a": 1}}]},
    **{kind: partial(_of_cloud, kind) for kind in cloud_doubles.GOOD},
    "conversation_probe": lambda base: {"url": f"{base}/chat", "turns": [{"name": "t", "ask": "Well?"}]},
}


@cache
def shared_nats() -> int:
    """Port of a JetStream with a stream of some messages."""
    ports: list[int] = []

    def begin(folder: Path) -> Any:
        server, port = nats(folder)
        ports.append(port)
        return server

    kept_alive("nats", begin)
    return ports[0]


async def outcome(part: Any, outbound: Outbound) -> str:
    """The promise: a CollectError with a reason, or ticks that are well formed. Anything else ends the test."""
    try:
        async with asyncio.timeout(20):
            found = await part.collect(NOON, outbound)
    except CollectError as error:
        reason = error.reason
        assert reason.isidentifier(), reason
        return reason
    finally:
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


def build(kind: str, options: dict[str, Any]) -> Any:
    return REGISTRY.build(kind, {"name": "m", **options})


#: Where the answers come from: an event loop's connections, those that block, our own sockets and libpq's, the very
#: server. All but the last say again what a real server said in one reading.
BLOCKING, SOCKETS, LIVE = (
    {"mysql", "kubernetes"},
    {"http_probe", "tcp_probe", "postgresql"},
    {"tls_probe", "event_stream/nats"},
)
Make = Callable[..., Any]


async def over_tcp(kind: str, port: int, make: Make, seed: int, stack: AsyncExitStack) -> list[Lane]:
    """One lane for each attempt at a time, each with changes of its own on the way from the server."""
    talks = kind.partition("/")[0] in TALKING
    outbound = await stack.enter_async_context(leaving(Outbound(allow_private=True, verify=TRUST)))
    if kind in LIVE:
        before = BEFORE if talks else AT_ONCE
        ways = [
            await stack.enter_async_context(relay(port, random.Random(f"{seed}/{n}"), before)) for n in range(LANES)
        ]
        return [Lane(partial(_relayed, make, way, outbound), way) for way in ways]
    how = _blocking if kind in BLOCKING else _over_sockets if kind in SOCKETS else _in_memory
    recorded = Recorded()
    again = await how(port, make, outbound, recorded, stack)
    assert recorded.size(), "the server said nothing"
    before = (0, 0, 0, *range(recorded.size())) if talks else (0,)
    changes = [Changes(recorded, random.Random(f"{seed}/{n}"), before, at_once=not talks) for n in range(LANES)]
    return [Lane(await again(way), way) for way in changes]


async def _relayed(make: Make, way: Any, outbound: Outbound, _: random.Random) -> str:
    return await outcome(make(way.port), outbound)


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
        async def once(_: random.Random) -> str:
            SERVER.set(lambda: Replay(way))
            return await outcome(make(port, timeout=AT_HAND), outbound)

        return once

    await asyncio.create_task(record())
    return again


async def _blocking(port: int, make: Make, outbound: Outbound, recorded: Recorded, stack: AsyncExitStack) -> Again:
    with blocking_network(lambda real: Recording(real(), recorded)):
        await _good(make(port, timeout=RECORDED))
    stack.enter_context(memory_network())
    ways: list[Changes] = []
    stack.enter_context(blocking_network(lambda _: Blocking(ways[0])))

    async def again(way: Changes) -> Attempt:
        async def once(_: random.Random) -> str:
            SERVER.set(asyncio.Protocol)  # nothing is awaited: what follows is done at once, in the loop
            ways[:] = [way]
            return await outcome(make(port), outbound)

        return once

    return again


async def _over_sockets(port: int, make: Make, outbound: Outbound, recorded: Recorded, stack: AsyncExitStack) -> Again:
    loop = asyncio.get_running_loop()
    tap = await loop.create_server(lambda: Tap(port, recorded), "127.0.0.1", 0)
    await _good(make(tap.sockets[0].getsockname()[1], timeout=RECORDED))
    tap.close()

    async def again(way: Changes) -> Attempt:
        server = await loop.create_server(lambda: Replay(way, QUIET_SECONDS), "127.0.0.1", 0)
        stack.callback(way.over)
        stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]

        async def once(_: random.Random) -> str:
            return await outcome(make(port), outbound)

        return once

    return again


@asynccontextmanager
async def leaving(outbound: Outbound) -> AsyncIterator[Outbound]:
    yield outbound
    await outbound.aclose()


async def http_server(stack: AsyncExitStack) -> Target:
    server = await stack.enter_async_context(target())
    queues = b'{"a":1,"queues":[{"name":"a","depth":1,"at":"2026-11-22T12:00:00Z"},{"name":"b","depth":2.5,"at":null}]}'
    server.pages |= {
        "/good/api/v1/query": answer(VECTOR), "/good.json": answer(queues), "/stub_status": answer(STUB),
        "/loki/api/v1/query_range": answer(LOKI), "/logs/_search": answer(FOUND), "/chat": answer(CHAT),
        "/metrics": answer(GOOD),
    }  # fmt: skip
    cluster.put(server, "/cluster")
    for kind in cloud_doubles.GOOD:
        server.pages |= cloud_doubles.pages(kind)
    return server


async def tcp_server(kind: str, stack: AsyncExitStack, folder: Path, **more: Any) -> tuple[int, Make]:
    """(port of a good server, what asks it on another port, with ``more`` options)."""
    short: dict[str, Any] = {"timeout": SHORT, **more}
    if kind in HTTP:
        server = await http_server(stack)
        return server.port, lambda port, **again: build(
            kind, {**HTTP[kind](f"http://127.0.0.1:{port}"), **short, **again}
        )
    if kind == "mysql":
        options = {"username": "root", "statements": 3, **short}
        return shared_mariadb().port, lambda port, **again: build(
            kind, {"address": f"127.0.0.1:{port}", **options, **again}
        )
    if kind == "postgresql":
        options = {"username": "postgres", "statements": 3, **short}
        return shared_postgres().port, lambda port, **again: build(
            kind, {"address": f"127.0.0.1:{port}", **options, **again}
        )
    if kind == "memcached":
        return shared_memcached().port, lambda port, **again: build(
            kind, {"address": f"127.0.0.1:{port}", **short, **again}
        )
    if kind == "redis":
        return shared_redis().port, lambda port, **again: build(
            kind, {"address": f"127.0.0.1:{port}", **short, **again}
        )
    if kind == "tls_probe":
        cert, key = self_made(folder)
        place = stack.enter_context(serving_tls(cert, key))
        short |= {"ca": cert.read_text(), "server_name": "watchkeeper.example"}
        port = int(place.rpartition(":")[2].split("/")[0])
        return port, lambda port, **again: build(kind, {"address": f"127.0.0.1:{port}", **short, **again})
    if kind == "dns_probe":
        port = await dns_server(stack)
        asked = {"query": "shop.example", "transport": "tcp", **short}
        return port, lambda port, **again: build(kind, {"server": f"127.0.0.1:{port}", **asked, **again})
    assert kind == "tcp_probe"
    server = await http_server(stack)
    said = {"send": "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", "expect": "up_requests", **short}
    return server.port, lambda port, **again: build(kind, {"address": f"127.0.0.1:{port}", **said, **again})


async def dns_server(stack: AsyncExitStack) -> int:
    """Answers every question over TCP with one address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        asked = dns.message.from_wire(await reader.readexactly(size))
        said = dns.message.make_response(asked)
        said.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "A", "10.0.0.1"))
        wire = said.to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    stack.callback(server.close)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def streams(protocol: str, stack: AsyncExitStack, **more: Any) -> tuple[int, Make]:
    options = {"protocol": protocol, "stream": "changed", "timeout": SHORT * 2, **more}
    if protocol == "redis":
        port = shared_redis().port
        for number in range(5):
            redis_cli(port, "xadd", "changed", "*", "nr", str(number))
    elif protocol == "nats":
        import nats as client

        port = shared_nats()
        connection = await client.connect(f"nats://127.0.0.1:{port}")
        stream = connection.jetstream()
        await stream.add_stream(name="changed", subjects=["changed.*"])
        for number in range(5):
            await stream.publish("changed.new", b"%d" % number)
        await connection.close()
    else:
        server = await stack.enter_async_context(broker())
        server.topics["changed"] = {0: [(1, b"a"), (2, b'{"b": 1}')], 1: []}
        port = server.port
    return port, lambda port, **again: build("event_stream", {"address": f"127.0.0.1:{port}", **options, **again})
