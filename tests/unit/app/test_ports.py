"""A busy port is named, with who holds it, before anything starts; clients of a wildcard use loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from watchkeeper.app.ports import check_free
from watchkeeper.app.wiring import engine_url
from watchkeeper.config.schema import Config
from watchkeeper.errors import ConfigError


def test_a_busy_port_is_named_with_its_holder_and_the_key_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            check_free([("dashboard.listen", "127.0.0.1", 0), ("engine.listen", "127.0.0.1", port)])
    said = str(caught.value)
    assert said.startswith("engine.listen: ")
    assert f"port {port} is taken by " in said
    assert f"(process {os.getpid()})" in said
    assert "name another port" in said


def test_a_port_just_given_back_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        port = given.getsockname()[1]
    check_free([("engine.listen", "127.0.0.1", port)])


def test_an_address_of_another_machine_is_said_to_be_one() -> None:
    with pytest.raises(ConfigError, match=r"engine\.listen: cannot listen on 192\.0\.2\.1:9700"):
        check_free([("engine.listen", "192.0.2.1", 9700)])


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("0.0.0.0:9700", "http://127.0.0.1:9700"),
        ("[::]:9700", "http://[::1]:9700"),
        (":::9700", "http://[::1]:9700"),
        ("10.1.2.3:9700", "http://10.1.2.3:9700"),
        ("[::1]:9700", "http://[::1]:9700"),
    ],
)
def test_clients_of_an_engine_on_every_address_use_loopback(listen: str, url: str) -> None:
    config = Config.model_validate({})
    section = config.engine.model_copy(update={"listen": listen})
    assert engine_url(config.model_copy(update={"engine": section})) == url


def test_up_ends_with_one_sentence_instead_of_starting_children_over_and_over(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "watchkeeper.yaml"
        file.write_text(f"data: {tmp_path}/data\nengine: {{listen: '127.0.0.1:{port}'}}\n")
        command = [sys.executable, "-m", "watchkeeper", "up", "--config", str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"engine.listen: port {port} is taken" in line
    assert not (tmp_path / "data" / "log" / "engine.log").exists()
