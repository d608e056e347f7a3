"""Follows a stream of events (Redis Streams) as one consumer of a group: lines at the events' own time, and the lag."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.errors import CollectError
from watchkeeper.model import LogBatch, Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels
from .credentials import one_secret, split_address, tls_context
from .resp import Refused, Reply, Resp, pairs

#: An entry's id: milliseconds and number.
Id = tuple[int, int]
#: Entries asked for at a time.
AT_ONCE = 1000


@dataclass(kw_only=True, config=STRICT)
class EventStream:
    """Each event once, also when it is delivered again; what a dead process had not kept comes again.

    Good for: events of deploys, jobs and business in Redis 5 or newer. The lag needs Redis 7. The group is made when it
    is not there. An event older than ``late_after`` is kept at its own time and counted as late.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series and line
    address: str  #: host:port of Redis
    stream: str  #: key of the stream
    group: str = "watchkeeper"  #: consumer group; another group reads everything once more
    username: str = ""  #: ACL user; empty: the default user
    password: SecretStr | None = None
    password_file: str = ""  #: file with the password, read for every reading
    tls: bool = False  #: TLS with the server's certificate checked
    ca_file: str = ""  #: authorities to check against; the system's when empty
    time_field: str = ""  #: field with the event's time, ISO 8601 or Unix seconds or milliseconds; else that of its id
    text_field: str = ""  #: field that is the line; else all fields as JSON
    late_after: timedelta = timedelta(minutes=10)  #: an event this much older than now is late
    batch: int = Field(default=10_000, gt=0, le=100_000)  #: events of one reading
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for the whole reading
    max_bytes: int = Field(default=64 << 20, gt=0)  #: all answers of one reading together
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; the address when empty

    def __post_init__(self) -> None:
        self._host, self._port = split_address(self.address, 6379)
        where = f"{self._host}:{self._port}"
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=where
        )
        self._sheet = Sheet(f"event_stream/{self.name}", self.target_labels)
        self._last: Id = (0, 0)  #: newest event that was handed on
        self._unacknowledged: list[str] = []  #: handed on by the last reading
        self._pending = True  #: a former life may have left events that it did not acknowledge
        self._counts = Counter(events=0, repeated=0, late=0, untimed=0)

    def position(self) -> dict[str, Any]:
        """The newest event handed on, as plain JSON data."""
        return {"last": list(self._last), "stream": self.stream, "group": self.group}

    def restore(self, position: dict[str, Any]) -> None:
        """Go on where ``position`` was taken; of another stream or group it says nothing."""
        if (position.get("stream"), position.get("group")) == (self.stream, self.group):
            first, second = position["last"]
            self._last = int(first), int(second)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # its own protocol
        before = self._last, list(self._unacknowledged), self._counts.copy()
        try:
            async with asyncio.timeout(self.timeout):
                found, lag, size = await self._read()
        except BaseException as error:  # what was given and not handed on comes again from what is pending
            (self._last, self._unacknowledged, self._counts), self._pending = before, True
            if not isinstance(error, TimeoutError):
                raise
            raise CollectError(f"no answer within {self.timeout:g} s", reason="timeout") from None
        batches = [self._lines(found, now)] if found else []
        own = (("stream", self.stream), ("group", self.group))
        readings: list[Reading] = [
            (f"watchkeeper_stream_{name}_total", own, float(count)) for name, count in self._counts.items()
        ]
        if lag is not None:
            readings.append(("watchkeeper_stream_lag", own, float(lag)))
        newest = self._last[0] / 1000
        if newest:
            readings.append(("watchkeeper_stream_newest_event_seconds", own, newest))
        return Collected(ticks=[self._sheet.tick(now, readings)], logs=batches, body_bytes=size)

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """Nothing stays open; what was handed on last comes again and is known by its id."""

    # --- the server ---

    async def _read(self) -> tuple[list[tuple[Id, dict[str, str]]], int | None, int]:
        """(new events in order, how many wait, bytes)."""
        context = tls_context(self.ca_file) if self.tls else None
        server = await Resp.connect(self._host, self._port, context, self.max_bytes)
        try:
            await self._log_in(server)
            await self._group(server)
            for start in range(0, len(self._unacknowledged), AT_ONCE):
                ids = self._unacknowledged[start : start + AT_ONCE]
                _said(await server.call("XACK", self.stream, self.group, *ids))
            self._unacknowledged = []
            found = await self._entries(server)
            return found, await self._lag(server), server.received
        finally:
            await server.close()

    async def _log_in(self, server: Resp) -> None:
        password = one_secret(self.password, self.password_file)
        if not password:
            return
        reply = await server.call("AUTH", *((self.username, password) if self.username else (password,)))
        if isinstance(reply, Refused):
            raise CollectError("AUTH was refused: see username and password", reason="token")

    async def _group(self, server: Resp) -> None:
        made = await server.call("XGROUP", "CREATE", self.stream, self.group, "0", "MKSTREAM")
        if isinstance(made, Refused) and not made.startswith("BUSYGROUP"):
            raise CollectError(f"the group cannot be made: {made}", reason="query")

    async def _entries(self, server: Resp) -> list[tuple[Id, dict[str, str]]]:
        """Events left behind first, then new ones; those known by their id are acknowledged and left out."""
        found: list[tuple[Id, dict[str, str]]] = []
        taken, after = 0, "0-0"
        while taken < self.batch:
            count = min(AT_ONCE, self.batch - taken)
            cursor = after if self._pending else ">"
            words = ("XREADGROUP", "GROUP", self.group, "watchkeeper", "COUNT", str(count), "STREAMS", self.stream)
            rows = _entries(_said(await server.call(*words, cursor)))
            if not rows:
                if not self._pending:
                    break
                self._pending = False
                continue
            taken, after = taken + len(rows), rows[-1][0]
            self._take(rows, found)
        return found

    def _take(self, rows: Sequence[tuple[str, dict[str, str]]], found: list[tuple[Id, dict[str, str]]]) -> None:
        for written, fields in rows:
            self._unacknowledged.append(written)
            number = _id(written)
            if not fields:  # deleted or trimmed while it was pending
                continue
            if number <= self._last:
                self._counts["repeated"] += 1
                continue
            self._last = number
            self._counts["events"] += 1
            found.append((number, fields))

    async def _lag(self, server: Resp) -> int | None:
        """Events the group has not been given yet, as the server counts them; None before Redis 7."""
        groups = _said(await server.call("XINFO", "GROUPS", self.stream))
        for group in groups if isinstance(groups, list) else []:
            facts = pairs(group)
            if facts.get("name") == self.group and facts.get("lag", "").isdigit():
                return int(facts["lag"])
        return None

    # --- events as lines ---

    def _lines(self, found: Sequence[tuple[Id, dict[str, str]]], now: datetime) -> LogBatch:
        times, texts, oldest = [], [], to_ms(now - self.late_after)
        for number, fields in found:
            at = self._time(number, fields)
            self._counts["late"] += at < oldest
            times.append(at)
            texts.append(fields.get(self.text_field) or json.dumps(fields, ensure_ascii=False))
        labels = tuple(sorted({**self.target_labels, "stream": self.stream}.items()))
        return LogBatch.of(labels, [text.replace("\n", " ") for text in texts], times)

    def _time(self, number: Id, fields: dict[str, str]) -> int:
        """Milliseconds: what the event states, else when it came into the stream."""
        if not self.time_field:
            return number[0]
        at = _milliseconds(fields.get(self.time_field, ""))
        if at is None:
            self._counts["untimed"] += 1
            return number[0]
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


def _said(reply: Reply) -> Reply:
    """The answer. Raises CollectError when the server refused."""
    if isinstance(reply, Refused):
        raise CollectError(f"the server refused: {reply}", reason="query")
    return reply


def _entries(reply: Reply) -> list[tuple[str, dict[str, str]]]:
    """(id, fields) of one stream's XREADGROUP; a deleted event has no fields any more."""
    if not isinstance(reply, list) or not reply:
        return []
    stream = reply[0]
    rows = stream[1] if isinstance(stream, list) and len(stream) == 2 else []
    found = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str):
            raise CollectError("what answers does not speak Redis's streams", reason="protocol")
        found.append((row[0], pairs(row[1])))
    return found


def _id(written: str) -> Id:
    first, _, second = written.partition("-")
    if not (first.isdigit() and second.isdigit()):
        raise CollectError("an id of the stream is no id", reason="protocol")
    return int(first), int(second)
