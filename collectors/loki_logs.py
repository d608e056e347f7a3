"""Lines out of Grafana Loki, by a LogQL query."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT
from .log_query import SEVERITY_LABELS, LogQuery
from .log_rows import sane
from .log_window import Found

#: Lines of one answer that Loki allows unless it is told otherwise (max_entries_limit_per_query).
MOST = 5000
#: Lines of clocks that go ahead are asked for too.
AHEAD = timedelta(minutes=10)
#: Values that need no quotes as fields.
PLAIN = re.compile(r"[^\s\"=]+")
#: What Loki guesses from the text, which stands there.
DETECTED = "detected_level"


@dataclass(kw_only=True, config=STRICT)
class LokiLogs(LogQuery):
    """New lines of the streams that a query selects, under the labels of their streams.

    Good for: Loki 2.4 and later, and what speaks its API. Not for: metric queries (rate, count_over_time). Loki keeps
    one of two equal lines of one stream and nanosecond. Structured metadata (trace_id ...) follow the text as fields.
    """

    KIND: ClassVar[str] = "loki_logs"
    UNIT: ClassVar[int] = 1_000_000

    query: str = Field(min_length=1)  #: LogQL, such as {namespace="shop"} |= "error"
    tenant: str = ""  #: X-Scope-OrgID, where Loki has tenants

    async def lines(self, outbound: Outbound, start: int, now: int, size: int) -> tuple[Sequence[Found], bool]:
        size = min(size, MOST)
        end = now + self._units(AHEAD)
        asked = {"query": self.query, "start": start, "end": end, "limit": size, "direction": "forward"}
        headers = {"x-loki-response-encoding-flags": "categorize-labels"}
        headers |= {"x-scope-orgid": self.tenant} if self.tenant else {}
        answer = await self.ask(outbound, path=f"/loki/api/v1/query_range?{urlencode(asked)}", headers=headers)
        self._read_bytes += len(answer.body)
        try:
            found = sorted(_lines(json.loads(answer.body)), key=lambda row: row.time)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            raise CollectError("the answer is not Loki's", reason="parse") from None
        return found, len(found) >= size


def _lines(document: Any) -> Iterator[Found]:
    data = document["data"]
    if data["resultType"] != "streams":
        raise CollectError("the query gives numbers, no lines; ask for streams", reason="query")
    for stream in data["result"]:
        labels = tuple(sorted((str(name), str(value)) for name, value in stream["stream"].items()))
        about = json.dumps(labels)
        for value in stream["values"]:
            time, text = int(value[0]), str(value[1])
            sane(time // LokiLogs.UNIT)
            fields, level = _beside(value[2]) if len(value) > 2 else ("", ())
            key = f"{about}{time} {text}{fields}".encode("utf-8", "replace")
            yield Found(time, key, text + fields, (*labels, *level) if level else labels)


def _beside(categories: Any) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What stands beside a line, not on its stream: metadata as fields, and the severity as a label."""
    metadata, parsed = categories.get("structuredMetadata") or {}, categories.get("parsed") or {}
    stated = {**parsed, **metadata}
    level = next(((name, str(stated[name])) for name in SEVERITY_LABELS if name in stated), None)
    fields = (f" {name}={_quoted(str(value))}" for name, value in sorted(metadata.items()) if name != DETECTED)
    return "".join(fields), (level,) if level else ()


def _quoted(value: str) -> str:
    return value if PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
