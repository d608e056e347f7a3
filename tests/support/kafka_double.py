"""One Kafka broker that speaks the wire protocol over TCP: topics in memory, read and committed to, nothing written.

A contract double: no Kafka runs in the tests. Messages are built and taken apart by the client library's own classes,
in the versions a broker of Kafka 0.11 knows.
"""

from __future__ import annotations

import asyncio
import io
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka.protocol import admin, commit, coordination, fetch, metadata, offset
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from support.listening import listening

#: API key -> (version that is spoken, request, response).
SPOKEN: dict[int, tuple[int, Any, Any]] = {
    1: (4, fetch.FetchRequest_v4, fetch.FetchResponse_v4),
    2: (2, offset.OffsetRequest_v2, offset.OffsetResponse_v2),
    3: (1, metadata.MetadataRequest_v1, metadata.MetadataResponse_v1),
    8: (2, commit.OffsetCommitRequest_v2, commit.OffsetCommitResponse_v2),
    9: (1, commit.OffsetFetchRequest_v1, commit.OffsetFetchResponse_v1),
    10: (0, coordination.FindCoordinatorRequest_v0, coordination.FindCoordinatorResponse_v0),
    18: (0, admin.ApiVersionRequest_v0, admin.ApiVersionResponse_v0),
}
NO_TOPIC, NO_OFFSET = 3, -1


class Broker:
    """``topics[name][partition]`` is a list of (ms, value); ``committed[group, topic, partition]`` an offset."""

    def __init__(self) -> None:
        self.port = 0
        self.topics: dict[str, dict[int, list[tuple[int, bytes]]]] = {}
        self.begins: dict[tuple[str, int], int] = defaultdict(int)  #: first offset that retention has left
        self.committed: dict[tuple[str, str, int], int] = {}
        self.mangle: Callable[[bytes], bytes] = lambda answer: answer
        self.answers: dict[int, Callable[[Any], tuple[Any, ...]]] = {
            1: self._fetch, 2: self._offsets, 3: self._metadata, 8: self._commit, 9: self._committed,
            10: lambda _: (0, 0, "127.0.0.1", self.port),
            18: lambda _: (0, [(key, version, version) for key, (version, _, _) in SPOKEN.items()]),
        }  # fmt: skip

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, ValueError, struct.error):
            while True:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                body = await reader.readexactly(size)
                key, _, number, length = struct.unpack(">hhih", body[:10])
                _, request, response = SPOKEN[key]
                asked = request.decode(io.BytesIO(body[10 + max(0, length) :]))
                said = response(*self.answers[key](asked)).encode()
                whole = struct.pack(">ii", 4 + len(said), number) + said
                writer.write(self.mangle(whole))
                await writer.drain()
                if key == 1:
                    await asyncio.sleep(0.01)  # a broker waits a little for news too
        writer.close()

    def _metadata(self, asked: Any) -> tuple[Any, ...]:
        names = sorted(self.topics) if asked.topics is None else asked.topics
        rows: list[tuple[int, str, bool, list[Any]]] = []
        for name in names:
            parts = [(0, number, 0, [0], [0]) for number in self.topics.get(name, {})]
            rows.append((0 if name in self.topics else NO_TOPIC, name, False, parts))
        return [(0, "127.0.0.1", self.port, None)], 0, rows

    def _offsets(self, asked: Any) -> tuple[Any, ...]:
        found = []
        for name, parts in asked.topics:
            rows = []
            for number, stamp in parts:
                begin = self.begins[name, number]
                at = begin if stamp == -2 else begin + len(self.topics[name][number])
                rows.append((number, 0, -1, at))
            found.append((name, rows))
        return 0, found

    def _fetch(self, asked: Any) -> tuple[Any, ...]:
        found = []
        for name, parts in asked.topics:
            rows: list[tuple[Any, ...]] = []
            for number, start, _most in parts:
                begin, kept = self.begins[name, number], self.topics[name][number]
                end = begin + len(kept)
                if not begin <= start <= end:
                    rows.append((number, 1, end, end, [], b""))
                    continue
                rows.append((number, 0, end, end, [], batch(start, kept[start - begin : start - begin + 100])))
            found.append((name, rows))
        return 0, found

    def _commit(self, asked: Any) -> tuple[Any, ...]:
        found = []
        for name, parts in asked.topics:
            for number, at, _about in parts:
                self.committed[asked.consumer_group, name, number] = at
            found.append((name, [(part[0], 0) for part in parts]))
        return (found,)

    def _committed(self, asked: Any) -> tuple[Any, ...]:
        group = asked.consumer_group
        return (
            [
                (name, [(number, self.committed.get((group, name, number), NO_OFFSET), "", 0) for number in parts])
                for name, parts in asked.topics
            ],
        )


def batch(start: int, records: list[tuple[int, bytes]]) -> bytes:
    """Records of one partition as Kafka keeps them since 0.11."""
    if not records:
        return b""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number, (stamp, value) in enumerate(records):
        builder.append(number, stamp, None, value, [])
    made = bytearray(builder.build())
    made[:8] = struct.pack(">q", start)  # the base offset is not under the check sum
    return bytes(made)


@asynccontextmanager
async def broker() -> AsyncIterator[Broker]:
    made = Broker()
    async with listening(made.serve) as made.port:
        yield made
