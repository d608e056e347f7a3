"""A topic of Kafka, all its partitions; how far each was read is kept by us and told to the group for others to see."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import CollectError

from .kafka_wire import bound_answers
from .stream import AT_ONCE, Event, Place, Read, payload

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.structs import ConsumerRecord

#: Milliseconds after which a partition that says nothing has nothing to say.
QUIET_MS = 500
#: Seconds a broker has to say goodbye.
GOODBYE = 1.0
#: What the client library raises over bytes that are no answer; versions that nobody has are "not implemented".
UNREADABLE = (ValueError, TypeError, LookupError, AssertionError, NotImplementedError, struct.error)
#: Bytes of one answer of a broker.
MOST_FETCHED = 8 << 20


class KafkaTopic:
    """Partitions are assigned, not shared: one reader has them all, and a group of its own name is not rebalanced."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}  #: partition -> offset of the first event that was not handed on
        self._told: dict[int, int] = {}  #: and as the group knows it

    def position(self) -> dict[str, Any]:
        return {"next": {str(partition): offset for partition, offset in self._next.items()}}

    def restore(self, position: Mapping[str, Any]) -> None:
        self._next = {int(partition): int(offset) for partition, offset in position["next"].items()}

    async def close(self) -> None:
        """Nothing stays open."""

    async def read(self, place: Place) -> Read:
        from aiokafka import TopicPartition

        async with _connected(place) as consumer:
            await consumer._client.add_topic(place.stream)  # what a manual assignment asks nobody about
            known = consumer.partitions_for_topic(place.stream)
            if not known:
                raise CollectError(f"there is no topic {place.stream!r}", reason="query")
            parts = [TopicPartition(place.stream, number) for number in sorted(known)]
            consumer.assign(parts)
            await self._tell(consumer, place)
            following = {part.partition: await self._begin(consumer, part) for part in parts}
            ends = await consumer.end_offsets(parts)
            found = Read()
            await _poll(consumer, place, following, ends, found)
            found.events.sort(key=lambda event: event.time_ms)
            found.lag = sum(max(0, end - following[part.partition]) for part, end in ends.items())
            self._next = following
            return found

    async def _begin(self, consumer: AIOKafkaConsumer, part: TopicPartition) -> int:
        """Where a partition is read on: where we were, else where the group was, else at its beginning."""
        offset = self._next.get(part.partition)
        if offset is None:
            offset = await consumer.committed(part)
        if offset is None:
            offset = (await consumer.beginning_offsets([part]))[part]
        consumer.seek(part, offset)
        return int(offset)

    async def _tell(self, consumer: AIOKafkaConsumer, place: Place) -> None:
        """Commit what was handed on: its lines are kept now."""
        from aiokafka import TopicPartition

        news = {number: offset for number, offset in self._next.items() if self._told.get(number) != offset}
        if news:
            await consumer.commit({TopicPartition(place.stream, number): offset for number, offset in news.items()})
        self._told = dict(self._next)


async def _poll(
    consumer: AIOKafkaConsumer, place: Place, following: dict[int, int], ends: Mapping[TopicPartition, int], found: Read
) -> None:
    """Everything up to ``ends``, as far as one reading goes; ``following`` moves on."""
    while (left := place.batch - len(found.events)) > 0 and found.size < place.max_bytes:
        if all(following[part.partition] >= end for part, end in ends.items()):
            return
        got = await consumer.getmany(timeout_ms=QUIET_MS, max_records=min(left, AT_ONCE))
        for part, records in got.items():
            for record in records:
                following[part.partition] = record.offset + 1
                found.events.append(_event(record, found))
        if not got:  # only marks of transactions are left, or a broker is away
            return


def _event(record: ConsumerRecord[bytes, bytes], found: Read) -> Event:
    body = record.value or b""
    found.size += len(body)
    fields, text = payload(body)
    return Event(record.timestamp, fields, text)


@asynccontextmanager
async def _connected(place: Place) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer for one reading. Raises CollectError for whatever goes wrong with it or inside."""
    from aiokafka import AIOKafkaConsumer
    from aiokafka import errors as kafka

    bound_answers()
    refused = (
        *(kafka.AuthenticationFailedError, kafka.SaslAuthenticationFailed, kafka.UnsupportedSaslMechanismError),
        *(kafka.TopicAuthorizationFailedError, kafka.GroupAuthorizationFailedError),
    )
    secure = "SSL" if place.tls else "PLAINTEXT"
    consumer = AIOKafkaConsumer(
        bootstrap_servers=f"{place.host}:{place.port}",
        client_id="watchkeeper",
        group_id=place.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_bytes=min(MOST_FETCHED, place.max_bytes),
        max_partition_fetch_bytes=min(MOST_FETCHED, place.max_bytes),
        request_timeout_ms=max(1000, round(place.timeout * 1000)),
        security_protocol=f"SASL_{secure}" if place.username else secure,
        ssl_context=place.tls,
        sasl_mechanism=place.mechanism,
        sasl_plain_username=place.username or None,
        sasl_plain_password=place.password or None,
    )
    try:
        await consumer.start()
        yield consumer
    except TimeoutError:
        raise CollectError(f"no answer within {place.timeout:g} s", reason="timeout") from None
    except refused as error:
        raise CollectError(f"Kafka refused: {_said(error)}", reason="token") from None
    except kafka.KafkaTimeoutError:
        raise CollectError(f"no answer within {place.timeout:g} s", reason="timeout") from None
    except ssl.SSLError as error:
        raise CollectError(f"TLS: {error.reason or error}", reason="tls") from None
    except (kafka.KafkaConnectionError, OSError) as error:
        await _shake_hands(place)
        raise CollectError(f"no connection: {_said(error)}", reason="connect") from None
    except (kafka.KafkaError, *UNREADABLE) as error:
        raise CollectError(f"what answers does not speak Kafka's protocol: {_said(error)}", reason="protocol") from None
    finally:
        await _leave(consumer)


async def _leave(consumer: AIOKafkaConsumer) -> None:
    """A broker that does not say goodbye is left alone.

    The library cancels what it does in the background, and may hand that on as if we were cancelled, or wait for ever:
    a task of its own keeps both apart from us.
    """
    leaving = asyncio.ensure_future(consumer.stop())
    leaving.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.wait({leaving}, timeout=GOODBYE)
    finally:
        leaving.cancel()


async def _shake_hands(place: Place) -> None:
    """The client library keeps to itself why TLS failed. Raises CollectError where that was it."""
    if place.tls is None:
        return
    try:
        _, writer = await asyncio.open_connection(place.host, place.port, ssl=place.tls)
    except ssl.SSLError as error:
        raise CollectError(f"TLS: {error.reason or error}", reason="tls") from None
    except OSError:
        return
    writer.close()


def _said(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
