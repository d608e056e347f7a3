"""TCP, TLS, DNS, ICMP and SQL probes against real listeners."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dns.message import Message, from_wire, make_response
from dns.rdatatype import SOA
from dns.rrset import from_text
from support.certificates import ended, issued, self_made, serving_tls
from support.targets import TRUST, answer, target

from collectors.dns_probe import DnsProbe
from collectors.http_probe import HttpProbe
from collectors.http_steps import Step
from collectors.icmp_probe import IcmpProbe, checksum
from collectors.probe import host_and_port
from collectors.sql_probe import SqlProbe
from collectors.tcp_probe import TcpProbe
from collectors.tls_probe import TlsProbe
from watchkeeper.errors import CollectError
from watchkeeper.model import METRIC_NAME, label, metric_name
from watchkeeper.outbound import Outbound

NOW = datetime.now(UTC)
TARGET = {METRIC_NAME, "job", "instance"}


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


async def shown(part: Any, outbound: Outbound) -> dict[str, float]:
    """Readings as ``name`` or ``name/value of its own label/...``."""
    (tick,) = (await part.collect(NOW, outbound)).ticks
    return {
        "/".join([metric_name(series), *(value for key, value in series if key not in TARGET)]): value
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True)
    }


@asynccontextmanager
async def speaking(greeting: bytes, reply: bytes = b"") -> AsyncIterator[str]:
    """A TCP server that greets, and replies to the first line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if await reader.readline():
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def closed_port() -> str:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{made.getsockname()[1]}"


async def test_a_tcp_port_that_greets_and_answers_as_expected_is_good(outbound: Outbound) -> None:
    async with speaking(b"220 mail ready\r\n", b"250 hello\r\n") as address:
        found = await shown(TcpProbe(address=address, send="HELO\n", expect=r"250 h\w+"), outbound)
        wrong = await shown(TcpProbe(address=address, send="HELO\n", expect="^550"), outbound)
    assert (found["probe_success"], found["probe_tcp_duration_seconds/answer"] > 0) == (1.0, True)
    assert (wrong["probe_success"], wrong["probe_failure_info/body"]) == (0.0, 1.0)


async def test_a_closed_port_is_tried_as_often_as_asked_and_then_failed(outbound: Outbound) -> None:
    found = await shown(TcpProbe(address=closed_port(), attempts=3, attempt_interval=0), outbound)
    assert (found["probe_success"], found["probe_attempts"], found["probe_failure_info/connect"]) == (0.0, 3.0, 1.0)


async def test_a_silent_port_costs_the_timeout_and_addresses_of_clouds_are_never_reached(outbound: Outbound) -> None:
    async with speaking(b"") as address:
        found = await shown(TcpProbe(address=address, expect="x", timeout=0.1), outbound)
    assert found["probe_failure_info/timeout"] == 1.0
    metadata = await shown(TcpProbe(address="169.254.169.254:80"), outbound)
    assert metadata["probe_failure_info/refused_address"] == 1.0


async def test_a_trusted_certificate_says_its_days_its_chain_and_its_protocol(
    tmp_path: Path, outbound: Outbound
) -> None:
    issuer = self_made(tmp_path, "issuer.example")
    cert, key = issued(tmp_path, "localhost", issuer)
    ca = issuer[0].read_text()
    with serving_tls(cert, key) as url:
        address = url.removeprefix("https://")
        good = await shown(TlsProbe(address=address, server_name="localhost", ca=ca), outbound)
        early = await shown(TlsProbe(address=address, server_name="localhost", ca=ca, min_days=14), outbound)
        wrong_name = await shown(TlsProbe(address=address, server_name="a.example", ca=ca), outbound)
        stranger = await shown(TlsProbe(address=address, server_name="localhost"), outbound)
    assert (good["probe_success"], good["probe_tls_chain_valid"], good["probe_tls_host_name_valid"]) == (1.0, 1.0, 1.0)
    assert good["probe_tls_days_left"] == pytest.approx(2.0, abs=0.01)
    assert good["probe_ssl_earliest_cert_expiry"] == pytest.approx(NOW.timestamp() + 2 * 86400, abs=60)
    assert (good["probe_tls_chain_length"], good["probe_tls_version_info/TLS 1.3"]) == (2.0, 1.0)
    assert early["probe_failure_info/expires"] == 1.0
    assert (wrong_name["probe_failure_info/host_name"], wrong_name["probe_tls_host_name_valid"]) == (1.0, 0.0)
    assert wrong_name["probe_tls_chain_valid"] == 1.0
    assert (stranger["probe_failure_info/untrusted"], stranger["probe_tls_chain_valid"]) == (1.0, 0.0)
    assert stranger["probe_tls_days_left"] == good["probe_tls_days_left"], "an untrusted certificate is read too"


