"""Chains that carry values from step to step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.certificates import issued, self_made, serving_tls
from support.probes import NOW, shown
from support.targets import TRUST, answer, target

from collectors.http_probe import HttpProbe
from collectors.http_steps import Step
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
