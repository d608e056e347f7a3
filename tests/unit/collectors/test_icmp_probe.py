"""This machine, asked by ICMP."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from support.probes import NOW, shown
from support.targets import TRUST

from collectors.icmp_probe import IcmpProbe, checksum
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


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
