"""A real JetStream: every message once, whatever dies when, and the lag as the server counts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.queue_servers import nats
from support.servers import Running

from collectors.event_stream import EventStream
from collectors.stream_nats import _connected
from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

pytestmark = pytest.mark.servers
NOBODY = Outbound(allow_private=True)


async def _quiet(_error: Exception) -> None:
    """The test kills the server on purpose."""


@asynccontextmanager
async def jetstream(folder: Path) -> AsyncIterator[tuple[Any, int, Running]]:
    import nats as client

    server, port = nats(folder)
    with server:
        connection = await client.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False, error_cb=_quiet)
        context = connection.jetstream()
        await context.add_stream(name="ORDERS", subjects=["orders.*"])
        try:
            yield context, port, server
        finally:
            await connection.close()


def stream(port: int, **options: Any) -> EventStream:
    return EventStream(name="n", protocol="nats", address=f"127.0.0.1:{port}", stream="ORDERS", **options)


def texts(found: Collected) -> list[str]:
    return [text for batch in found.logs for text in batch.texts()]


def value(found: Collected, name: str) -> float:
    (tick,) = found.ticks
    names = [dict(one)["__name__"] for one in tick.layout.series]
    return float(tick.values[names.index(name)])


async def put(context: Any, *bodies: str) -> None:
    for body in bodies:
        await context.publish("orders.new", body.encode())


async def test_messages_come_in_order_once_and_what_was_not_kept_comes_again(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with jetstream(tmp_path) as (context, port, _):
        await put(context, *"abcde")
        first = stream(port, batch=2)
        found = await first.collect(now, NOBODY)
        assert texts(found) == ["a", "b"]
        assert abs(found.logs[0].times[0] / 1000 - now.timestamp()) < 60
        info = await context.consumer_info("ORDERS", "watchkeeper")
        assert value(found, "watchkeeper_stream_lag") == info.num_pending == 3
        kept = first.position()
        assert texts(await first.collect(now, NOBODY)) == ["c", "d"]  # and the process dies here
        info = await context.consumer_info("ORDERS", "watchkeeper")
        assert info.ack_floor.stream_seq == 2  # a and b were acknowledged, c and d were not
        await put(context, "f")
        second = stream(port)
        second.restore(kept)
        found = await second.collect(now, NOBODY)
        assert texts(found) == ["c", "d", "e", "f"]
        assert value(found, "watchkeeper_stream_lag") == 0
        assert texts(await second.collect(now, NOBODY)) == []
        info = await context.consumer_info("ORDERS", "watchkeeper")
        assert (info.ack_floor.stream_seq, info.num_ack_pending) == (6, 0)
        third = stream(port)  # whose position is lost: what was acknowledged does not come again
        await put(context, "g")
        assert texts(await third.collect(now, NOBODY)) == ["g"]


async def test_messages_state_their_own_time_and_late_ones_are_counted(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with jetstream(tmp_path) as (context, port, _):
        late = now - timedelta(hours=1)
        await put(context, f'{{"at": "{late.isoformat()}", "word": "late"}}', '{"at": "soon", "word": "x"}', "no JSON")
        found = await stream(port, time_field="at", text_field="word").collect(now, NOBODY)
        assert texts(found) == ["late", "x", "no JSON"]
        assert found.logs[0].times[0] == round(late.timestamp() * 1000)
        assert value(found, "watchkeeper_stream_late_total") == 1
        assert value(found, "watchkeeper_stream_untimed_total") == 2


async def test_a_server_that_starts_anew_loses_and_doubles_nothing(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with jetstream(tmp_path) as (context, port, server):
        part = stream(port)
        await put(context, "a", "b")
        assert texts(await part.collect(now, NOBODY)) == ["a", "b"]
        server.kill()
        with pytest.raises(CollectError) as failure:
            await part.collect(now, NOBODY)
        assert failure.value.reason == "connect"
        again, _ = nats(tmp_path, port)
        with again:
            import nats as client

            connection = await client.connect(f"nats://127.0.0.1:{port}")
            await put(connection.jetstream(), "c")
            await connection.close()
            assert texts(await part.collect(now, NOBODY)) == ["c"]


async def test_a_stream_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with jetstream(tmp_path) as (_, port, _):
        part = EventStream(name="n", protocol="nats", address=f"127.0.0.1:{port}", stream="NONE")
        with pytest.raises(CollectError, match="there is no stream 'NONE'"):
            await part.collect(datetime.now(UTC), NOBODY)


@pytest.mark.parametrize("nanoseconds", ["9" * 30, "x", "-1e9"])
async def test_a_message_of_no_time_that_there_is_is_no_crash(tmp_path: Path, nanoseconds: str) -> None:
    from nats.aio.msg import Msg

    async with jetstream(tmp_path) as (_, port, _):
        with pytest.raises(CollectError, match="does not speak NATS's protocol"):
            async with _connected(stream(port)._place()) as client:
                Msg(client, reply=f"$JS.ACK.ORDERS.ours.1.1.1.{nanoseconds}.0").metadata  # noqa: B018
