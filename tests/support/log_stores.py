"""Doubles of log stores over HTTP, answering as Loki's and Elasticsearch's documentation says: lines in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.listening import listening
from support.targets import answer


class LogStoreDouble:
    """``rows`` are (time in the store's unit, labels as JSON, text, id); those that are added later are there later."""

    def __init__(self) -> None:
        self.port = 0
        self.rows: list[tuple[int, str, str, str]] = []
        self.asked: list[tuple[str, dict[str, Any], bytes]] = []  #: path, question, head
        self.failed_shards = 0

    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, time: int, text: str, **labels: str) -> None:
        self.rows.append((time, json.dumps(labels, sort_keys=True), text, f"id{len(self.rows)}"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
                sizes = [part for part in head.lower().split(b"\r\n") if part.startswith(b"content-length:")]
                body = await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0)
                parts = urlsplit(target)
                asked = json.loads(body) if method == "POST" else {k: v[0] for k, v in parse_qs(parts.query).items()}
                self.asked.append((parts.path, asked, head))
                said = self.search(asked) if parts.path.endswith("/_search") else self.query_range(asked)
                writer.write(answer(json.dumps(said).encode()))
                await writer.drain()
        writer.close()

    def query_range(self, asked: dict[str, str]) -> Any:
        """Loki: start is inclusive, end exclusive; the oldest ``limit`` lines over all streams; equal lines are one."""
        assert asked["direction"] == "forward"
        start, end = int(asked["start"]), int(asked["end"])
        lines = {(time, labels, text) for time, labels, text, _ in self.rows if start <= time < end}
        chosen = sorted(lines)[: int(asked["limit"])]
        streams: dict[str, list[list[str]]] = {}
        for time, labels, text in chosen:
            streams.setdefault(labels, []).append([str(time), text])
        result = [{"stream": json.loads(labels), "values": values} for labels, values in streams.items()]
        return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}

    def search(self, asked: dict[str, Any]) -> Any:
        """Elasticsearch: by time, and among equal times in an order that differs from one answer to the next."""
        (span,) = (one["range"]["@timestamp"] for one in asked["query"]["bool"]["filter"] if "range" in one)
        rows = self.rows if len(self.asked) % 2 else self.rows[::-1]
        chosen = sorted((row for row in rows if span["gte"] <= row[0] < span["lt"]), key=lambda row: row[0])
        hits: list[dict[str, Any]] = [
            {"_index": "logs-1", "_id": key, "sort": [time], "_source": {"message": text, **json.loads(labels)}}
            for time, labels, text, key in chosen[: asked["size"]]
        ]
        return {"timed_out": False, "_shards": {"failed": self.failed_shards}, "hits": {"hits": hits}}


@asynccontextmanager
async def log_store() -> AsyncIterator[LogStoreDouble]:
    made = LogStoreDouble()
    async with listening(made.serve) as made.port:
        yield made
