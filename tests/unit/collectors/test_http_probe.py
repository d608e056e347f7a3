from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.servers import need
from support.targets import TRUST, Target, answer, target

from collectors.http_probe import HttpProbe
from collectors.http_steps import Step
from watchkeeper.model import label, metric_name
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


def probe(*steps: Step, **options: Any) -> HttpProbe:
    return HttpProbe(name="shop", steps=list(steps), timeout=options.pop("timeout", 5.0), **options)


def shown(found: Collected) -> dict[str, float]:
    """Readings as ``name`` or ``name/step`` or ``name/step/phase``."""
    (tick,) = found.ticks
    result = {}
    for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True):
        own = [label(series, key) for key in ("step", "phase", "reason")]
        result["/".join([metric_name(series), *filter(None, own)])] = value
    return result


async def test_a_chain_that_succeeds_says_how_long_each_phase_took(outbound: Outbound) -> None:
    async with target(login=answer(b"welcome, user 7", status="201 Created")) as server:
        part = probe(
            Step(name="home", url=server.url("/metrics")),
            Step(
                name="login",
                url=server.url("/login"),
                method="POST",
                headers={"x-key": "k"},
                body="user=7",
                expect_status=[200, 201],
                expect_body=r"user \d+",
            ),
        )
        found = shown(await part.collect(NOON, outbound))
    assert found["probe_success"] == 1.0
    assert found["probe_attempts"] == 1.0
    assert (found["probe_http_status_code/home"], found["probe_http_status_code/login"]) == (200.0, 201.0)
    phases = [found[f"probe_http_duration_seconds/login/{phase}"] for phase in ("connect", "processing", "transfer")]
    assert all(seconds >= 0 for seconds in phases)
    assert sum(phases) <= found["probe_step_duration_seconds/login"] <= found["probe_duration_seconds"]
    assert "probe_ssl_earliest_cert_expiry" not in found
    method, _, raw = server.requests[1]
    assert (method, raw.endswith(b"user=7"), b"x-key: k" in raw.lower()) == ("POST", True, True)


@pytest.mark.parametrize(
    ("path", "wanted", "reason"),
    [
        ("/500", {}, "status"),
        ("/loop", {}, "status"),
        ("/metrics", {"expect_body": "^nowhere"}, "body"),
        ("/metrics", {"max_seconds": 1e-9}, "slow"),
        ("/half", {}, "protocol"),
        ("/silent", {}, "protocol"),
        ("/huge", {}, "too_large"),
        ("/bomb", {}, "too_large"),
    ],
)
async def test_a_failure_is_a_result_with_a_bounded_reason(
    outbound: Outbound, path: str, wanted: dict[str, Any], reason: str
) -> None:
    async with target() as server:
        part = probe(Step(name="first", url=server.url(path), **wanted), Step(name="second", url=server.url()))
        found = shown(await part.collect(NOON, outbound))
    assert found["probe_success"] == 0.0
    assert found["probe_step_success/first"] == 0.0
    assert found[f"probe_failure_info/first/{reason}"] == 1.0
    assert not any("/second" in key for key in found), "what was not tried is unknown"


async def test_a_target_that_hangs_costs_the_timeout_and_no_more(outbound: Outbound) -> None:
    async with target() as server:
        part = probe(
            *(Step(name=name, url=server.url(path)) for name, path in (("a", "/metrics"), ("b", "/drip"))), timeout=0.3
        )
        began = time.monotonic()
        found = shown(await part.collect(NOON, outbound))
    assert time.monotonic() - began < 1.3
    assert found["probe_failure_info/b/timeout"] == 1.0
    assert found["probe_step_success/a"] == 1.0


async def test_a_closed_port_is_reported_as_connect(outbound: Outbound) -> None:
    async with target() as server:
        url = server.url()
    found = shown(await probe(Step(name="a", url=url)).collect(NOON, outbound))
    assert found["probe_failure_info/a/connect"] == 1.0
    assert "probe_http_status_code/a" not in found


async def test_it_tries_again_until_the_service_is_there(outbound: Outbound) -> None:
    async with target(health=answer(b"", status="503 Service Unavailable")) as server:

        class Recovering(dict[str, bytes]):
            def get(self, key: str, default: Any = None) -> Any:
                return answer(b"ok") if len(server.requests) >= 3 else super().get(key, default)

        server.pages = Recovering(server.pages)
        step = Step(name="a", url=server.url("/health"))
        found = shown(await probe(step, attempts=30, attempt_interval=0.0).collect(NOON, outbound))
        assert (found["probe_success"], found["probe_attempts"], len(server.requests)) == (1.0, 3.0, 3)
        server.pages = {"/health": answer(b"", status="503 Service Unavailable")}
        found = shown(await probe(step, attempts=4, attempt_interval=0.0).collect(NOON, outbound))
    assert (found["probe_success"], found["probe_attempts"]) == (0.0, 4.0)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 that lasts ten days from now."""
    file = tmp_path / "cert.pem"
    subprocess.run(
        [
            *(need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(file), "-out", str(tmp_path / "only.pem"), "-days", "10", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + (tmp_path / "only.pem").read_text())
    return file


async def test_the_end_of_the_certificate_is_told_in_days(certificate: Path) -> None:
    made = Target()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
    trusting = Outbound(allow_private=True, verify=ssl.create_default_context(cafile=str(certificate)))
    strict = Outbound(allow_private=True, verify=TRUST)
    try:
        part = probe(Step(name="a", url=url))
        found = shown(await part.collect(datetime.now(UTC), trusting))
        refused = shown(await part.collect(datetime.now(UTC), strict))
    finally:
        await trusting.aclose()
        await strict.aclose()
        server.close()
        await server.wait_closed()
    assert found["probe_success"] == 1.0
    assert 9.9 < found["probe_tls_days_left"] < 10.01
    assert abs(found["probe_ssl_earliest_cert_expiry"] - time.time() - 10 * 86400) < 600
    assert found["probe_http_duration_seconds/a/tls"] > 0
    assert refused["probe_failure_info/a/tls"] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": [{"name": "a", "url": "ftp://x"}]}, "url must be"),
        ({"steps": [{"name": "a", "url": "http://x", "expect_body": "(?=x)"}]}, "no RE2 pattern"),
        ({"steps": [{"name": "a", "url": "http://x"}, {"name": "a", "url": "http://y"}]}, "different names"),
        ({"steps": []}, "at least 1"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HttpProbe(name="x", **options)


async def test_a_password_in_the_address_is_no_label(outbound: Outbound) -> None:
    part = probe(Step(name="a", url="http://user:secret@127.0.0.1:1/x?token=t"))
    assert part.target_labels["instance"] == "http://127.0.0.1:1/x"
    await part.collect(NOON, outbound)
    assert [tick.target for tick in part.stale_ticks(NOON)] == ["http_probe/shop"]
    assert part.stale_ticks(NOON) == []
    await part.close()
