"""Certificates that are right, early, wrong and old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.certificates import ended, issued, self_made, serving_tls
from support.probes import NOW, shown, speaking
from support.targets import TRUST

from collectors.tls_probe import TlsProbe
from watchkeeper.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


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
    assert good["probe_tls_days_left"] == pytest.approx(2.0, abs=0.1)  # the suite has run for some minutes
    assert good["probe_ssl_earliest_cert_expiry"] == pytest.approx(NOW.timestamp() + 2 * 86400, abs=7200)
    assert (good["probe_tls_chain_length"], good["probe_tls_version_info/TLS 1.3"]) == (2.0, 1.0)
    assert early["probe_failure_info/expires"] == 1.0
    assert (wrong_name["probe_failure_info/host_name"], wrong_name["probe_tls_host_name_valid"]) == (1.0, 0.0)
    assert wrong_name["probe_tls_chain_valid"] == 1.0
    assert (stranger["probe_failure_info/untrusted"], stranger["probe_tls_chain_valid"]) == (1.0, 0.0)
    assert stranger["probe_tls_days_left"] == good["probe_tls_days_left"], "an untrusted certificate is read too"


async def test_a_certificate_that_ended_says_since_when(tmp_path: Path, outbound: Outbound) -> None:
    cert, key = ended(tmp_path)
    with serving_tls(cert, key) as url:
        found = await shown(TlsProbe(address=url.removeprefix("https://"), ca_file=str(cert)), outbound)
    assert (found["probe_failure_info/expired"], found["probe_tls_days_left"] < 0) == (1.0, True)


async def test_what_speaks_no_tls_has_no_certificate(outbound: Outbound) -> None:
    async with speaking(b"220 mail ready\r\n") as address:
        found = await shown(TlsProbe(address=address), outbound)
    assert found["probe_failure_info/tls"] == 1.0
    assert "probe_tls_days_left" not in found
