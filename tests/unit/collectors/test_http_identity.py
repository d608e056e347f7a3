"""Pages behind TLS of an authority of one's own that ask who reads them, by certificate or by user."""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.certificates import issued, self_made, serving_tls

from collectors.json_http import JsonHttp, JsonMetric
from collectors.kubernetes_api import KubernetesApi
from collectors.openmetrics import Openmetrics
from collectors.scrape_config import ScrapeConfig, targets
from collectors.scrape_discovery import Group
from watchkeeper.app.catalogue import read
from watchkeeper.errors import CollectError, ConfigError
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
USER = f"Basic {b64encode(b'watch:secret').decode()}"


class Page(BaseHTTPRequestHandler):
    """One sample, whose value says whether the user is known."""

    timeout = 0.5

    def do_GET(self) -> None:
        body = f"known {int(self.headers.get('authorization') == USER)}\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests read no access log."""


@dataclass(frozen=True)
class Behind:
    url: str
    ca_file: str
    certificate: str
    key: str
    stranger: str  #: a certificate that nobody signed

    @property
    def files(self) -> dict[str, str]:
        return {"ca_file": self.ca_file, "certificate": self.certificate, "key": self.key}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("tls")
    server, server_key = self_made(folder, "localhost")
    authority = self_made(folder, "clients")
    certificate, key = issued(folder, "watch", authority)
    stranger, stranger_key = self_made(folder, "stranger")
    (folder / "stranger.both").write_text(stranger.read_text() + stranger_key.read_text())
    with serving_tls(server, server_key, clients=authority[0], handler=Page) as url:
        yield Behind(
            url.replace("127.0.0.1", "localhost"),
            str(server),
            str(certificate),
            str(key),
            str(folder / "stranger.both"),
        )


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound(allow_private=True)
    yield made
    await made.aclose()


async def known(outbound: Outbound, url: str, **options: Any) -> float:
    found = await Openmetrics(name="a", url=url, **options).collect(NOON, outbound)
    return float(found.ticks[0].values[0])


async def test_a_page_of_an_authority_of_its_own_is_read_with_our_certificate_and_user(
    behind: Behind, outbound: Outbound, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret\n")
    asked = {"username": "watch", "password_file": str(tmp_path / "password"), **behind.files}
    assert await known(outbound, behind.url, **behind.files) == 0
    assert await known(outbound, behind.url, **asked) == 1


async def test_without_the_authority_or_with_another_certificate_nothing_is_read(
    behind: Behind, outbound: Outbound
) -> None:
    for options in (
        {"certificate": behind.certificate, "key": behind.key},
        {"ca_file": behind.ca_file, "certificate": behind.certificate},  # its key is in another file
        {"ca_file": "/no/such/file"},
    ):
        with pytest.raises(CollectError) as failure:
            await known(outbound, behind.url, **options)
        assert failure.value.reason == "tls", options
    for options in ({}, {"certificate": behind.stranger}):  # told after the handshake, if the end does not come first
        with pytest.raises(CollectError, match=r"(?i)certificate|unknown ca") as failure:
            await known(outbound, behind.url, ca_file=behind.ca_file, **options)
        assert failure.value.reason in ("tls", "protocol")


async def test_a_renewed_certificate_is_taken_up_without_a_restart(
    behind: Behind, outbound: Outbound, tmp_path: Path
) -> None:
    ours, key = tmp_path / "ours.pem", tmp_path / "ours.key"
    options = {"ca_file": behind.ca_file, "certificate": str(ours), "key": str(key)}
    for _ in range(2):
        shutil.copy(behind.stranger, ours)
        shutil.copy(behind.stranger, key)
        with pytest.raises(CollectError):
            await known(outbound, behind.url, **options)
        shutil.copy(behind.certificate, ours)
        shutil.copy(behind.key, key)
        assert await known(outbound, behind.url, **options) == 0


async def test_a_service_and_a_scrape_configuration_of_prometheus_are_read_so_too(
    behind: Behind, outbound: Outbound, tmp_path: Path
) -> None:
    files = ", ".join(f"{name}: {path}" for name, path in behind.files.items())
    row = f"{{name: store, kind: etcd, addresses: ['{behind.url}'], options: {{{files}}}}}"
    (tmp_path / "watchkeeper.yaml").write_text(f"catalogue: {{services: [{row}]}}\n")
    (source,) = read(tmp_path / "watchkeeper.yaml").config.collect.sources
    assert await known(outbound, **source.options) == 0
    config = ScrapeConfig(
        job_name="etcd",
        scheme="https",
        tls_config={"ca_file": behind.ca_file, "cert_file": behind.certificate, "key_file": behind.key},  # type: ignore[arg-type]
        static_configs=[{"targets": [behind.url.removeprefix("https://")]}],  # type: ignore[list-item]
    )
    (target,), wrong = targets(config, config.static_groups(), tmp_path)
    assert wrong == []
    assert await known(outbound, **target.options) == 0


async def test_a_server_may_be_asked_by_another_name_than_its_address(
    behind: Behind, outbound: Outbound, tmp_path: Path
) -> None:
    address = behind.url.replace("localhost", "127.0.0.1")  # a name that is not in its certificate
    with pytest.raises(CollectError, match=r"(?i)certificate|mismatch") as failure:
        await known(outbound, address, **behind.files)
    assert failure.value.reason == "tls"
    named: dict[str, Any] = {**behind.files, "server_name": "localhost"}
    assert await known(outbound, address, **named) == 0
    with pytest.raises(CollectError, match="not JSON"):  # by the other client: it was read
        await JsonHttp(name="j", url=address, metrics=[JsonMetric(name="a", path="a")], **named).collect(NOON, outbound)
    with pytest.raises(CollectError) as failure:
        await known(outbound, behind.url, **{**named, "server_name": "shop.example"})
    assert failure.value.reason == "tls"
    config = ScrapeConfig(job_name="a", scheme="https", tls_config={"server_name": "localhost"})  # type: ignore[arg-type]
    (found,), _ = targets(config, [Group(("10.0.0.5:443",), {})], tmp_path)
    assert found.options["server_name"] == "localhost"


async def test_the_api_of_kubernetes_knows_us_by_a_certificate(behind: Behind) -> None:
    def api(**files: Any) -> KubernetesApi:
        return KubernetesApi(server=behind.url, ca_file=behind.ca_file, **files)

    with pytest.raises(CollectError, match="answer is no JSON"):  # it was let in, and is no Kubernetes
        await api(certificate=behind.certificate, key=behind.key).listed("node")
    with pytest.raises(CollectError) as failure:
        await api().listed("node")
    assert failure.value.reason in ("tls", "protocol")
    with pytest.raises(CollectError, match=r"no-such\.pem cannot be used"):
        await api(certificate="/no-such.pem").listed("node")


def test_what_cannot_be_meant_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="insecure_skip_verify is not offered: name the server's authority"):
        ScrapeConfig(job_name="a", tls_config={"insecure_skip_verify": True})  # type: ignore[arg-type]
    row = "{name: store, kind: etcd, addresses: [10.0.0.5], options: {ca_file: ca.pem}}"
    (tmp_path / "watchkeeper.yaml").write_text(f"catalogue: {{services: [{row}]}}\n")
    with pytest.raises(ConfigError, match="write the address with https:// in front"):
        read(tmp_path / "watchkeeper.yaml")
