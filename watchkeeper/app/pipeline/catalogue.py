"""Look after the catalogue: what of it is watched and who calls whom, as series for rules and rows for pages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psutil

from analytics.topology import single_points
from collectors.connections import edges as seen_edges
from collectors.connections import endpoints
from watchkeeper.app.catalogue.coverage import LOGS, PARTS, Covered, covered, ratio, watched_by
from watchkeeper.app.catalogue.discovered import Discovery, merged
from watchkeeper.app.catalogue.expand import service_kinds
from watchkeeper.app.catalogue.kinds import Kind
from watchkeeper.app.catalogue.monitor import host, port
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.app.pipeline.published import Published, Row
from watchkeeper.app.schedule import every
from watchkeeper.model import Edge, Service, label, labels
from watchkeeper.model.service import Origin
from watchkeeper.telemetry import logger

if TYPE_CHECKING:
    from watchkeeper.app.engine import Engine

log = logger(__name__)

#: The first look comes when sources have been read.
FIRST = timedelta(seconds=20)
#: A connection that was seen counts as a dependency for this long.
REMEMBERED = timedelta(hours=24)
#: Counters of calls with the labels of who calls and who is called: Tempo and the OpenTelemetry Collector, Istio.
CALLS = (
    ("traces_service_graph_request_total", "client", "server"),
    ("istio_requests_total", "source_canonical_service", "destination_canonical_service"),
)
#: Over so long a counter must have grown.
COUNTED = "10m"


@dataclass(slots=True, eq=False)
class Cataloguing:
    """``step`` looks at every service; what it found stays until the next look."""

    engine: Engine
    ask: Ask
    rows: Mapping[str, Covered] = field(default_factory=dict)
    looked_at: datetime | None = None
    discovery: Discovery = field(default_factory=Discovery)
    _seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _kinds: tuple[object, dict[str, Kind]] | None = None
    _published: Published = field(default_factory=lambda: Published("catalogue"))

    @property
    def services(self) -> tuple[Service, ...]:
        """Declared and discovered, without those that are gone."""
        return tuple(one for one in self.all_services if one.gone_at is None)

    @property
    def all_services(self) -> tuple[Service, ...]:
        """With those that went within a day."""
        declared = self.engine.loaded.services
        if not (self.discovery.found or self.discovery.gone):
            return declared
        return merged(declared, self.discovery, self.kinds)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Read once for each configuration."""
        if self._kinds is None or self._kinds[0] is not self.engine.loaded:
            self._kinds = (self.engine.loaded, service_kinds(self.engine.loaded))
            for one in self.engine.loaded.left_out:
                log.warning("left out of an inventory", what=one)
        return self._kinds[1]

    def pool_of(self, service: str) -> str:
        """The pool that a service runs in; empty where nobody says."""
        return next((one.pool for one in self.services if one.name == service), "")

    def edges(self) -> list[Edge]:
        """Declared dependencies, and observed ones that nobody declared."""
        services = self.services
        names = {one.name for one in services}
        declared = {(one.name, other): one.origin for one in services for other in one.depends_on if other in names}
        found = [Edge(source, target, _told(origin)) for (source, target), origin in declared.items()]
        found += [
            Edge(source, target, "observed")
            for source, target in self._seen
            if (source, target) not in declared and {source, target} <= names
        ]
        return sorted(found)

    @property
    def named(self) -> dict[str, str]:
        """Address -> service, of those with addresses."""
        return {f"{host(each)}:{port(each)}": one.name for one in self.services for each in one.addresses}

    async def step(self, now: datetime) -> None:
        engine = self.engine
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(engine.threads["rules"], self._look, now)
        if rows or len(self._published):
            await engine.collecting.append_derived("catalogue", [self._published.tick(rows, now)])

    def _look(self, now: datetime) -> list[Row]:
        engine = self.engine
        self.discovery.look(list(engine.sources.values()), self.ask, engine.config.environment, now)
        if not self.services:
            return []
        if engine.config.catalogue.observe:
            self._observe(now)
            self._seen |= dict.fromkeys(self._traced(now), now)
        rules = watched_by(engine.judging.book, engine.samples, now)
        sources = list(engine.sources.values())
        found = covered(self.services, self.kinds, ask=self.ask, sources=sources, rules=rules, now=now)
        self.rows, self.looked_at = {one.service: one for one in found}, now
        return list(self._series(found))

    def _observe(self, now: datetime) -> None:
        addresses = [(host(one), port(one), service.name) for service in self.services for one in service.addresses]
        try:
            for pair in seen_edges(endpoints(addresses)):
                self._seen[pair] = now
        except (psutil.AccessDenied, OSError) as error:
            log.warning("connections cannot be read", error=str(error))
        self._seen = {pair: at for pair, at in self._seen.items() if now - at <= REMEMBERED}

    def _traced(self, now: datetime) -> list[tuple[str, str]]:
        """Who called whom of late, by the traces that came and by the series of those who count calls."""
        found = self.engine.receiving_traces.edges()
        for name, caller, called in CALLS:
            rows = self.ask(f"group by ({caller}, {called}) (increase({name}[{COUNTED}]) > 0)", now)
            found += [(label(series, caller), label(series, called)) for series, _ in rows]
        return found

    def _series(self, found: Sequence[Covered]) -> Iterator[Row]:
        services = self.services
        for one in services:
            yield from self._of(one)
        yield from self._pools()
        for row in found:
            for part, there in row.parts.items():
                yield labels("watchkeeper_service_covered", service=row.service, part=part), float(there)
        if self.engine.config.catalogue.inventories:
            yield labels("watchkeeper_inventory_left_out"), float(len(self.engine.loaded.left_out))
        for part in PARTS:
            yield labels("watchkeeper_coverage_ratio", part=part), ratio(found, part)
        yield labels("watchkeeper_coverage_ratio", part="all"), ratio(found)
        yield labels("watchkeeper_coverage_target_ratio"), self.engine.config.catalogue.coverage_target
        edges = self.edges()
        for edge in edges:
            yield labels("watchkeeper_service_edge", service=edge.source, to=edge.target, origin=edge.origin), 1.0
        for name, needed in single_points(services, edges).items():
            yield labels("watchkeeper_single_point_of_failure", service=name), float(len(needed))

    def _of(self, one: Service) -> Iterator[Row]:
        about = {"kind": one.kind, "tier": one.tier, "owner": one.owner, "environment": one.environment}
        yield labels("watchkeeper_service_info", service=one.name, region=one.region, origin=one.origin, **about), 1.0
        for resource, limit in one.limits.items():
            yield labels("watchkeeper_service_limit", service=one.name, resource=resource), limit
        if one.replicas is not None:
            yield labels("watchkeeper_service_replicas_declared", service=one.name), float(one.replicas)
        up = len(self._up(one.name)) if one.addresses else one.available
        if up is not None:
            yield labels("watchkeeper_service_replicas_up", service=one.name), float(up)

    def _up(self, service: str) -> set[str]:
        """Instances that answered the last time, by the label ``instance``."""
        return {
            source.health_labels.get("instance", "")
            for source in list(self.engine.sources.values())
            if source.health_labels.get("service") == service and source.kind not in LOGS
            if source.state == "up" and source.reached is not False
        }

    def _pools(self) -> Iterator[Row]:
        """What each pool of machines has in all."""
        totals: dict[tuple[str, str], float] = {}
        for one in self.services:
            for resource, limit in one.limits.items() if one.pool else ():
                totals[(one.pool, resource)] = totals.get((one.pool, resource), 0.0) + limit * (one.replicas or 1)
        for (pool, resource), total in sorted(totals.items()):
            yield labels("watchkeeper_pool_size", pool=pool, resource=resource), total


def _told(origin: Origin) -> Origin:
    """Who said that one service calls another: inventories are files too."""
    return "kubernetes" if origin == "kubernetes" else "file"


#: How often calls that traces told are kept as series.
TRACES = timedelta(seconds=15)


def schedule(engine: Engine, now: datetime) -> None:
    async def told(at: datetime) -> None:
        tick = engine.receiving_traces.tick(at)
        if tick is not None:
            await engine.collecting.append_derived("traces", [tick])
            await engine.score([tick])

    engine.scheduler.add("traces", every(TRACES, now + TRACES), told)
    engine.scheduler.add("catalogue", every(engine.config.catalogue.every, now + FIRST), engine.cataloguing.step)
