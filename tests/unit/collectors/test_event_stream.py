"""A real Redis Stream: every event once, whatever dies when, and the lag as the server counts it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.servers import Running, redis, redis_cli

from collectors.event_stream import EventStream
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

pytestmark = pytest.mark.servers
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
NOBODY = Outbound(allow_private=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with redis(tmp_path) as found:
        yield found


def stream(server: Running, **options: Any) -> EventStream:
    return EventStream(name="n", address=f"127.0.0.1:{server.port}", stream="orders", **options)


def add(server: Running, first: int, count: int) -> None:
    for number in range(first, first + count):
        redis_cli(server.port, "xadd", "orders", f"{MS + number}-0", "nr", str(number))


def texts(found: Collected) -> list[str]:
    return [text for batch in found.logs for text in batch.texts()]


def value(found: Collected, name: str) -> float:
    (tick,) = found.ticks
    names = [dict(one)["__name__"] for one in tick.layout.series]
    return float(tick.values[names.index(name)])


async def test_events_come_in_order_once_and_the_lag_is_the_servers(server: Running) -> None:
    add(server, 0, 5)
    part = stream(server, batch=3)
    first = await part.collect(NOW, NOBODY)
    assert texts(first) == ['{"nr": "0"}', '{"nr": "1"}', '{"nr": "2"}']
    assert [batch.times.tolist() for batch in first.logs] == [[MS, MS + 1, MS + 2]]
    said = redis_cli(server.port, "xinfo", "groups", "orders").split()
    assert value(first, "watchkeeper_stream_lag") == float(said[said.index("lag") + 1]) == 2
    second = await part.collect(NOW, NOBODY)
    assert texts(second) == ['{"nr": "3"}', '{"nr": "4"}']
    assert value(second, "watchkeeper_stream_lag") == 0
    third = await part.collect(NOW, NOBODY)
    assert texts(third) == []
    assert redis_cli(server.port, "xpending", "orders", "watchkeeper").split()[0] == "0"


async def test_what_was_kept_before_a_crash_does_not_come_twice_and_what_was_not_comes_again(server: Running) -> None:
    add(server, 0, 4)
    first = stream(server, batch=2)
    await first.collect(NOW, NOBODY)
    kept = first.position()
    assert texts(await first.collect(NOW, NOBODY)) == ['{"nr": "2"}', '{"nr": "3"}']  # and the process dies here
    second = stream(server)
    second.restore(kept)
    again = await second.collect(NOW, NOBODY)
    assert texts(again) == ['{"nr": "2"}', '{"nr": "3"}']
    third = stream(server)  # the position was kept, the acknowledgement was not sent
    third.restore(second.position())
    found = await third.collect(NOW, NOBODY)
    assert texts(found) == []
    assert value(found, "watchkeeper_stream_repeated_total") == 2
    assert value(found, "watchkeeper_stream_lag") == 0


async def test_events_keep_their_own_time_and_late_ones_are_counted(server: Running) -> None:
    stated = ("2026-11-22T11:59:00Z", "2026-11-22T11:00:00+00:00", str(MS / 1000), "soon")
    for at, word in zip(stated, "abcd", strict=True):
        redis_cli(server.port, "xadd", "orders", f"{MS + ord(word)}-0", "at", at, "word", word)
    found = await stream(server, time_field="at", text_field="word").collect(NOW, NOBODY)
    assert texts(found) == ["a", "b", "c", "d"]
    assert found.logs[0].times.tolist() == [MS - 60_000, MS - 3_600_000, MS, MS + ord("d")]
    assert value(found, "watchkeeper_stream_late_total") == 1
    assert value(found, "watchkeeper_stream_untimed_total") == 1


async def test_a_reading_that_fails_half_way_loses_nothing(server: Running) -> None:
    add(server, 0, 2)
    part = stream(server, max_bytes=400)
    redis_cli(server.port, "xadd", "orders", f"{MS + 5}-0", "nr", "x" * 400)
    with pytest.raises(CollectError, match="larger than max_bytes"):
        await part.collect(NOW, NOBODY)
    part.max_bytes = 1 << 20
    assert [len(text) for text in texts(await part.collect(NOW, NOBODY))] == [11, 11, 410]


async def test_a_key_that_is_no_stream_is_told(server: Running) -> None:
    redis_cli(server.port, "set", "orders", "1")
    with pytest.raises(CollectError, match="WRONGTYPE"):
        await stream(server).collect(NOW, NOBODY)
