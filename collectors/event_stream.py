"""Follows a stream of events (Redis Streams, NATS JetStream, Kafka): lines at the events' own time, and the lag."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.config.types import Duration
from watchkeeper.errors import CollectError
from watchkeeper.model import LogBatch
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading
from .credentials import split_address
from .part import ServerPart
from .stream import Event, Follower, Place
from .stream_kafka import KafkaTopic
from .stream_nats import NatsStream
from .stream_redis import RedisStream

#: Who reads what, and the port where none is named.
FOLLOWERS: dict[str, tuple[Callable[[], Follower], int]] = {
    "redis": (RedisStream, 6379),
    "nats": (NatsStream, 4222),
    "kafka": (KafkaTopic, 9092),
}


@dataclass(kw_only=True, config=STRICT)
class EventStream(ServerPart):
    """Each event once, also when it is delivered again; what a dead process had not kept comes again.

    Good for: events of deploys, jobs and business. Redis 5 or newer (the lag needs Redis 7), NATS 2.9 or newer with
    JetStream, Kafka 0.11 or newer. The group is made when it is not there. An event older than ``late_after`` is kept
    at its own time and counted as late.
    """

    KIND: ClassVar[str] = "event_stream"

    protocol: Literal["redis", "nats", "kafka"] = "redis"
    stream: str = Field(min_length=1)  #: key (Redis), stream (JetStream) or topic (Kafka)
    group: str = Field(default="watchkeeper", min_length=1)  #: group or durable consumer; another reads everything anew
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"  #: how Kafka is told who asks
    time_field: str = ""  #: field with the event's time, ISO 8601 or Unix seconds or milliseconds; else when it came
    text_field: str = ""  #: field that is the line; else the whole event
    late_after: Duration = timedelta(minutes=10)  #: an event this much older than now is late
    batch: int = Field(default=10_000, gt=0, le=100_000)  #: events of one reading
    max_bytes: int = Field(default=64 << 20, gt=0)  #: all answers of one reading together

    def __post_init__(self) -> None:
        make, port = FOLLOWERS[self.protocol]
        super().__post_init__()
        self._host, self._port = split_address(self.address, port)
        self._follower = make()
        self._newest = 0  #: ms: when the newest event that was handed on came into the stream
        self._counts = Counter(events=0, repeated=0, late=0, untimed=0)

    def place(self) -> str:
        host, port = split_address(self.address, FOLLOWERS[self.protocol][1])
        return f"{host}:{port}"

    def position(self) -> dict[str, Any]:
        """How far events were handed on, as plain JSON data."""
        about = {"protocol": self.protocol, "stream": self.stream, "group": self.group, "newest": self._newest}
        return {**self._follower.position(), **about}

    def restore(self, position: dict[str, Any]) -> None:
        """Go on where ``position`` was taken; of another stream or group it says nothing."""
        theirs = (position.get("protocol", "redis"), position.get("stream"), position.get("group"))
        if theirs == (self.protocol, self.stream, self.group):
            self._follower.restore(position)
            self._newest = int(position.get("newest", 0))

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # its own protocol
        try:
            async with asyncio.timeout(self.timeout):
                found = await self._follower.read(self._place())
        except TimeoutError:
            raise CollectError(f"no answer within {self.timeout:g} s", reason="timeout") from None
        self._counts["events"] += len(found.events)
        self._counts["repeated"] += found.repeated
        batches = [self._lines(found.events, now)] if found.events else []
        self._newest = max([self._newest, *(event.time_ms for event in found.events)])
        own = (("stream", self.stream), ("group", self.group))
        readings: list[Reading] = [
            (f"watchkeeper_stream_{name}_total", own, float(count)) for name, count in self._counts.items()
        ]
        if found.lag is not None:
            readings.append(("watchkeeper_stream_lag", own, float(found.lag)))
        if self._newest:
            readings.append(("watchkeeper_stream_newest_event_seconds", own, self._newest / 1000))
        return Collected(ticks=[self._sheet.tick(now, readings)], logs=batches, body_bytes=found.size)

    async def close(self) -> None:
        await self._follower.close()

    def _place(self) -> Place:
        return Place(
            host=self._host,
            port=self._port,
            stream=self.stream,
            group=self.group,
            username=self.username,
            password=self.secret(),
            mechanism=self.mechanism,
            tls=self.context(),
            batch=self.batch,
            max_bytes=self.max_bytes,
            timeout=self.timeout,
        )

    def _lines(self, found: Sequence[Event], now: datetime) -> LogBatch:
        times, texts, oldest = [], [], to_ms(now - self.late_after)
        for event in found:
            at = self._time(event)
            self._counts["late"] += at < oldest
            times.append(at)
            texts.append(event.fields.get(self.text_field) or event.text)
        labels = tuple(sorted({**self.target_labels, "stream": self.stream}.items()))
        return LogBatch.of(labels, [text.replace("\n", " ") for text in texts], times)

    def _time(self, event: Event) -> int:
        """Milliseconds: what the event states, else when it came into the stream."""
        if not self.time_field:
            return event.time_ms
        at = _milliseconds(event.fields.get(self.time_field, ""))
        if at is None:
            self._counts["untimed"] += 1
            return event.time_ms
        return at


def _milliseconds(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    if not 0 <= number < 1e14:
        return None
    return round(number) if number >= 1e11 else round(number * 1000)  # seconds reach 1e11 in the year 5138
