"""Where engine and actuator meet, who may come, and what the status says of it."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from support.engines import PASSWORD, add_user, engine

from watchkeeper.access.roles import Role
from watchkeeper.app.api.app import create
from watchkeeper.app.paths import DataDir
from watchkeeper.app.wiring import actuator_socket, allowed_uids
from watchkeeper.config.schema import Config
from watchkeeper.errors import ConfigError


def config(**section: object) -> Config:
    return Config.model_validate({"actuator": section})


def test_users_are_named_or_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "root")
    assert allowed_uids(config(allowed_users=[getpass.getuser(), 4711])) == [0, 4711]


def test_a_user_nobody_has_is_named_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"actuator\.allowed_users\.1: this machine has no user 'nobody-has-this'"):
        allowed_uids(config(allowed_users=[1, "nobody-has-this"]))


def test_the_socket_lies_below_the_data_unless_it_is_named(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    assert actuator_socket(config(), data) == data.socket
    assert actuator_socket(config(socket="/run/wk/a.sock"), data) == Path("/run/wk/a.sock")


def test_the_status_says_what_is_seen_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine(tmp_path) as house:
        add_user(house, "mei", Role.VIEWER)
        with TestClient(create(house)) as api:
            session = api.post("/api/wk/login", json={"name": "mei", "password": PASSWORD}).json()["session"]
            api.headers["Authorization"] = f"Session {session}"
            assert api.get("/api/wk/status").json()["separation"] == "unknown"
            monkeypatch.chdir(house.data.actuator)  # the address of a socket is short
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(house.data.socket.name)
                listener.listen()
                assert api.get("/api/wk/status").json()["separation"] == "none"
