"""Which sample store the configuration asks for, and how its server is spoken to."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml
from support.certificates import self_made
from support.samples import NOON, layout, tick
from support.servers import free_port, listens, need, start

from watchkeeper.app.paths import DataDir
from watchkeeper.app.samples import address, open_samples
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.config import Loaded, load
from watchkeeper.errors import ConfigError
from watchkeeper.model import Matcher
from watchkeeper.model.series import MatchOp
from watchkeeper.store.samples import EmbeddedStore
from watchkeeper.store.samples.remote import RemoteStore


def loaded(folder: Path, **samples: object) -> Loaded:
    file = folder / "watchkeeper.yaml"
    file.write_text(yaml.safe_dump({"store": {"samples": samples}}))
    return load(file, environment={"TOKEN": "abc"})


#: bcrypt of "test", as Prometheus's documentation of basic authentication has it.
HASHED = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"


def test_without_a_url_samples_stay_here(tmp_path: Path) -> None:
    store = open_samples(loaded(tmp_path), DataDir(tmp_path / "data").create(), ManualClock(NOON))
    assert isinstance(store, EmbeddedStore)
    store.close()


def test_secrets_come_from_the_environment_and_from_files_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    for options, wanted in (
        ({"token": "${TOKEN}"}, "Bearer abc"),
        ({"username": "ada", "password_file": "password"}, "Basic " + base64.b64encode(b"ada:s3cret").decode()),
    ):
        found = loaded(tmp_path, url="https://server", headers={"X-Scope-OrgID": "${TOKEN}"}, **options)
        made = address(found.config.store.samples, tmp_path)
        assert made.headers == {"X-Scope-OrgID": "abc", "authorization": wanted}
        assert made.writes == "https://server/api/v1/write"
        assert "abc" not in repr(found.config.store) + repr(made)
        assert "s3cret" not in repr(found.config.store) + repr(made)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "prometheus:9090"}, "begins with http"),
        ({"url": "http://a", "token": "t", "username": "u"}, "not both"),
        ({"url": "http://a", "tls": {"certificate": "a.pem"}}, "belong together"),
        ({"url": "http://a", "spool_bytes": 5}, "greater than or equal"),
    ],
)
def test_a_mistake_in_the_section_is_told_with_its_place(
    options: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        loaded(tmp_path, **options)
    assert "store.samples" in str(error.value)


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = loaded(tmp_path, url="https://a", tls={"ca": "none.pem"})
    with pytest.raises(ConfigError, match=r"store\.samples\.tls"):
        address(found.config.store.samples, tmp_path)


@pytest.mark.servers
def test_a_real_prometheus_behind_tls_and_a_password_is_written_and_read(tmp_path: Path) -> None:
    cert, key = self_made(tmp_path, "localhost")
    web = {
        "tls_server_config": {"cert_file": str(cert), "key_file": str(key)},
        "basic_auth_users": {"watchkeeper": HASHED},
    }
    (tmp_path / "web.yml").write_text(yaml.safe_dump(web))
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    argv = [
        need("prometheus"), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={tmp_path}/web.yml",
        "--web.enable-remote-write-receiver",
    ]  # fmt: skip
    with start(argv, lambda: listens(port), cwd=tmp_path):
        options = {
            "url": f"https://localhost:{port}",
            "username": "watchkeeper",
            "password": "test",
            "tls": {"ca": cert.name},
        }
        store = open_samples(loaded(tmp_path, **options), DataDir(tmp_path / "data").create(), ManualClock(NOON))
        assert isinstance(store, RemoteStore)
        try:
            store.append(tick(NOON, layout("kept"), [7.0]))
            assert store.deliver(20.0), store.stats()
            data = store.query("/api/v1/query", [("query", "kept"), ("time", str(to_ms(NOON) / 1000))])
            assert data["result"][0]["value"][1] == "7"
        finally:
            store.close()


def test_who_writes_alone_is_answered_from_here_while_the_server_is_away(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    store = open_samples(loaded(tmp_path, url=away, alone=True), DataDir(tmp_path / "data").create(), ManualClock(NOON))
    try:
        store.append(tick(NOON, layout("kept"), [7.0]))
        wanted = [Matcher("__name__", MatchOp.EQUAL, "kept")]
        (found,) = store.select(wanted, to_ms(NOON), to_ms(NOON))
        assert found.values.tolist() == [[7.0]]
        assert len(store.series(wanted, to_ms(NOON), to_ms(NOON))) == 1
    finally:
        store.close()
