"""An engine that listens with mutual TLS, and one agent in another place with its certificates and files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from support.certificates import issued, self_made
from support.servers import free_port

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.agent import Agent
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.paths import DataDir
from watchkeeper.app.quiet_server import quiet_server
from watchkeeper.clock import Clock
from watchkeeper.config import load
from watchkeeper.model import Matcher, MatchOp, label
from watchkeeper.store.logs import Question


def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def listening(found: Engine) -> Iterator[None]:
    """The engine's API on its own address, as its process serves it."""
    section = found.config.engine
    server = quiet_server(create(found), section.listen, section.tls)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield
        until(lambda: not server.server_state.connections)  # no socket is left behind
    finally:
        server.should_exit = True
        thread.join(10)


class Place:
    """Certificates and files of an engine and one agent."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.log = folder, free_port(), folder / "app.log"
        issuer = self_made(folder, "issuer.example")
        self.ca, (self.cert, self.key) = issuer[0], issued(folder, "localhost", issuer)
        self.own, self.own_key = issued(folder, "sh-1", issuer)

    def engine_section(self) -> dict[str, Any]:
        tls = {"certificate": str(self.cert), "key": str(self.key), "clients_ca": str(self.ca)}
        return {"listen": f"127.0.0.1:{self.port}", "tls": tls}

    def agent(self, token: str, clock: Clock) -> Agent:
        return Agent(load(self.file(token)), DataDir(self.folder / "agent").create(), clock)

    def file(self, token: str, *, port: int | None = None, interval: str = "15s") -> Path:
        """The agent's configuration; ``port``: another way to the engine."""
        row = {
            "name": "engine", "url": f"https://localhost:{port or self.port}/api/v1/write", "token": token,
            "ca_file": str(self.ca), "certificate": str(self.own), "key": str(self.own_key),
        }  # fmt: skip
        probe = {"kind": "tcp_probe", "name": "shop", "interval": interval, "address": f"127.0.0.1:{self.port}"}
        lines = {
            "kind": "log_file",
            "name": "app",
            "interval": interval,
            "paths": [str(self.log)],
            "from_beginning": True,
        }
        file = self.folder / "agent.yaml"
        file.write_text(
            yaml.safe_dump(
                {
                    "data": str(self.folder / "agent"),
                    "agent": {"name": "sh-1", "location": "shanghai", "accept": ["tcp_probe"]},
                    "remote_write": [row],
                    "collect": {"host": False, "sources": [probe, lines]},
                }
            )
        )
        return file


def token_for(found: Engine) -> str:
    secret, _ = create_system_token(found.state, "agent", Role.WRITER, now=found.clock.now(), lifetime=timedelta(1))
    return secret


def heard(found: Engine, name: str) -> list[tuple[str, list[int]]]:
    """(place, times) of each series of that name."""
    rows = found.samples.select([Matcher("__name__", MatchOp.EQUAL, name)], 0, 1 << 60)
    return [(label(series, "probe_location"), row.times.tolist()) for row in rows for series in row.series]


def texts(found: Engine) -> list[str]:
    """The lines that the engine has, oldest first."""
    return [line.text for line in reversed(found.lines.store.search(Question(limit=1_000_000)).lines)]
