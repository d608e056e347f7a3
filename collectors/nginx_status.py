"""nginx's own ``stub_status`` page, under the names of nginx-prometheus-exporter."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT
from .part import HttpPart

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
class NginxStatus(HttpPart):
    """The seven figures of ``stub_status``; Tengine's too. Not for: NGINX Plus's API (use ``json_http``)."""

    KIND: ClassVar[str] = "nginx_status"

    max_bytes: int = Field(default=64 << 10, gt=0)  #: largest page

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        answer = await self.ask(outbound)
        found = PAGE.fullmatch(answer.body)
        if found is None:
            raise CollectError("this is not nginx's stub_status page", reason="parse")
        readings = [(name, (), float(value)) for name, value in zip(NAMES, found.groups(), strict=True)]
        return Collected(ticks=[self._sheet.tick(now, readings)], body_bytes=len(answer.body))
