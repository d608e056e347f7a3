"""Reads results of PromQL queries from any server that speaks Prometheus's query API."""

from __future__ import annotations

import asyncio
import json
from dataclasses import field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.model import METRIC_NAME, Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels
from .exposition_line import number
from .fetch import fetch
from .http_identity import HttpIdentity

#: Queries asked at the same time of one server.
PARALLEL = 4
#: Statuses whose body is Prometheus's own JSON answer, error or not (web/api/v1/api.go).
STATUSES = (200, 400, 422, 503)


@dataclass(kw_only=True, config=STRICT)
class PrometheusApi(HttpIdentity):
    """Each query's instant vector as series named by its key, with the labels the server gave.

    Good for: Prometheus, VictoriaMetrics, Thanos, Mimir as a source of ready-made figures. Not for: copying a whole
    server (let it remote-write). A query that fails is counted and its series go stale; the others go on.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series that has not got them
    url: str  #: root of the server: http://host:9090, with the path prefix if it has one
    queries: dict[str, str]  #: metric name -> PromQL
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for all queries together
    max_bytes: int = Field(default=64 << 20, gt=0)  #: largest answer
    sample_limit: int = Field(default=100_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    honor_labels: bool = True  #: keep the results' own job and instance instead of renaming them exported_*

    def __post_init__(self) -> None:
        where = self.check_url(self.url)
        if not self.queries:
            raise ValueError("queries must name at least one query")
        self.target_labels = target_labels(self.name, self.labels, default_instance=where)
        target = f"prometheus_api/{self.name}"
        self._sheet = Sheet(target, self.target_labels, honor=self.honor_labels, limit=self.sample_limit)
        self.problems: dict[str, str] = {}  #: query -> why it brought nothing, in the last reading

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        room = asyncio.Semaphore(PARALLEL)
        try:
            async with asyncio.timeout(self.timeout):
                answers = await asyncio.gather(
                    *(self._ask(room, promql, now, outbound) for promql in self.queries.values())
                )
        except TimeoutError:
            raise CollectError(f"no answer within {self.timeout:g} s", reason="timeout") from None
        failures = [answer for answer in answers if isinstance(answer, CollectError)]
        if len(failures) == len(answers):
            raise failures[0]
        readings: list[Reading] = []
        rejected: dict[str, int] = {}
        named = zip(self.queries, answers, strict=True)
        self.problems = {name: str(answer) for name, answer in named if isinstance(answer, CollectError)}
        for name, answer in zip(self.queries, answers, strict=True):
            failed = isinstance(answer, CollectError)
            readings.append(("watchkeeper_query_success", (("query", name),), float(not failed)))
            if not isinstance(answer, CollectError):
                readings.extend(_rows(name, answer[0], rejected))
        tick = self._sheet.tick(now, readings)
        for reason, count in self._sheet.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
        size = sum(answer[1] for answer in answers if not isinstance(answer, CollectError))
        return Collected(ticks=[tick], rejected=rejected, body_bytes=size)

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """Nothing is held between collections."""

    async def _ask(
        self, room: asyncio.Semaphore, promql: str, now: datetime, outbound: Outbound
    ) -> tuple[list[Any], int] | CollectError:
        """(result rows, body size), or why this query has none."""
        form = urlencode({"query": promql, "time": f"{now.timestamp():.3f}"}).encode()
        async with room:
            try:
                response = await fetch(
                    outbound,
                    "POST",
                    f"{self.url.rstrip('/')}/api/v1/query",
                    headers={"content-type": "application/x-www-form-urlencoded", **self.headers, **self.basic()},
                    content=form,
                    timeout=self.timeout,
                    max_bytes=self.max_bytes,
                    bearer_token_file=self.bearer_token_file,
                    statuses=STATUSES,
                    trust=self.trust,
                )
                return await asyncio.to_thread(_result, response.body), len(response.body)
            except CollectError as error:
                return error


def _result(body: bytes) -> list[Any]:
    """The rows of an instant query's answer; a scalar is one row without labels."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise CollectError("the answer is no JSON", reason="parse") from None
    if not isinstance(answer, dict):
        raise CollectError("the answer is no query result", reason="parse")
    if answer.get("status") != "success":
        raise CollectError(f"the server refused the query: {str(answer.get('error', ''))[:200]}", reason="query")
    data = answer.get("data")
    kind, rows = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind == "scalar":
        return [{"metric": {}, "value": rows}]
    if kind != "vector" or not isinstance(rows, list):
        raise CollectError(f"the query must give an instant vector or a scalar, not {str(kind)[:40]}", reason="query")
    return rows


def _rows(name: str, rows: list[Any], rejected: dict[str, int]) -> list[Reading]:
    readings: list[Reading] = []
    for row in rows:
        try:
            own = tuple(sorted((str(key), str(text)) for key, text in row["metric"].items() if key != METRIC_NAME))
            _, text = row["value"]
            readings.append((name, own, number(text)))
        except (KeyError, TypeError, ValueError, AttributeError):
            reason = "histogram" if isinstance(row, dict) and "histogram" in row else "parse"
            rejected[reason] = rejected.get(reason, 0) + 1
    return readings
