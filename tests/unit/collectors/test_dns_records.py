"""DNS records as targets, asked of a small server on loopback that speaks the wire format."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from support.targets import TRUST

from collectors.dns_records import TYPES, question, read, resolve, system_servers
from collectors.scrape_discovery import DnsSd
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

Answerer = Callable[[bytes], bytes]


def named(text: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"


def reply(asked: bytes, records: list[tuple[int, bytes]], *, flags: int = 0x8180) -> bytes:
    """An answer whose records point back to the name in the question."""
    rows = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for kind, data in records)
    return asked[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + asked[12:] + rows


def srv(host: bytes, port: int) -> bytes:
    return struct.pack(">HHH", 1, 2, port) + host


@asynccontextmanager
async def name_server(udp: Answerer, tcp: Answerer | None = None) -> AsyncIterator[str]:
    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.transport.sendto(b"??" + b"\0" * 10, addr)  # type: ignore[attr-defined]  # not the answer to anything
            self.transport.sendto(udp(data), addr)  # type: ignore[attr-defined]  # a datagram transport

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
        answer = (tcp or udp)(await reader.readexactly(size))
        writer.write(struct.pack(">H", len(answer)) + answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(stream, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", port))
        try:
            yield f"127.0.0.1:{port}"
        finally:
            transport.close()


async def looked_up(part: dict[str, object]) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    client = Outbound(allow_private=True, verify=TRUST)
    try:
        found = await TypeAdapter(DnsSd).validate_python(part).look(client, Path())
    finally:
        await client.aclose()
    return [(group.targets, dict(group.labels)) for group in found]


async def test_srv_records_bring_their_ports() -> None:
    records = [(TYPES["SRV"], srv(named("a.example"), 9100)), (TYPES["SRV"], srv(b"\x01b\xc0\x0f", 9200))]
    async with name_server(lambda asked: reply(asked, records)) as server:
        found = await looked_up({"names": ["_m.example"], "servers": [server]})
    labels = {"__meta_dns_name": "_m.example", "__meta_dns_srv_record_target": "a.example.",
              "__meta_dns_srv_record_port": "9100"}  # fmt: skip
    assert found[0] == (("a.example.:9100",), labels)
    assert found[1][0] == ("b.example.:9200",), "a pointer into the question"


async def test_addresses_take_the_configured_port() -> None:
    both = [(TYPES["A"], bytes([10, 0, 0, 7])), (TYPES["AAAA"], bytes(15) + b"\1")]
    async with name_server(lambda asked: reply(asked, both)) as server:
        four = await looked_up({"names": ["x.example"], "type": "A", "port": 9100, "servers": [server]})
        six = await looked_up({"names": ["x.example"], "type": "AAAA", "port": 9100, "servers": [server]})
    assert four == [(("10.0.0.7:9100",), {"__meta_dns_name": "x.example"})]
    assert six[0][0] == ("[::1]:9100",)


async def test_an_answer_too_long_for_a_datagram_is_asked_for_again() -> None:
    records = [(TYPES["A"], bytes([10, 0, number // 256, number % 256])) for number in range(300)]
    async with name_server(lambda asked: reply(asked, [], flags=0x8380), lambda asked: reply(asked, records)) as server:
        assert len(await resolve("x.example", "A", servers=[server])) == 300


async def test_a_name_that_does_not_exist_has_no_targets_and_a_refusal_is_an_error() -> None:
    async with name_server(lambda asked: reply(asked, [], flags=0x8183)) as server:
        assert await looked_up({"names": ["x.example"], "servers": [server]}) == []
    async with name_server(lambda asked: reply(asked, [], flags=0x8185)) as server:
        with pytest.raises(CollectError, match=r"x\.example cannot be looked up.*code 5"):
            await looked_up({"names": ["x.example"], "servers": [server]})


@pytest.mark.parametrize(
    "record",
    [
        (TYPES["SRV"], b"\0"),
        (TYPES["SRV"], srv(b"\xc0\xff", 1)),
        (TYPES["A"], b"\1\2"),
        (TYPES["SRV"], srv(b"\x3fx", 1)),
    ],
    ids=["short", "forwards", "address", "cut"],
)
def test_a_broken_answer_is_refused(record: tuple[int, bytes]) -> None:
    asked = question("x.example", "SRV")
    kind = "A" if record[0] == TYPES["A"] else "SRV"
    with pytest.raises(ValueError, match=r"."):
        read(asked, reply(asked, [record]), kind)


def test_an_answer_to_another_question_is_none() -> None:
    asked = question("x.example", "A")
    other = bytes([asked[0] ^ 1]) + asked[1:]
    with pytest.raises(ValueError, match="no answer"):
        read(asked, reply(other, []), "A")


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_what_is_no_name_is_not_asked(name: str) -> None:
    with pytest.raises(ValueError, match="no DNS name"):
        question(name, "A")


def test_the_systems_servers_are_read(tmp_path: Path) -> None:
    (tmp_path / "resolv").write_text("# x\nsearch example\nnameserver 10.0.0.1\nnameserver ::1\n")
    assert system_servers(tmp_path / "resolv") == ["10.0.0.1", "::1"]
    assert system_servers(tmp_path / "none") == []
