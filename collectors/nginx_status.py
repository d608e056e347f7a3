"""nginx's own ``stub_status`` page, under the names of nginx-prometheus-exporter."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import datetime
from urllib.parse import urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Sheet, target_labels
from .fetch import fetch

#: The whole page, as ngx_http_stub_status_module writes it.
PAGE = re.compile(
    rb"Active connections: (\d+)\s+server accepts handled requests(?: request_time)?\s+(\d+) (\d+) (\d+)(?: \d+)?\s+"
    rb"Reading: (\d+) Writing: (\d+) Waiting: (\d+)\s*"
)
#: Names by position.
NAMES = (
    "nginx_connections_active",
    "nginx_connections_accepted",
    "nginx_connections_handled",
    "nginx_http_requests_total",
    "nginx_connections_reading",
    "nginx_connections_writing",
    "nginx_connections_waiting",
)


@dataclass(kw_only=True, config=STRICT)
class NginxStatus:
    """The seven figures of ``stub_status``; Tengine's too. Not for: NGINX Plus's API (use ``json_http``)."""

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    url: str  #: http or https address of the page
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for the whole exchange
    max_bytes: int = Field(default=64 << 10, gt=0)  #: largest page
    headers: dict[str, str] = field(default_factory=dict)  #: sent with the request
    bearer_token_file: str = ""  #: file with a token, read for every request
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; host:port of the URL when empty

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http://host:port/path or https://...")
        where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=where
        )
        self._sheet = Sheet(f"nginx_status/{self.name}", self.target_labels)

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        answer = await fetch(
            outbound,
            "GET",
            self.url,
            headers=self.headers,
            timeout=self.timeout,
            max_bytes=self.max_bytes,
            bearer_token_file=self.bearer_token_file,
        )
        found = PAGE.fullmatch(answer.body)
        if found is None:
            raise CollectError("this is not nginx's stub_status page", reason="parse")
        readings = [(name, (), float(value)) for name, value in zip(NAMES, found.groups(), strict=True)]
        return Collected(ticks=[self._sheet.tick(now, readings)], body_bytes=len(answer.body))

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failure: marks all series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        """Nothing is held."""
