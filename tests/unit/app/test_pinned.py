"""Our own clients know the engine by its certificate, by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.certificates import issued, self_made, serving_tls

from dashboard.client import EngineClient, EngineDownError
from dashboard.settings import Settings
from watchkeeper.app.client import Client, ClientError
from watchkeeper.clock import ManualClock
from watchkeeper.errors import ConfigError
from watchkeeper.pinned import pinned

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def asked_by_dashboard(url: str, certificate: Path) -> object:
    engine = EngineClient(Settings(engine_url=url, engine_ca_file=certificate), ManualClock(NOON))
    try:
        return await engine.call("GET", "/api/wk/setup")
    finally:
        await engine.aclose()


async def test_a_self_made_certificate_that_names_another_host_is_reached_by_loopback(tmp_path: Path) -> None:
    cert, key = self_made(tmp_path)
    with serving_tls(cert, key) as url:
        assert Client(url, "token", str(cert)).get("/api/wk/setup") == {"needed": False}
        assert await asked_by_dashboard(url, cert) == {"needed": False}


async def test_another_certificate_is_refused_by_both(tmp_path: Path) -> None:
    ours, theirs = self_made(tmp_path), self_made(tmp_path, "other.example")
    with serving_tls(*theirs) as url:
        with pytest.raises(ClientError, match="CERTIFICATE_VERIFY_FAILED"):
            Client(url, "token", str(ours[0])).get("/api/wk/setup")
        with pytest.raises(EngineDownError, match="CERTIFICATE_VERIFY_FAILED"):
            await asked_by_dashboard(url, ours[0])


async def test_the_issuer_in_the_same_file_vouches_for_nobody_else(tmp_path: Path) -> None:
    issuer = self_made(tmp_path, "issuer.example")
    ours, theirs = issued(tmp_path, "ours.example", issuer), issued(tmp_path, "theirs.example", issuer)
    with serving_tls(*ours) as url:
        assert await asked_by_dashboard(url, ours[0]) == {"needed": False}
    with serving_tls(*theirs) as url, pytest.raises(EngineDownError, match="CERTIFICATE_VERIFY_FAILED"):
        await asked_by_dashboard(url, ours[0])


@pytest.mark.parametrize("text", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----"])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "cert.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=r"cert\.pem"):
        pinned(file)
