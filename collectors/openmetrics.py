"""Scrapes one ``/metrics`` page, as Prometheus does."""

from __future__ import annotations

import asyncio
from dataclasses import field
from datetime import datetime

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.clock import to_ms
from watchkeeper.errors import CollectError
from watchkeeper.model import STALE_NAN, Labels, Layout, Tick
from watchkeeper.model.series import FloatArray
from watchkeeper.outbound import Outbound, Response
from watchkeeper.ports import Collected
from watchkeeper.relabel import Rule, relabel

from .base import STRICT, target_labels
from .exposition import Exposition, Metadata, Page
from .exposition_line import LabelLimits
from .fetch import fetch
from .http_identity import HttpIdentity
from .stamped import Stamped

#: Classic text first: it has no exemplars, so the page keeps its shape and the fast path holds.
ACCEPT = "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
#: Pages above this many bytes are read in a thread, so that the event loop stays free.
INLINE_BYTES = 128 << 10


@dataclass(kw_only=True, config=STRICT)
class Openmetrics(HttpIdentity):
    """All series of one exporter's page, with ``job`` and ``instance``; series that went away are marked stale.

    Good for: anything that speaks Prometheus text or OpenMetrics. Not for: another Prometheus's results (use
    ``prometheus_api``). Exemplars are counted in ``exemplars`` and not kept; a native histogram is refused by its name.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series: service, environment, ...
    url: str  #: http or https address of the page
    timeout: float = Field(default=10.0, gt=0, le=300)  #: seconds for the whole exchange
    max_bytes: int = Field(default=64 << 20, gt=0)  #: largest page, after decompression
    sample_limit: int = Field(default=100_000, gt=0)  #: series; known ones stay, new ones beyond it are refused
    job: str = ""  #: job label; the collector's name when empty
    instance: str = ""  #: instance label; host:port of the URL when empty
    honor_labels: bool = False  #: keep the page's own job, instance, ... instead of renaming them exported_*
    honor_timestamps: bool = True  #: keep the page's own time stamps; without it every sample has the scrape's time
    label_limit: int = Field(default=64, gt=0)  #: labels of a series; a series with more is refused
    label_name_length_limit: int = Field(default=4096, gt=0)  #: characters
    label_value_length_limit: int = Field(default=4096, gt=0)  #: characters
    metric_relabel_configs: list[Rule] = field(default_factory=list)  #: Prometheus's rules over each new series

    def __post_init__(self) -> None:
        where = self.check_url(self.url)
        self.target_labels = target_labels(
            self.name, self.labels, job=self.job, instance=self.instance, default_instance=where
        )
        self.target = f"openmetrics/{self.name}"
        self.timestamps_ignored = 0  #: samples whose own time stamp was read over, since start
        self.exemplars = 0  #: read over since start
        self._stamped, self._last = Stamped(self.target), Layout(())
        self._before: frozenset[Labels] = frozenset()  #: series of the last page before failures
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
            headers={"accept": ACCEPT, **self.headers, **self.basic()},
            timeout=self.timeout,
            max_bytes=self.max_bytes,
            bearer_token_file=self.bearer_token_file,
            large=True,
            trust=self.trust,
        )
        _check_whole(response)
        kind = response.headers.get("content-type", "")
        if "application/vnd.google.protobuf" in kind:
            raise CollectError("the page is protobuf: native histograms are not read, ask for text", reason="protobuf")
        openmetrics = "openmetrics-text" in kind
        if len(response.body) > INLINE_BYTES:
            page = await asyncio.to_thread(self._page.read, response.body, openmetrics=openmetrics)
        else:
            page = self._page.read(response.body, openmetrics=openmetrics)
        return self._collected(now, page, len(response.body))

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failed scrape: marks every series of the last page stale, once."""
        layout = self._last
        if len(self._page.layout):
            self._before = frozenset(self._page.layout.series)  # what comes back after a failure is not new
        self._page, self._last = self._new_page(), Layout(())  # a thread may still be at work on the old one
        if not len(layout):
            return None
        return Tick(target=self.target, time_ms=to_ms(now), layout=layout, values=np.full(len(layout), STALE_NAN))

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None:
        self._page, self._last = self._new_page(), Layout(())

    def _new_page(self) -> Exposition:
        rules = self.metric_relabel_configs
        return Exposition(
            self.target_labels,
            sample_limit=self.sample_limit,
            honor_labels=self.honor_labels,
            relabel=(lambda series: relabel(series, rules)) if rules else None,
            limits=LabelLimits(self.label_limit, self.label_name_length_limit, self.label_value_length_limit),
        )

    def _collected(self, now: datetime, page: Page, size: int) -> Collected:
        self.exemplars += page.exemplars
        layout, values, ticks = page.layout, page.values, list[Tick]()
        if self.honor_timestamps:
            layout, values, ticks = self._own_times(page)
        else:
            self.timestamps_ignored += len(page.stamps)
        self._last = layout
        if len(layout):
            ticks.insert(0, Tick(target=self.target, time_ms=to_ms(now), layout=layout, values=values))
        added, self._before = self._added(page), frozenset()
        return Collected(ticks=ticks, rejected=dict(page.rejected), body_bytes=size, added=added)

    def _own_times(self, page: Page) -> tuple[Layout, FloatArray, list[Tick]]:
        """Stamped samples go into ticks of their own."""
        if not page.stamps and not self._stamped.any:
            return page.layout, page.values, []
        layout, values = self._stamped.split(page.layout, page.values, page.stamps)
        return layout, values, self._stamped.ticks(page.layout, page.values, page.stamps)

    def _added(self, page: Page) -> int:
        if not self._before:
            return page.added
        return sum(series not in self._before for series in page.layout.series)


def _check_whole(response: Response) -> None:
    """Without a declared length nobody can tell whether the last line is whole, unless it ends."""
    declared = {"content-length", "transfer-encoding"} & set(response.headers)
    if not declared and response.body and not response.body.endswith(b"\n"):
        raise CollectError("the page ends inside a line and its length was not declared", reason="parse")
