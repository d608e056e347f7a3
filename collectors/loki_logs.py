"""Lines out of Grafana Loki, by a LogQL query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT
from .log_query import LogQuery
from .log_rows import sane
from .log_window import Found

#: Lines of one answer that Loki allows unless it is told otherwise (max_entries_limit_per_query).
MOST = 5000
#: Lines of clocks that go ahead are asked for too.
AHEAD = timedelta(minutes=10)


@dataclass(kw_only=True, config=STRICT)
class LokiLogs(LogQuery):
    """New lines of the streams that a query selects, under the labels of their streams.

    Good for: Loki 2.4 and later, and what speaks its API. Not for: metric queries (rate, count_over_time). Loki keeps
    one of two equal lines of one stream and nanosecond.
    """

    KIND: ClassVar[str] = "loki_logs"
    UNIT: ClassVar[int] = 1_000_000

    query: str = Field(min_length=1)  #: LogQL, such as {namespace="shop"} |= "error"
    tenant: str = ""  #: X-Scope-OrgID, where Loki has tenants

    async def lines(self, outbound: Outbound, start: int, now: int, size: int) -> tuple[Sequence[Found], bool]:
        size = min(size, MOST)
        end = now + self._units(AHEAD)
        asked = {"query": self.query, "start": start, "end": end, "limit": size, "direction": "forward"}
        headers = {"x-scope-orgid": self.tenant} if self.tenant else {}
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
            yield Found(time, f"{about}{time} {text}".encode("utf-8", "replace"), text, labels)
