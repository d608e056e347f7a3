"""Documents of Elasticsearch or OpenSearch indices as lines, by a query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound

from .base import STRICT
from .credentials import read_secret
from .log_query import LogQuery
from .log_rows import sane
from .log_window import Found

#: Documents of clocks that go ahead are asked for too.
AHEAD = timedelta(minutes=10)


@dataclass(kw_only=True, config=STRICT)
class ElasticsearchLogs(LogQuery):
    """New documents by their time, each known by its index and id.

    Good for: Elasticsearch 7.2 and later, OpenSearch, with a date field. Not for: documents that are changed later.
    The user needs ``read`` on the indices. What arrives later than ``overlap`` after its own time is not seen.
    """

    KIND: ClassVar[str] = "elasticsearch_logs"

    index: str = Field(min_length=1)  #: name or pattern, such as logs-*; several separated by commas
    query: dict[str, Any] = field(default_factory=dict)  #: of the query DSL, such as {term: {service: shop}}; none: all
    time_field: str = "@timestamp"
    text_field: str = "message"  #: the line; a document without it is a line of JSON
    label_fields: dict[str, str] = field(default_factory=lambda: {"hostname": "host.name", "level": "log.level"})
    api_key_file: str = ""  #: file with an API key (id:key in base64), read for every request
    page: int = Field(default=2000, ge=10, le=10_000)  #: documents of one answer; not over index.max_result_window

    async def lines(self, outbound: Outbound, start: int, now: int, size: int) -> tuple[Sequence[Found], bool]:
        span = {"gte": start, "lt": now + self._units(AHEAD), "format": "epoch_millis"}
        chosen = [{"range": {self.time_field: span}}, *([self.query] if self.query else [])]
        order = {"order": "asc", "numeric_type": "date", "unmapped_type": "date"}
        size = min(size, 10_000)
        body = {
            "size": size,
            "query": {"bool": {"filter": chosen}},
            "sort": [{self.time_field: order}],
            "track_total_hits": False,
        }
        headers = {"content-type": "application/json"}
        if self.api_key_file:
            headers["authorization"] = f"ApiKey {read_secret(self.api_key_file, 'api_key_file')}"
        path = f"/{quote(self.index, safe=',*-_.')}/_search?ignore_unavailable=true&allow_no_indices=true"
        answer = await self.ask(outbound, "POST", path, json.dumps(body).encode(), headers)
        self._read_bytes += len(answer.body)
        try:
            document = json.loads(answer.body)
            if document["timed_out"] or document["_shards"]["failed"]:
                raise CollectError("some shards did not answer; lines would be missing", reason="query")
            if document["_shards"].get("total") == 0:
                raise CollectError(f"no index is named {self.index}, or this user may not see it", reason="query")
            found = list(self._lines(document["hits"]["hits"]))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            raise CollectError("the answer is not Elasticsearch's", reason="parse") from None
        return found, len(found) >= size

    def _lines(self, hits: Sequence[dict[str, Any]]) -> Iterator[Found]:
        for hit in hits:
            source = hit["_source"]
            text = _at(source, self.text_field)
            line = text if isinstance(text, str) else json.dumps(source, ensure_ascii=False)
            told = ((label, _at(source, name)) for label, name in self.label_fields.items())
            labels = tuple((label, str(value)) for label, value in told if isinstance(value, str | int | float))
            key = f"{hit['_index']}\n{hit['_id']}".encode("utf-8", "replace")
            yield Found(sane(int(hit["sort"][0])), key, line, labels)


def _at(source: Any, name: str) -> Any:
    """A field under its whole name or along its dots; None where there is none."""
    if isinstance(source, dict) and name in source:
        return source[name]
    for part in name.split("."):
        source = source.get(part) if isinstance(source, dict) else None
    return source
