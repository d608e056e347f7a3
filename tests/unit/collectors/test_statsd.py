"""StatsD over real sockets: what comes in is what is read, and what is wrong is counted."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.statsd import Statsd
from collectors.statsd_line import parse
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Listening = Callable[..., Awaitable[Statsd]]
NOBODY = Outbound(allow_private=True)


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    made: list[Statsd] = []

    async def start(**options: Any) -> Statsd:
        made.append(Statsd(name="n", listen="127.0.0.1:0", **options))
        await made[-1].collect(NOON, NOBODY)
        return made[-1]

    yield start
    for one in made:
        await one.close()


async def read(part: Statsd, lines: int) -> tuple[dict[str, float], Collected]:
    """What it says once so many lines have come: name and own labels -> value."""
    async with asyncio.timeout(5):
        while part._lines < lines:
            await asyncio.sleep(0.005)
    found = await part.collect(NOON, NOBODY)
    rows = {}
    for tick in found.ticks:
        for series, value in zip(tick.layout.series, tick.values.tolist(), strict=True):
            own = {key: word for key, word in series if key not in ("job", "instance", "__name__")}
            rows[dict(series)["__name__"] + "".join(f" {key}={word}" for key, word in own.items())] = value
    return rows, found


def send(part: Statsd, *packets: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet.encode(), ("127.0.0.1", part.port))


async def test_counters_gauges_timers_and_sets_over_udp(listening: Listening) -> None:
    part = await listening()
    send(part, "hits:1|c\nhits:2|c|@0.5\ncpu.load:3|g", "cpu.load:-1|g", "users:ann|s\nusers:bob|s\nusers:ann|s")
    send(part, *(f"api.time:{value}|ms|#route:/pay,env:PROD" for value in (100, 200, 300, 400)))
    rows, found = await read(part, 11)
    time = "env=PROD {}route=/pay"
    assert (rows["hits"], rows["cpu_load"], rows["users"]) == (5.0, 2.0, 2.0)
    assert rows[f"api_time_count {time.format('')}"] == 4.0
    assert rows[f"api_time_sum {time.format('')}"] == pytest.approx(1.0)
    assert rows[f"api_time {time.format('quantile=0.5 ')}"] == pytest.approx(0.2)
    assert rows[f"api_time {time.format('quantile=0.99 ')}"] == pytest.approx(0.4)
    assert found.rejected == {}
    again, _ = await read(part, 11)
    assert (again["hits"], again["users"]) == (5.0, 0.0)
    assert math.isnan(again[f"api_time {time.format('quantile=0.5 ')}"])


async def test_timers_are_histograms_where_buckets_are_given(listening: Listening) -> None:
    part = await listening(buckets=[0.1, 0.5])
    send(part, "t:50|ms", "t:100|ms", "t:300|ms|@0.5", "t:2000|ms")
    rows, _ = await read(part, 4)
    assert [rows[f"t_bucket le={edge}"] for edge in ("0.1", "0.5", "+Inf")] == [2.0, 4.0, 5.0]
    assert rows["t_count"] == 5.0
    assert rows["t_sum"] == pytest.approx(2.75)


async def test_lines_over_tcp_come_whole_however_they_are_cut(listening: Listening) -> None:
    part = await listening()
    _, writer = await asyncio.open_connection("127.0.0.1", part.port)
    for piece in (b"hi", b"ts:1|c\nhits,host=a:", b"2|c\n"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    rows, _ = await read(part, 2)
    writer.close()
    assert (rows["hits"], rows["hits host=a"]) == (1.0, 2.0)


async def test_what_is_wrong_is_counted_and_the_rest_is_taken(listening: Listening) -> None:
    part = await listening(sample_limit=2)
    send(part, "a:1|c\nnonsense\na:x|c\na:-1|c\na:1|c|@0\na:1|g\nb:1|c\nc:1|c\na:1|c\n_e{1,1}:t|x")
    rows, found = await read(part, 9)
    assert rows["a"] == 2.0
    assert found.rejected["parse"] == 4
    assert found.rejected["type"] == 1
    assert found.rejected["sample_limit"] >= 1


async def test_only_allowed_networks_may_send(listening: Listening) -> None:
    part = await listening(allow=["10.0.0.0/8"])
    send(part, "a:1|c")
    reader, writer = await asyncio.open_connection("127.0.0.1", part.port)
    assert await reader.read() == b""
    writer.close()
    async with asyncio.timeout(5):
        while part._refused["refused_address"] < 2:
            await asyncio.sleep(0.005)
    rows, found = await read(part, 0)
    assert "a" not in rows
    assert found.rejected == {"refused_address": 2}


async def test_a_port_that_is_taken_is_told_with_its_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CollectError, match=f"cannot listen on {where}"):
            await Statsd(name="n", listen=where).collect(NOON, NOBODY)


def test_dogstatsd_packs_several_values_into_a_line() -> None:
    assert [event.value for event in parse("t:1:2:3|h|#a:b")] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("line", ["", ":", "a:1", "a|c", "a:1|x", "a:|c", "a:nan|g", "a:inf|g", "a:1_0|c", ":1|c"])
def test_what_is_no_statsd_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"name|value|rate|float|tags"):
        parse(line)
