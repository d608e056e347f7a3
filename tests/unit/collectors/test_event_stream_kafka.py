"""Kafka by a contract double of a broker: every event once, over partitions and crashes, and the lag by its offsets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from support.kafka_double import SPOKEN, Broker, broker

from collectors.event_stream import EventStream
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
NOBODY = Outbound(allow_private=True)


def stream(server: Broker, **options: Any) -> EventStream:
    address = f"127.0.0.1:{server.port}"
    return EventStream(**{"name": "n", "protocol": "kafka", "address": address, "stream": "orders", **options})


def texts(found: Collected) -> list[str]:
    return [text for batch in found.logs for text in batch.texts()]


def value(found: Collected, name: str) -> float:
    (tick,) = found.ticks
    names = [dict(one)["__name__"] for one in tick.layout.series]
    return float(tick.values[names.index(name)])


def two_partitions(server: Broker) -> None:
    server.topics["orders"] = {
        0: [(MS + 10 * number, b"a%d" % number) for number in range(3)],
        1: [(MS + 10 * number + 5, b"b%d" % number) for number in range(3)],
    }


async def test_events_of_all_partitions_come_once_in_the_order_of_their_times() -> None:
    async with broker() as server:
        two_partitions(server)
        part = stream(server)
        found = await part.collect(NOW, NOBODY)
        assert texts(found) == ["a0", "b0", "a1", "b1", "a2", "b2"]
        assert value(found, "watchkeeper_stream_lag") == 0
        assert server.committed == {}  # its lines are not kept yet
        server.topics["orders"][1].append((MS, b"b3"))
        assert texts(await part.collect(NOW, NOBODY)) == ["b3"]
        assert server.committed == {("watchkeeper", "orders", 0): 3, ("watchkeeper", "orders", 1): 3}
        assert texts(await part.collect(NOW, NOBODY)) == []


async def test_what_was_kept_before_a_crash_does_not_come_twice_and_what_was_not_comes_again() -> None:
    async with broker() as server:
        server.topics["orders"] = {0: [(MS, b"%d" % number) for number in range(250)]}
        first = stream(server, batch=100)
        found = await first.collect(NOW, NOBODY)
        assert (len(texts(found)), value(found, "watchkeeper_stream_lag")) == (100, 150)
        kept = first.position()
        await first.collect(NOW, NOBODY)  # and the process dies here
        second = stream(server)
        second.restore(kept)
        assert texts(await second.collect(NOW, NOBODY)) == [str(number) for number in range(100, 250)]
        third = stream(server)  # whose position is lost goes on where the group was
        assert len(texts(await third.collect(NOW, NOBODY))) == 150


async def test_offsets_that_retention_took_away_are_passed_over() -> None:
    async with broker() as server:
        server.topics["orders"] = {0: [(MS, b"7")]}
        server.begins["orders", 0] = 7
        part = stream(server)
        part.restore({"protocol": "kafka", "stream": "orders", "group": "watchkeeper", "next": {"0": 2}})
        assert texts(await part.collect(NOW, NOBODY)) == ["7"]


async def test_events_state_their_own_time_and_late_ones_are_counted() -> None:
    async with broker() as server:
        server.topics["orders"] = {0: [(MS, b'{"at": "2026-11-22T11:00:00Z", "w": "late"}'), (MS - 700_000, b"x")]}
        found = await stream(server, time_field="at", text_field="w").collect(NOW, NOBODY)
        assert sorted(texts(found)) == ["late", "x"]
        assert value(found, "watchkeeper_stream_late_total") == 2
        assert value(found, "watchkeeper_stream_untimed_total") == 1


async def test_a_topic_that_is_not_there_is_told() -> None:
    async with broker() as server:
        with pytest.raises(CollectError, match="there is no topic 'orders'"):
            await stream(server).collect(NOW, NOBODY)


async def test_nobody_there_is_told() -> None:
    async with broker() as server:
        port = server.port
    with pytest.raises(CollectError) as failure:
        await EventStream(
            name="n", protocol="kafka", address=f"127.0.0.1:{port}", stream="orders", timeout=3.0
        ).collect(NOW, NOBODY)
    assert failure.value.reason in ("connect", "timeout")


async def test_what_the_client_library_cancels_in_itself_does_not_cancel_the_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by changed answers: its goodbye waits for tasks that it has just cancelled."""
    from aiokafka import AIOKafkaConsumer

    whole = AIOKafkaConsumer.stop

    async def stop(self: Any) -> None:
        await whole(self)
        raise asyncio.CancelledError

    monkeypatch.setattr(AIOKafkaConsumer, "stop", stop)
    async with broker() as server:
        two_partitions(server)
        with pytest.raises(CollectError, match="there is no topic 'other'"):
            await stream(server, stream="other").collect(NOW, NOBODY)


async def test_a_broker_that_speaks_only_what_nobody_knows_yet_is_told() -> None:
    """Found by changed answers: the client library calls such versions not implemented."""
    async with broker() as server:
        two_partitions(server)
        server.answers[18] = lambda _: (0, [(key, 49, 49) for key in SPOKEN])
        with pytest.raises(CollectError) as failure:
            await stream(server).collect(NOW, NOBODY)
    assert failure.value.reason == "protocol"
