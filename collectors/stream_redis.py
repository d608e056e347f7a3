"""A Redis Stream (Redis 5 or newer), as one consumer of a group."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper.errors import CollectError
from watchkeeper.wire.resp import Refused, Reply, Resp, pairs

from .stream import AT_ONCE, Event, Place, Read

#: An entry's id: milliseconds and number.
Id = tuple[int, int]


class RedisStream:
    """Entries are acknowledged with the next reading; what a former life left unacknowledged comes first."""

    def __init__(self) -> None:
        self._last: Id = (0, 0)  #: newest event that was handed on
        self._unacknowledged: list[str] = []  #: handed on by the last reading
        self._pending = True  #: a former life may have left events that it did not acknowledge

    def position(self) -> dict[str, Any]:
        return {"last": list(self._last)}

    def restore(self, position: Mapping[str, Any]) -> None:
        first, second = position["last"]
        self._last = int(first), int(second)

    async def close(self) -> None:
        """Nothing stays open; what was handed on last comes again and is known by its id."""

    async def read(self, place: Place) -> Read:
        before = self._last, list(self._unacknowledged)
        try:
            return await self._read(place)
        except BaseException:  # what was given and not handed on comes again from what is pending
            (self._last, self._unacknowledged), self._pending = before, True
            raise

    async def _read(self, place: Place) -> Read:
        server = await Resp.connect(place.host, place.port, place.tls, place.max_bytes)
        try:
            await _log_in(server, place)
            made = await server.call("XGROUP", "CREATE", place.stream, place.group, "0", "MKSTREAM")
            if isinstance(made, Refused) and not made.startswith("BUSYGROUP"):
                raise CollectError(f"the group cannot be made: {made}", reason="query")
            for start in range(0, len(self._unacknowledged), AT_ONCE):
                ids = self._unacknowledged[start : start + AT_ONCE]
                _said(await server.call("XACK", place.stream, place.group, *ids))
            self._unacknowledged = []
            found = Read()
            await self._entries(server, place, found)
            found.lag, found.size = await _lag(server, place), server.received
            return found
        finally:
            await server.close()

    async def _entries(self, server: Resp, place: Place, found: Read) -> None:
        """Events left behind first, then new ones; those known by their id are acknowledged and left out."""
        taken, after = 0, "0-0"
        while taken < place.batch:
            count = min(AT_ONCE, place.batch - taken)
            cursor = after if self._pending else ">"
            words = ("XREADGROUP", "GROUP", place.group, "watchkeeper", "COUNT", str(count), "STREAMS", place.stream)
            rows = _entries(_said(await server.call(*words, cursor)))
            if not rows:
                if not self._pending:
                    break
                self._pending = False
                continue
            taken, after = taken + len(rows), rows[-1][0]
            self._take(rows, found)

    def _take(self, rows: Sequence[tuple[str, dict[str, str]]], found: Read) -> None:
        for written, fields in rows:
            self._unacknowledged.append(written)
            number = _id(written)
            if not fields:  # deleted or trimmed while it was pending
                continue
            if number <= self._last:
                found.repeated += 1
                continue
            self._last = number
            found.events.append(Event(number[0], fields, json.dumps(fields, ensure_ascii=False)))


async def _log_in(server: Resp, place: Place) -> None:
    if not place.password:
        return
    words = (place.username, place.password) if place.username else (place.password,)
    if isinstance(await server.call("AUTH", *words), Refused):
        raise CollectError("AUTH was refused: see username and password", reason="token")


async def _lag(server: Resp, place: Place) -> int | None:
    """Events the group has not been given yet, as the server counts them; None before Redis 7."""
    groups = _said(await server.call("XINFO", "GROUPS", place.stream))
    for group in groups if isinstance(groups, list) else []:
        facts = pairs(group)
        if facts.get("name") == place.group and facts.get("lag", "").isdigit():
            return int(facts["lag"])
    return None


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
    if not (first.isdigit() and second.isdigit() and int(first) < 10**14):
        raise CollectError("an id of the stream is no id", reason="protocol")
    return int(first), int(second)
