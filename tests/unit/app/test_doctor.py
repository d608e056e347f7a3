"""Doctor: each thing that usually goes wrong is found by name, and a healthy house has no failing line."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from support.up import free_port
from typer.testing import CliRunner

from watchkeeper.app import doctor
from watchkeeper.app.cli import app
from watchkeeper.app.doctor import Finding, examine
from watchkeeper.app.paths import DataDir

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "watchkeeper.yaml"
    content = {
        "data": str(tmp_path / "data"),
        "engine": {"listen": f"127.0.0.1:{free_port()}"},
        "dashboard": {"listen": f"127.0.0.1:{free_port()}"},
    }
    file.write_text(yaml.safe_dump(content))
    return file


def findings(config: Path) -> dict[str, Finding]:
    return {found.name: found for found in examine(config)}


@pytest.fixture
def engine(config: Path) -> Iterator[dict[str, Any]]:
    """A running engine as the doctor sees it; the test says what it answers."""
    answers: dict[str, Any] = {
        "/api/wk/status": {"version": "1.2.3", "loop_lag_seconds": 0.002},
        "/api/wk/collectors": {"collectors": [{"name": "web", "state": "up", "error": ""}]},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path in answers
            body = json.dumps(answers.get(self.path, {"error": "gone"})).encode()
            self.send_response(200 if found else 500)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        data = DataDir(Path(yaml.safe_load(config.read_text())["data"])).create()
        data.engine_ready.write_text(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}))
        data.cli_token.write_text("t")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()


def test_a_healthy_house_before_its_first_start(config: Path) -> None:
    found = findings(config)
    assert [finding for finding in found.values() if not finding.ok] == []
    assert list(found) == [
        *("configuration", "python", "disk space", "data directory", "engine"),
        *("engine address", "dashboard address", "clock"),
    ]
    assert "no engine is running" in found["engine"].detail
    assert found["configuration"].detail == str(config)


def test_a_mistake_in_the_configuration_is_the_only_thing_said(config: Path) -> None:
    config.write_text("collect:\n  intervall: 5s\n")
    (only,) = examine(config)
    assert (only.name, only.ok) == ("configuration", False)
    assert "watchkeeper.yaml:2" in only.detail
    assert "did you mean 'interval'" in only.detail


def test_without_a_file_the_defaults_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATCHKEEPER_CONFIG", raising=False)
    monkeypatch.setenv("WATCHKEEPER_DATA", str(tmp_path / "data"))
    assert examine(None)[0] == Finding("configuration", ok=True, detail="built-in defaults: this host is watched")


def test_too_little_space_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: Usage(1, 1, doctor.MIN_FREE_BYTES - 1))
    found = findings(config)["disk space"]
    assert not found.ok
    assert found.detail.startswith("0.5 GiB free for ")


def test_a_directory_that_cannot_be_written_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    found = findings(config)["data directory"]
    assert not found.ok
    assert "cannot be written by this user" in found.detail


def test_an_old_python_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert findings(config)["python"] == Finding("python", ok=False, detail="3.10.4 (3.11 or newer is needed)")


def test_an_address_that_somebody_else_has_is_found(config: Path) -> None:
    address = yaml.safe_load(config.read_text())["dashboard"]["listen"]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        found = findings(config)
    assert not found["dashboard address"].ok
    assert found["dashboard address"].detail == f"{address} is taken by another program"
    assert found["engine address"].ok


def test_a_running_engine_is_asked(config: Path, engine: dict[str, Any]) -> None:
    found = findings(config)
    assert found["engine"].detail == "version 1.2.3 is running"
    assert found["collectors"] == Finding("collectors", ok=True, detail="1 sources, all reading")
    assert found["event loop"] == Finding("event loop", ok=True, detail="2 ms late")
    assert "engine address" not in found, "it is the engine that has it"


def test_failing_sources_and_a_late_loop_are_found(config: Path, engine: dict[str, Any]) -> None:
    engine["/api/wk/collectors"]["collectors"].append({"name": "db", "state": "failing", "error": "timeout: no answer"})
    engine["/api/wk/status"]["loop_lag_seconds"] = 1.5
    found = findings(config)
    assert (found["collectors"].ok, found["collectors"].detail) == (False, "failing: db (timeout: no answer)")
    assert (found["event loop"].ok, found["event loop"].detail) == (False, "1500 ms late")


def test_an_engine_that_answers_half_is_no_crash_of_the_doctor(config: Path, engine: dict[str, Any]) -> None:
    del engine["/api/wk/collectors"]
    assert "gone" in findings(config)["engine"].detail


def test_the_commands_exit_code_says_whether_something_is_wrong(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner().invoke
    good = run(app, ["doctor", "-c", str(config)])
    assert good.exit_code == 0, good.output
    assert "FAIL" not in good.output
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: Usage(1, 1, 0))
    bad = run(app, ["doctor", "-c", str(config)])
    assert bad.exit_code == 1
    assert "FAIL  disk space" in bad.output
