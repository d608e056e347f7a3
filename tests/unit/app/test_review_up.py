"""The whole product behind a self-made certificate, and the parent's manners."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.agents import until
from support.up import base_config

from watchkeeper.app.client import Client, ClientError
from watchkeeper.app.paths import DataDir
from watchkeeper.app.up import Greeting


def certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def answer(url: str, context: ssl.SSLContext, process: subprocess.Popen[bytes], seconds: float = 60.0) -> bytes:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as response:
                body: bytes = response.read()
                return body
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, "it ended"
            assert time.monotonic() < deadline, f"{url} did not answer"
            time.sleep(0.1)


def test_engine_dashboard_and_command_line_speak_tls_with_a_self_made_certificate(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    config = base_config(tmp_path, collect={"host": False, "own_logs": False})
    tls = {"certificate": str(cert), "key": str(key)}
    config["engine"]["tls"] = config["dashboard"]["tls"] = tls
    file = tmp_path / "watchkeeper.yaml"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "watchkeeper", "up", "--config", str(file)]
    context = ssl.create_default_context(cafile=str(cert))
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        assert b"ready" in answer(f"https://{config['engine']['listen']}/-/ready", context, process)
        # the sign-in page asks the engine, so it proves the dashboard's own way there
        assert b"html" in answer(f"https://{config['dashboard']['listen']}/login", context, process)
        until(DataDir(Path(config["data"])).engine_ready.exists)  # it answers a moment before it says where
        client = Client.of(Path(config["data"]))
        assert client.get("/api/wk/status")["version"]
        stranger = Client(client.url, "token")
        with pytest.raises(ClientError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get("/api/wk/status")
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_a_greeting_survives_an_engine_that_dies_while_it_is_greeted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = DataDir(tmp_path / "data").create()
    data.engine_ready.write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 1}))

    def answers(_url: str) -> bool:
        data.engine_ready.unlink()
        return True

    monkeypatch.setattr("watchkeeper.app.up._answers", answers)
    greeting = Greeting(data, "http://127.0.0.1:2")
    greeting.try_to_say()
    assert not greeting.said
    assert capsys.readouterr().out == ""
