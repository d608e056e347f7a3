"""TCP ports that answer, and that do not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.probes import closed_port, shown, speaking
from support.targets import TRUST

from collectors.probe import host_and_port
from collectors.tcp_probe import TcpProbe
from watchkeeper.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


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
