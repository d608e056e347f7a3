"""The memcached collector against a real server: its figures are those of the server's own console."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.kinds import of_service, unseen, values
from support.raw_target import misbehaving
from support.servers import Running, memcached

from collectors.memcached import METRICS, Memcached
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = Outbound(allow_private=True)
#: These move by the very reading.
MOVING = {
    *("uptime", "time", "total_connections", "bytes_read", "bytes_written", "rusage_user", "rusage_system"),
    "curr_connections",
}


def said(server: Running, *commands: str) -> str:
    """What the server answers, until it is told to go."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
        one.sendall("".join(f"{command}\r\n" for command in (*commands, "quit")).encode())
        return b"".join(iter(lambda: one.recv(65_536), b"")).decode()


@pytest.mark.servers
async def test_the_figures_equal_those_of_the_console(tmp_path: Path) -> None:
    with memcached(tmp_path) as server:
        said(server, "set a 0 0 3\r\nabc", "get a", "get a", "get nothing", "delete a", "touch b 1", "incr c 1")
        part = Memcached(name="cache", address=f"127.0.0.1:{server.port}")
        got = values((await part.collect(NOON, NOBODY)).ticks)
        told = {line.split()[1]: line.split()[2] for line in said(server, "stats").splitlines() if "STAT" in line}
        still = {name: metric for name, metric in METRICS.items() if name in told and name not in MOVING}
        assert len(still) >= 10
        assert {metric: got[(metric,)] for metric in still.values()} == {
            metric: float(told[name]) for name, metric in still.items()
        }
        for name in MOVING:
            assert abs(got[(METRICS[name],)] - float(told[name])) <= max(20.0, 6000.0 if "bytes" in name else 3.0), name
        assert got[("memcached_max_connections",)] == 321
        assert got[("memcached_limit_bytes",)] == 16 << 20
        rows = values((await part.collect(NOON, NOBODY)).ticks, "command", "status")
        wanted = {("get", "hit"): 2, ("get", "miss"): 1, ("set", "hit"): 1, ("delete", "hit"): 1, ("incr", "miss"): 1}
        assert {key: rows["memcached_commands_total", *key] for key in wanted} == wanted
        assert unseen("memcached", await of_service(tmp_path, "memcached", f"127.0.0.1:{server.port}")) == set()


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"ERROR\r\n", "protocol"),
        (b"STAT uptime soon\r\nEND\r\nEND\r\n", "protocol"),
        (b"STAT a 1\r\n" * 3000, "protocol"),
        (b"STAT uptime 3\r\nEN", "protocol"),
    ],
)
async def test_what_is_no_answer_is_told(first: bytes, reason: str) -> None:
    async with misbehaving("silent", first) as raw:
        with pytest.raises(CollectError) as failure:
            await Memcached(name="c", address=raw.address).collect(NOON, NOBODY)
        assert failure.value.reason == reason
        await asyncio.sleep(0)
