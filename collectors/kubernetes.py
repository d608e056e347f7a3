"""A Kubernetes cluster by its API, under kube-state-metrics' names; its events become log lines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.model import Tick
from watchkeeper.outbound import Outbound
from watchkeeper.ports import Collected

from .base import STRICT, Reading, Sheet, target_labels
from .kubernetes_api import KubernetesApi
from .kubernetes_events import Events
from .kubernetes_readings import READERS
from .kubernetes_services import Workloads

#: Listed once for the cluster even when only some namespaces are watched.
WHOLE = ("node", "nodemetrics")


@dataclass(kw_only=True, config=STRICT)
class Kubernetes:
    """Nodes, pods, containers, deployments, stateful sets, claims and events of one cluster; services of the catalogue.

    Good for: clusters without kube-state-metrics. What nodes and containers use is there where the cluster has a
    metrics server; finer figures stand on the kubelet's page ``/metrics/cadvisor`` (kind ``containers``). What the
    account may not list is missing, and said by ``watchkeeper_kubernetes_listed{resource} 0``; without pods the
    collection fails.
    """

    name: str = ""  #: set by the configuration
    labels: dict[str, str] = field(default_factory=dict)  #: added to every series
    api_server: str = Field(default="", pattern=r"^(https?://\S+)?$")  #: empty: the cluster whose pod this is
    bearer_token_file: str = ""  #: read for every request; empty: the pod's own, in the cluster
    ca_file: str = ""  #: authority of the API's certificate; empty: the pod's own, in the cluster
    certificate: str = ""  #: ours, where the API knows us by it, PEM; read anew when it changes
    key: str = ""  #: its key; empty: it stands with the certificate
    namespaces: list[str] = field(default_factory=list)  #: empty: all
    events: bool = True  #: events as log lines
    services: bool = True  #: deployments and stateful sets become services of the catalogue
    timeout: float = Field(default=30.0, gt=0, le=300)  #: seconds for each list
    max_bytes: int = Field(default=64 << 20, gt=0)  #: of a page of a list
    sample_limit: int = Field(default=100_000, gt=0)  #: series; known ones stay
    job: str = ""  #: job label; the collector's name when empty

    def __post_init__(self) -> None:
        where = self.api_server.partition("://")[2].partition("/")[0].rpartition("@")[2]
        self._api = KubernetesApi(
            server=self.api_server,
            token_file=self.bearer_token_file,
            ca_file=self.ca_file,
            certificate=self.certificate,
            key=self.key,
            timeout=self.timeout,
            max_bytes=self.max_bytes,
        )
        own = target_labels(self.name, self.labels, job=self.job, default_instance=where or "kubernetes")
        self._sheet = Sheet(f"kubernetes/{self.name}", own, limit=self.sample_limit)
        self._events, self._workloads = Events(own), Workloads()

    async def collect(self, now: datetime, _outbound: Outbound) -> Collected:
        kinds = [*READERS, *(["event"] if self.events else [])]
        answers = await asyncio.gather(*(self._all(kind) for kind in kinds), return_exceptions=True)
        found: dict[str, Sequence[Mapping[str, Any]]] = {}
        for kind, answer in zip(kinds, answers, strict=True):
            if isinstance(answer, list):
                found[kind] = answer
            elif kind == "pod" or not isinstance(answer, CollectError):
                raise answer
        readings: list[Reading] = [
            ("watchkeeper_kubernetes_listed", (("resource", kind),), float(kind in found)) for kind in kinds
        ]
        try:
            for kind, read in READERS.items():
                readings += [reading for item in found.get(kind, ()) for reading in read(item)]
            known = self._workloads.read(found) if self.services else None
            lines = self._events.lines(found["event"], now) if "event" in found else []
        except (AttributeError, TypeError, ValueError, KeyError, ArithmeticError) as error:
            raise CollectError(f"an object of the API has another form: {error}", reason="parse") from None
        tick = self._sheet.tick(now, [*readings, *self._workloads.wrong, *self._events.readings()])
        return Collected(ticks=[tick], rejected=dict(self._sheet.rejected), logs=lines, services=known)

    async def _all(self, kind: str) -> list[dict[str, Any]]:
        spaces = [""] if kind in WHOLE or not self.namespaces else self.namespaces
        return [item for space in spaces for item in await self._api.listed(kind, space)]

    def stale_tick(self, now: datetime) -> Tick | None:
        """After a failed collection: marks every series stale, once."""
        return self._sheet.stale_tick(now)

    def stale_ticks(self, now: datetime) -> list[Tick]:
        """``stale_tick`` as every kind offers it."""
        tick = self.stale_tick(now)
        return [] if tick is None else [tick]

    async def close(self) -> None: ...
