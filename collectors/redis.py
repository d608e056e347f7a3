"""Redis, Valkey and what speaks like them: single servers, replicas, cluster nodes and Sentinels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected
from watchkeeper.wire.resp import Refused, Reply, Resp, pairs, refusal

from .base import STRICT, Reading
from .part import ServerPart
from .redis_info import fields, identity, info
from .redis_sentinel import masters

#: What helps when the server refuses, by its first word.
HINTS = {"NOAUTH": "give username and password", "NOPERM": "the user needs +info"}
#: Limits that are worth watching; what they mean stands in redis.conf.
SETTINGS = ("maxclients", "maxmemory")


@dataclass(kw_only=True, config=STRICT)
class Redis(ServerPart):
    """INFO, settings, slow log, latency spikes, and CLUSTER INFO or Sentinel's view, under redis_exporter's names.

    Good for: Redis 2.8 and later, Valkey, KeyDB, Dragonfly, Sentinel. Not for: sizes of single keys (they need SCAN).
    A command that is refused (ACL, renamed) leaves out its own series and is told by watchkeeper_query_success.
    """

    KIND: ClassVar[str] = "redis"
    PORT: ClassVar[int] = 6379

    username: str = ""  #: ACL user; empty: the default user
    timeout: float = Field(default=5.0, gt=0, le=300)  #: seconds for the whole reading
    max_bytes: int = Field(default=8 << 20, gt=0)  #: all answers of one reading together
    sample_limit: int = Field(default=10_000, gt=0)  #: series; known ones stay, new ones beyond it are refused

    def __post_init__(self) -> None:
        super().__post_init__()
        self.problems: dict[str, str] = {}  #: question -> what the server said instead, in the last reading

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:  # noqa: ARG002  # its own protocol
        try:
            async with asyncio.timeout(self.timeout):
                readings, size = await self._read()
        except TimeoutError:
            raise CollectError(f"no answer within {self.timeout:g} s", reason="timeout") from None
        tick = self._sheet.tick(now, readings)
        return Collected(ticks=[tick], rejected=dict(self._sheet.rejected), body_bytes=size)

    async def _read(self) -> tuple[list[Reading], int]:
        server = await Resp.connect(self._host, self._port, self.context(), self.max_bytes)
        try:
            await self._log_in(server)
            said = fields(_text(await server.call("INFO", "all")))
            if not said:
                raise CollectError("INFO says nothing", reason="parse")
            readings: list[Reading] = [("redis_up", (), 1.0), identity(said), *info(said)]
            problems: dict[str, str] = {}
            readings += [reading async for reading in _more(server, said, problems)]
            readings += [
                ("watchkeeper_query_success", (("query", name),), float(not why)) for name, why in problems.items()
            ]
            self.problems = {name: why for name, why in problems.items() if why}
            return readings, server.received
        finally:
            await server.close()

    async def _log_in(self, server: Resp) -> None:
        password = self.secret()
        if not password:
            return
        words = (self.username, password) if self.username else (password,)
        reply = await server.call("AUTH", *words)
        if isinstance(reply, Refused):
            said = reply.partition(" ")[0]  # the code alone: the rest might repeat what was sent
            raise CollectError(f"AUTH was refused ({said}): see username and password", reason="token")


async def _more(server: Resp, said: dict[str, str], problems: dict[str, str]) -> AsyncIterator[Reading]:
    """What INFO does not hold, by the mode of the server; ``problems`` gets each question and why it was refused."""
    if said.get("redis_mode") == "sentinel":
        listed = await server.call("SENTINEL", "MASTERS")
        problems["sentinel"] = refusal(listed)
        async for reading in masters(server, listed):
            yield reading
        return
    settings = await server.call("CONFIG", "GET", "max*")
    problems["settings"] = refusal(settings)
    known = {key: said[key] for key in SETTINGS if key in said} | pairs(settings)
    for key in SETTINGS:
        if known.get(key, "").isdigit():
            yield (f"redis_config_{key}", (), float(known[key]))
    slow = await server.call("SLOWLOG", "LEN")
    problems["slowlog"] = refusal(slow)
    if isinstance(slow, int):
        yield ("redis_slowlog_length", (), float(slow))
        for reading in _last_slow(await server.call("SLOWLOG", "GET", "1")):
            yield reading
    for reading in _latency(await server.call("LATENCY", "LATEST")):
        yield reading
    if said.get("cluster_enabled") == "1":
        reply = await server.call("CLUSTER", "INFO")
        problems["cluster"] = refusal(reply)
        for reading in info(fields(reply)) if isinstance(reply, str) and not isinstance(reply, Refused) else ():
            yield reading


def _text(reply: Reply) -> str:
    if isinstance(reply, Refused):
        word = reply.partition(" ")[0]
        if word not in HINTS:
            raise CollectError(f"INFO was refused: {reply}", reason="query")
        raise CollectError(f"INFO was refused ({word}): {HINTS[word]}", reason="token")
    if not isinstance(reply, str):
        raise CollectError("INFO gave no text", reason="parse")
    return reply


def _last_slow(reply: Reply) -> Iterator[Reading]:
    """Number and time of the newest slow command. Its text is not read: it may hold data."""
    newest = reply[0] if isinstance(reply, list) and reply else None
    if isinstance(newest, list) and len(newest) > 2 and isinstance(newest[0], int) and isinstance(newest[2], int):
        yield ("redis_slowlog_last_id", (), float(newest[0]))
        yield ("redis_last_slow_execution_duration_seconds", (), newest[2] / 1e6)


def _latency(reply: Reply) -> Iterator[Reading]:
    """Latest spike of each event of the latency monitor, where it is on (latency-monitor-threshold)."""
    for row in reply if isinstance(reply, list) else ():
        if isinstance(row, list) and len(row) > 2 and isinstance(row[1], int) and isinstance(row[2], int):
            own = (("event_name", str(row[0])),)
            yield ("redis_latency_spike_last", own, float(row[1]))
            yield ("redis_latency_spike_duration_seconds", own, row[2] / 1e3)
