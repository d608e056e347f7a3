"""An agent in another place: ten minutes cut off cost nothing, the order is kept, and only known ones may write."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.certificates import issued, self_made
from support.engines import clock_of, engine
from support.servers import free_port

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.agent import Agent
from watchkeeper.app.api.app import create
from watchkeeper.app.engine import Engine
from watchkeeper.app.paths import DataDir
from watchkeeper.app.pipeline.receive import Received
from watchkeeper.app.quiet_server import quiet_server
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.config import load
from watchkeeper.errors import ConfigError
from watchkeeper.model import Matcher, MatchOp, label
from watchkeeper.outbound import Outbound
from watchkeeper.wire import remote_write, snappy

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEARTBEAT = "watchkeeper_agent_heartbeat_timestamp_seconds"
CUT = timedelta(minutes=10)


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
        self.folder, self.port = folder, free_port()
        issuer = self_made(folder, "issuer.example")
        self.ca, (self.cert, self.key) = issuer[0], issued(folder, "localhost", issuer)
        self.own, self.own_key = issued(folder, "agent.example", issuer)

    def engine_section(self) -> dict[str, Any]:
        tls = {"certificate": str(self.cert), "key": str(self.key), "clients_ca": str(self.ca)}
        return {"listen": f"127.0.0.1:{self.port}", "tls": tls}

    def agent(self, token: str, clock: ManualClock) -> Agent:
        row = {
            "name": "engine", "url": f"https://localhost:{self.port}/api/v1/write", "token": token,
            "ca_file": str(self.ca), "certificate": str(self.own), "key": str(self.own_key),
        }  # fmt: skip
        probe = {"kind": "tcp_probe", "name": "shop", "interval": "15s", "address": f"127.0.0.1:{self.port}"}
        file = self.folder / "agent.yaml"
        file.write_text(
            yaml.safe_dump(
                {
                    "agent": {"name": "sh-1", "location": "shanghai"},
                    "remote_write": [row],
                    "collect": {"host": False, "sources": [probe]},
                }
            )
        )
        return Agent(load(file), DataDir(self.folder / "agent").create(), clock)


def token_for(found: Engine) -> str:
    secret, _ = create_system_token(found.state, "agent", Role.WRITER, now=found.clock.now(), lifetime=timedelta(1))
    return secret


def heard(found: Engine, name: str) -> list[tuple[str, list[int]]]:
    """(place, times) of each series of that name."""
    rows = found.samples.select([Matcher("__name__", MatchOp.EQUAL, name)], 0, 1 << 60)
    return [(label(series, "probe_location"), row.times.tolist()) for row in rows for series in row.series]


def test_ten_minutes_cut_off_cost_no_sample_and_keep_the_order(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with engine(tmp_path, engine=place.engine_section()) as found:
        came: list[int] = []
        take = found.receiving.write

        def noted(packed: bytes, *, second: bool) -> Received:
            came.extend(remote_write.decode(snappy.unpack(packed, 1 << 24), {}).times.tolist())
            return take(packed, second=second)

        found.receiving.write = noted  # type: ignore[method-assign]
        clock = ManualClock(found.clock.now())
        agent = place.agent(token_for(found), clock)
        began = clock.now()
        agent.start()
        asyncio.run(agent.scheduler.advance(clock, began + CUT))
        agent.samples.sync()
        until(lambda: agent.forwarders[0].error)
        clock_of(found).advance(CUT)
        assert agent.forwarders[0].lag > 0
        with listening(found):
            until(lambda: agent.forwarders[0].lag == 0)
            asyncio.run(agent.stop())
        wanted = [to_ms(began) + 15_000 * step for step in range(41)]
        assert heard(found, HEARTBEAT) == [("shanghai", wanted)]
        assert heard(found, "probe_success") == [("shanghai", wanted)]
        assert came == sorted(came)


async def _asked(place: Place, token: str, *, certificate: bool) -> int:
    context = ssl.create_default_context(cafile=place.ca)
    if certificate:
        context.load_cert_chain(place.own, place.own_key)
    outbound = Outbound(allow_private=True, verify=context)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-protobuf", "connection": "close"}
    url = f"https://localhost:{place.port}/api/v1/write"
    try:
        return (await outbound.request("POST", url, headers=headers, content=snappy.compress(b""))).status
    finally:
        await outbound.aclose()


def test_a_token_alone_does_not_write_where_certificates_are_asked_for(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with engine(tmp_path, engine=place.engine_section()) as found:
        token = token_for(found)
        with listening(found):
            assert asyncio.run(_asked(place, token, certificate=False)) == 403
            assert asyncio.run(_asked(place, token, certificate=True)) == 204


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({}, "an agent needs a name"),
        ({"agent": {"name": "a"}}, "an agent needs the engine it sends to"),
        (
            {
                "agent": {"name": "a"},
                "remote_write": [{"name": "e", "url": "http://127.0.0.1:1/"}],
                "collect": {"sources": [{"kind": "syslog", "name": "l", "listen": "127.0.0.1:0"}]},
            },
            "no log lines",
        ),
    ],
)
def test_an_agent_that_cannot_work_says_what_is_missing(tmp_path: Path, sections: dict[str, Any], said: str) -> None:
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(sections))
    with pytest.raises(ConfigError, match=said):
        Agent(load(tmp_path / "agent.yaml"), DataDir(tmp_path / "data").create(), ManualClock(NOON))
