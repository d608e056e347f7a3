"""A name server of our own on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dns.message import Message, from_wire, make_response
from dns.rdatatype import SOA
from dns.rrset import from_text
from support.probes import shown
from support.targets import TRUST

from collectors.dns_probe import DnsProbe
from watchkeeper.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


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