async def test_a_certificate_that_ended_says_since_when(tmp_path: Path, outbound: Outbound) -> None:
    cert, key = ended(tmp_path)
    with serving_tls(cert, key) as url:
        found = await shown(TlsProbe(address=url.removeprefix("https://"), ca=cert.read_text()), outbound)
    assert (found["probe_failure_info/expired"], found["probe_tls_days_left"] < 0) == (1.0, True)


async def test_what_speaks_no_tls_has_no_certificate(outbound: Outbound) -> None:
    async with speaking(b"220 mail ready\r\n") as address:
        found = await shown(TlsProbe(address=address), outbound)
    assert found["probe_failure_info/tls"] == 1.0
    assert "probe_tls_days_left" not in found


class NameServer(asyncio.DatagramProtocol):
    """Answers for shop.example; any other name does not exist."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(self.reply(from_wire(data)).to_wire(), addr)

    @staticmethod
    def reply(question: Message) -> Message:
        made = make_response(question)
        (asked,) = question.question
        if str(asked.name) != "shop.example.":
            made.set_rcode(3)  # type: ignore[arg-type]
        elif asked.rdtype == SOA:
            made.answer.append(
                from_text("shop.example.", 60, "IN", "SOA", "ns.shop.example. a.shop.example. 7 1 1 1 1")
            )
        else:
            made.answer.append(from_text("shop.example.", 60, "IN", "A", "192.0.2.7", "192.0.2.8"))
        return made


@pytest.fixture
async def name_server() -> AsyncIterator[str]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, ("127.0.0.1", 0))
    yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    transport.close()


async def test_a_name_server_is_judged_by_rcode_records_and_content(name_server: str, outbound: Outbound) -> None:
    good = await shown(DnsProbe(server=name_server, query="shop.example", expect=r"192\.0\.2\.8"), outbound)
    assert (good["probe_success"], good["probe_dns_answer_rrs"], good["probe_dns_rcode"]) == (1.0, 2.0, 0.0)
    hijacked = await shown(DnsProbe(server=name_server, query="shop.example", expect="^10[.]"), outbound)
    assert hijacked["probe_failure_info/body"] == 1.0
    unknown = await shown(DnsProbe(server=name_server, query="nobody.example"), outbound)
    assert (unknown["probe_failure_info/rcode"], unknown["probe_dns_rcode"]) == (1.0, 3.0)
    wanted = await shown(DnsProbe(server=name_server, query="nobody.example", rcodes=["NXDOMAIN"]), outbound)
    assert wanted["probe_success"] == 1.0
    serial = await shown(DnsProbe(server=name_server, query="shop.example", type="SOA"), outbound)
    assert serial["probe_dns_serial"] == 7.0


async def test_a_name_server_that_is_silent_costs_the_timeout(outbound: Outbound) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{deaf.getsockname()[1]}"
        found = await shown(DnsProbe(server=server, query="shop.example", timeout=0.1), outbound)
    assert found["probe_failure_info/timeout"] == 1.0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_this_machine_answers_echo_requests(host: str, outbound: Outbound) -> None:
    found = await shown(IcmpProbe(host=host, packets=3, timeout=2), outbound)
    assert (found["probe_success"], found["probe_icmp_packet_loss_ratio"]) == (1.0, 0.0)
    assert 0 < found["probe_icmp_duration_seconds/rtt"] < 2


def test_the_checksum_is_that_of_the_rfc() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


async def test_who_may_not_send_icmp_is_told_what_to_allow(monkeypatch: pytest.MonkeyPatch, outbound: Outbound) -> None:
    def refused(*_: object) -> socket.socket:
        raise PermissionError("not permitted")

    monkeypatch.setattr("collectors.icmp_probe.socket.socket", refused)
    with pytest.raises(CollectError, match="ping_group_range") as failure:
        await IcmpProbe(host="127.0.0.1").collect(NOW, outbound)
    assert failure.value.reason == "unsupported"


@contextmanager
def shop(folder: Path) -> Iterator[str]:
    path = folder / "shop.db"
    db = sqlite3.connect(path)
    with db:
        db.execute("create table orders (n)")
        db.execute("insert into orders values (7)")
    db.close()
    yield f"sqlite:///{path}"


async def test_a_database_is_good_when_its_answer_is_the_expected_one(tmp_path: Path, outbound: Outbound) -> None:
    with shop(tmp_path) as url:
        good = await shown(SqlProbe(url=url, sql="select n from orders", expect="7"), outbound)  # type: ignore[arg-type]
        wrong = await shown(SqlProbe(url=url, sql="select n from orders", expect="8"), outbound)  # type: ignore[arg-type]
        broken = await shown(SqlProbe(url=url, sql="select n from nothing"), outbound)  # type: ignore[arg-type]
        writing = await shown(SqlProbe(url=url, sql="delete from orders"), outbound)  # type: ignore[arg-type]
    nowhere = await shown(SqlProbe(url=f"sqlite:///{tmp_path}/none.db"), outbound)  # type: ignore[arg-type]
    assert (good["probe_success"], good["probe_sql_duration_seconds/statement"] > 0) == (1.0, True)
    assert wrong["probe_failure_info/body"] == 1.0
    assert broken["probe_failure_info/query"] == 1.0
    assert writing["probe_success"] == 0.0
    assert nowhere["probe_failure_info/connect"] == 1.0


async def test_an_http_chain_carries_values_and_compares_json(outbound: Outbound) -> None:
    pages = {"login": answer(b'{"token": "a b/c", "user": {"ok": true}}'), "me": answer(b'{"name": "Lin"}')}
    async with target(**pages) as server:
        server.pages["/me?t=a%20b%2Fc"] = server.pages["/me"]
        steps = [
            Step(name="login", url=server.url("/login"), carry={"token": "token"}, expect_json={"user.ok": True}),
            Step(
                name="me",
                url=server.url("/me?t={{token}}"),
                headers={"authorization": "Bearer {{token}}"},
                expect_json={"name": "Lin"},
            ),
        ]
        good = await shown(HttpProbe(steps=steps), outbound)
        steps[1].expect_json = {"name": "Wang"}
        wrong = await shown(HttpProbe(steps=steps), outbound)
    assert good["probe_success"] == 1.0
    assert wrong["probe_failure_info/json/me"] == 1.0


def test_a_chain_that_uses_what_nobody_carries_is_refused() -> None:
    with pytest.raises(ValueError, match="no earlier step carries"):
        HttpProbe(steps=[Step(name="a", url="http://shop.example/{{token}}")])
    with pytest.raises(ValueError, match="cannot choose the host"):
        Step(name="a", url="http://{{host}}/")


@pytest.mark.parametrize(
    ("text", "place"),
    [("a:1", ("a", 1)), ("[::1]:53", ("::1", 53)), ("a", ("a", 443)), ("[::1]", ("::1", 443))],
)
def test_addresses_are_a_host_and_a_port(text: str, place: tuple[str, int]) -> None:
    assert host_and_port(text, 443) == place


@pytest.mark.parametrize("text", ["", ":1", "a:0", "a:65536", "::1", "user@host:1", "a b:1", "a:b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a host and a port"):
        host_and_port(text, 443)


def test_secrets_stay_out_of_what_is_shown() -> None:
    part = SqlProbe(name="db", url="postgresql+psycopg://u:hush@db:5432/shop")  # type: ignore[arg-type]
    assert "hush" not in repr(part)
    assert label(tuple(sorted(part.target_labels.items())), "instance") == "db:5432/shop"
