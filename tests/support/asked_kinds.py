"""Every kind of collector that asks a server, with a good server and a way to it that can be made bad."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from support.fault_way import GARBAGE, HUGE, Fault, Way, Words, fault_way
from support.good_servers import HTTP, SHARED, build, http_server, streams, tcp_server
from support.mutations import datagrams
from support.servers import shared_mariadb, shared_postgres
from support.snmp_agents import shared_snmpd

from collectors import BUILTIN

#: Seconds of one reading: a good one on a busy machine is well below.
TIMEOUT = 2.0
#: Bytes that a kind with such an option takes at most.
MOST_BYTES = 4 << 20
#: CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION; and CLIENT_PLUGIN_AUTH above.
MYSQL_GREETING = b"".join(
    (b"\x0a5.7.0-double\0", b"\1\0\0\0", b"12345678\0", struct.pack("<H", 0x8A00), b"\x21\2\0"),
) + b"".join((struct.pack("<H", 0x0008), b"\x15", bytes(10), b"123456789012\0", b"mysql_native_password\0"))


async def _postgres_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(8)
    writer.write(b"S")


async def _mysql_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The client's request and its handshake may come as one piece: past the stream, no byte too many is read."""
    transport: Any = writer.transport
    transport.pause_reading()
    writer.write(struct.pack("<I", len(MYSQL_GREETING)) + MYSQL_GREETING)
    left = 36
    with writer.get_extra_info("socket").dup() as own:
        while left:
            with suppress(BlockingIOError):
                left -= len(own.recv(left))
            await asyncio.sleep(0.001)


async def _nats_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"tls_required":true}\r\n')
    await writer.drain()


HTTP_WORDS = Words(
    huge=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE,
    redirect=lambda port: b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % port,
)
REDIS = Words(huge=b"$%d\r\n" % HUGE, redirect=lambda port: b"-MOVED 1 127.0.0.1:%d\r\n" % port)
MYSQL = Words(huge=b"\xff\xff\xff\x00", before_tls=_mysql_tls, waits=False)
POSTGRES = Words(huge=b"NR" + struct.pack(">i", HUGE), before_tls=_postgres_tls)
NATS = Words(
    huge=b"INFO {",
    redirect=lambda port: b'INFO {"server_id":"x","max_payload":9,"connect_urls":["127.0.0.1:%d"]}\r\n' % port,
    before_tls=_nats_tls,
    waits=False,
)
#: What each kind's server says; a kind over HTTP needs no line.
WORDS = {
    "memcached": Words(huge=b"STAT version "),
    "mysql": MYSQL,
    "postgresql": POSTGRES,
    "redis": REDIS,
    "event_stream/redis": REDIS,
    "event_stream/nats": NATS,
    "event_stream/kafka": Words(huge=struct.pack(">i", HUGE)),
    "sql_query": POSTGRES,
    "sql_probe": MYSQL,
    "tcp_probe": Words(),
    "tls_probe": Words(),
    "dns_probe": Words(),
}
KINDS = sorted({*HTTP, *WORDS, "snmp"})


class Datagrams:
    """A way of datagrams to an SNMP agent."""

    def __init__(self) -> None:
        self.port, self.fault = 0, ""
        self.sent = self.connections = self.strayed = 0

    def turn(self, fault: Fault) -> None:
        self.fault = fault

    def change(self, data: bytes) -> bytes | None:
        match self.fault:
            case "":
                return data
            case "truncation":
                return data[: len(data) * 3 // 5]
            case "garbage":
                return GARBAGE[:500]
            case _:
                return None


Asked = tuple[Way | Datagrams, Any]


@asynccontextmanager
async def asked(kind: str, folder: Path, wrong: Any, *, tls: bool = False, **more: Any) -> AsyncIterator[Asked]:
    """(way, collector that goes by it); ``tls``: it insists on TLS, ``wrong`` is what a faulty server shows."""
    fields = BUILTIN[kind.partition("/")[0]].__dataclass_fields__
    if "max_bytes" in fields and kind != "tcp_probe":
        more = {"max_bytes": MOST_BYTES, **more}
    async with AsyncExitStack() as stack:
        if kind == "snmp":
            way = Datagrams()
            way.port = await stack.enter_async_context(datagrams(shared_snmpd().port, way.change))
            options = {"community": "watch", "modules": ["system"], "timeout": TIMEOUT, "retry_after": TIMEOUT / 4}
            yield way, build(kind, {"address": f"127.0.0.1:{way.port}", **options, **more})
            return
        server, make = await _server(kind, stack, folder, {"timeout": TIMEOUT, **more}, tls=tls)
        made = await stack.enter_async_context(fault_way(server, WORDS.get(kind, HTTP_WORDS), wrong))
        part = make(made.port)
        yield made, part


async def _server(
    kind: str, stack: AsyncExitStack, folder: Path, options: dict[str, Any], *, tls: bool
) -> tuple[int, Callable[[int], Any]]:
    if kind in ("sql_query", "sql_probe"):
        return _sql(kind, options, tls=tls)
    if kind.startswith("event_stream/"):
        if tls:
            options["tls"] = True
        return await streams(kind.partition("/")[2], stack, **options)
    if kind in HTTP and tls:
        server = await http_server(stack)
        return server.port, lambda port: build(kind, {**HTTP[kind](f"https://127.0.0.1:{port}"), **options})
    if kind in SHARED and tls:
        options["tls"] = True
    return await tcp_server(kind, stack, folder, **options)


def _sql(kind: str, options: dict[str, Any], *, tls: bool) -> tuple[int, Callable[[int], Any]]:
    """Other people's databases, by the one query a test needs."""
    if kind == "sql_query":
        rows = "select n, 'w' || n as w from generate_series(1, 40) as n"
        asks = {"queries": [{"name": "q", "sql": rows, "values": ["n"], "labels": ["w"]}]}
        end = "?sslmode=verify-full&sslrootcert=system" if tls else ""
        start = "postgresql+psycopg://postgres@127.0.0.1"
        port = shared_postgres().port
        return port, lambda port: build(kind, {"url": f"{start}:{port}/postgres{end}", **asks, **options})
    start, checked = "mysql+pymysql://root@127.0.0.1", {"sql": "select 1", "expect": "1"}
    end = "?ssl_verify_cert=true&ssl_verify_identity=true&ssl_ca=/etc/ssl/certs/ca-certificates.crt" if tls else ""
    return shared_mariadb().port, lambda port: build(kind, {"url": f"{start}:{port}/{end}", **checked, **options})
