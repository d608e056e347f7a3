"""Good servers, real where they run here, and collectors that ask them, whatever is in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
from support import cloud_doubles, cluster
from support.certificates import self_made, serving_tls
from support.kafka_double import broker
from support.queue_servers import nats
from support.servers import (
    Running,
    kept_alive,
    redis_cli,
    shared_mariadb,
    shared_memcached,
    shared_postgres,
    shared_redis,
)
from support.targets import GOOD, Target, answer, target

from collectors import BUILTIN
from watchkeeper.registry import Registry

REGISTRY = Registry("collectors", BUILTIN)
#: Seconds of one reading: an answer whose length was changed never ends.
SHORT = 0.5
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

Make = Callable[..., Any]


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


def build(kind: str, options: dict[str, Any]) -> Any:
    return REGISTRY.build(kind, {"name": "m", **options})


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


#: Kinds that ask one ``address`` -> a real server for all tests of this process, and the options that it wants.
SHARED: dict[str, tuple[Callable[[], Running], dict[str, Any]]] = {
    "memcached": (shared_memcached, {}),
    "mysql": (shared_mariadb, {"username": "root", "statements": 3}),
    "postgresql": (shared_postgres, {"username": "postgres", "statements": 3}),
    "redis": (shared_redis, {}),
}


async def tcp_server(kind: str, stack: AsyncExitStack, folder: Path, **more: Any) -> tuple[int, Make]:
    """(port of a good server, what asks it on another port, with ``more`` options)."""
    short: dict[str, Any] = {"timeout": SHORT, **more}
    if kind in HTTP:
        server = await http_server(stack)
        return server.port, lambda port, **again: build(
            kind, {**HTTP[kind](f"http://127.0.0.1:{port}"), **short, **again}
        )
    if kind in SHARED:
        running, options = SHARED[kind]
        return running().port, lambda port, **again: build(
            kind, {"address": f"127.0.0.1:{port}", **options, **short, **again}
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
