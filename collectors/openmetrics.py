"""Scrapes one ``/metrics`` page, as Prometheus does."""

from __future__ import annotations

import asyncio
from dataclasses import field
from datetime import datetime
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.errors import CollectError
from watchkeeper.model import STALE_NAN, Tick
from watchkeeper.outbound import Outbound, Response
from watchkeeper.ports import Collected

from .base import STRICT, target_labels
from .exposition import Exposition, Metadata, Page
from .fetch import fetch

#: Classic text first: it has no exemplars, so the page keeps its shape and the fast path holds.
ACCEPT = "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
#: Pages above this many bytes are read in a thread, so that the event loop stays free.
INLINE_BYTES = 128 << 10


@dataclass(kw_only=True, config=STRICT)
class Openmetrics:
    """All series of one exporter's page, with ``job`` and ``instance``; series that went away are marked stale.

    Good for: anything that speaks Prometheus text or OpenMetrics. Not for: another Prometheus's results (use
    ``prometheus_api``). Time stamps on the page are read over and counted in ``timestamps_ignored``.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series: service, environment, ...
    url: str  #: http or https address of the page
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for the whole exchange
    max_bytes: int = Field(default=64 << 20, gt=0)  #: largest page, after decompression
    sample_limit: int = Field(default=100_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    headers: dict[str, str] = field(default_factory=dict)  #: sent with the request
    bearer_token_file: str = ""  #: file with a token, read for every request
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; host:port of the URL when empty
    honor_labels: bool = False  #: keep the page's own job, instance, ... instead of renaming them exported_*

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http://host:port/path or https://...")
        where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=where
        )
        self.target = f"openmetrics/{self.name}"
        self.timestamps_ignored = 0  #: samples whose own time stamp was read over, since start
        self._page = self._new_page()

    @property
    def metadata(self) -> dict[str, Metadata]:
        """Type, help and unit by metric family, as the last changed page stated them."""
        return self._page.metadata

    async def collect(self, now: datetime, outbound: Outbound) -> Collected:
        response = await fetch(
            outbound,
            "GET",
            self.url,
            headers={"accept": ACCEPT, **self.headers},
            timeout=self.timeout,
            max_bytes=self.max_bytes,
            bearer_token_file=self.bearer_token_file,
        )
        _check_whole(response)
        openmetrics = "openmetrics-text" in response.headers.get("content-type", "")
        if len(response.body) > INLINE_BYTES:
            page = await asyncio.to_thread(self._page.read, response.body, openmetrics=openmetrics)
        else:
            page = self._page.read(response.body, openmetrics=openmetrics)
        return self._collected(now, page, len(response.body))

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failed scrape: marks every series of the last page stale, once."""
        layout = self._page.layout
        self._page = self._new_page()  # a thread may still be at work on the old one
        if not len(layout):
            return None
        return Tick(target=self.target, time_ms=to_ms(now), layout=layout, values=np.full(len(layout), STALE_NAN))

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        self._page = self._new_page()

    def _new_page(self) -> Exposition:
        return Exposition(self.target_labels, sample_limit=self.sample_limit, honor_labels=self.honor_labels)

    def _collected(self, now: datetime, page: Page, size: int) -> Collected:
        self.timestamps_ignored += page.timestamps
        ticks = []
        if len(page.layout):
            ticks = [Tick(target=self.target, time_ms=to_ms(now), layout=page.layout, values=page.values)]
        return Collected(ticks=ticks, rejected=dict(page.rejected), body_bytes=size)


def _check_whole(response: Response) -> None:
    """Without a declared length nobody can tell whether the last line is whole, unless it ends."""
    declared = {"content-length", "transfer-encoding"} & set(response.headers)
    if not declared and response.body and not response.body.endswith(b"\n"):
        raise CollectError("the page ends inside a line and its length was not declared", reason="parse")
