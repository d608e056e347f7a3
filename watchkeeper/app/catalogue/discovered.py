"""Services that collectors discover, beside the declared ones: what is declared wins, and what is gone is marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from watchkeeper.app.catalogue.kinds import Kind
from watchkeeper.app.catalogue.words import kind as kind_of
from watchkeeper.app.pipeline.ask import Ask
from watchkeeper.app.pipeline.collect import Source
from watchkeeper.clock import from_ms
from watchkeeper.errors import QueryError
from watchkeeper.model import Service, label

#: A service that is gone is shown for this long.
SHOWN = timedelta(hours=24)
#: What was there before a restart: service -> second of its newest sample.
BEFORE = 'max by (service) (max_over_time(timestamp(watchkeeper_service_info{origin="kubernetes"})[24h:1m]))'


@dataclass(slots=True, eq=False)
class Discovery:
    """``look`` after sources were read; ``found`` and ``gone`` stay until the next look."""

    found: dict[str, Service] = field(default_factory=dict)
    gone: dict[str, Service] = field(default_factory=dict)
    _by: dict[str, str] = field(default_factory=dict)  #: service -> the source that discovered it
    _remembered: bool = False

    def look(self, sources: Iterable[Source], ask: Ask, environment: str, now: datetime) -> None:
        """Take over what the sources say. Of a source that fails or says nothing all stays, with nobody known to serve.

        ``environment``: that of services which name none.
        """
        speaking = {one.name: one for one in sources if one.services is not None}
        if speaking and not self._remembered:
            self._remember(ask, now)
        found: dict[str, Service] = {}
        by: dict[str, str] = {}
        for source in speaking.values():
            own = source.health_labels.get("environment") or environment
            for one in source.services or ():
                serving = one.available if source.state == "up" else None
                found[one.name] = replace(one, environment=one.environment or own, available=serving)
                by[one.name] = source.name
        gone = dict(self.gone)
        for name in self.found.keys() - found.keys():
            if self._by.get(name) in speaking:  # the source of others was taken out of the configuration
                gone[name] = replace(self.found[name], gone_at=now, available=None)
        shown = {name for name, one in gone.items() if one.gone_at is not None and now - one.gone_at <= SHOWN}
        self.gone = {name: gone[name] for name in shown - found.keys()}
        self.found, self._by = found, by

    def _remember(self, ask: Ask, now: datetime) -> None:
        """Services of the last life, from the series that told of them."""
        self._remembered = True
        try:
            rows = ask(BEFORE, now)
        except QueryError:  # too much to ask for: what went meanwhile is not marked
            return
        for series, second in rows:
            name = label(series, "service")
            self.gone[name] = Service(name=name, origin="kubernetes", gone_at=from_ms(second * 1000))


def merged(declared: Sequence[Service], discovery: Discovery, kinds: Mapping[str, Kind]) -> tuple[Service, ...]:
    """The whole catalogue: declared, then discovered by name, then what discovered ones name and nobody knows."""
    names = {one.name for one in declared}
    rows = [_filled(one, discovery.found.get(one.name)) for one in declared]
    rows += [_known(one, kinds) for name, one in sorted(discovery.found.items()) if name not in names]
    names |= discovery.found.keys()
    rows += [one for name, one in sorted(discovery.gone.items()) if name not in names]
    named = {other for one in discovery.found.values() for other in one.depends_on} - names
    rows += [Service(name=name, origin="kubernetes") for name in sorted(named - discovery.gone.keys())]
    return tuple(rows)


def _filled(one: Service, found: Service | None) -> Service:
    """What the declaration leaves open, as it was discovered."""
    if found is None:
        return one
    return replace(
        one,
        title=one.title or found.title,
        owner=one.owner or found.owner,
        tier=one.tier or found.tier,
        environment=one.environment or found.environment,
        region=one.region or found.region,
        depends_on=tuple(dict.fromkeys((*one.depends_on, *found.depends_on))),
        replicas=found.replicas if one.replicas is None else one.replicas,
        limits={**found.limits, **one.limits},
        requests={**found.requests, **one.requests},
        links={**found.links, **one.links},
        contacts=one.contacts or found.contacts,
        available=found.available,
        place=found.place,
    )


def _known(one: Service, kinds: Mapping[str, Kind]) -> Service:
    """Of a kind that exists; a word that names none is left out."""
    kind = kinds.get(kind_of(one.kind, kinds))
    return replace(one, kind=kind.kind if kind else "", tier=one.tier or (kind.tier if kind else ""))
