"""From the catalogue to what the engine runs: each service's kind becomes sources, rule packs and objectives."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from watchkeeper.app.catalogue import kinds as known_kinds
from watchkeeper.app.catalogue.inventory import entries
from watchkeeper.app.catalogue.kinds import Kind
from watchkeeper.app.catalogue.monitor import Place, mistake, monitor_sources, with_port
from watchkeeper.app.catalogue.promises import promises
from watchkeeper.app.catalogue.words import kind as kind_of
from watchkeeper.config import Config, Loaded, Source, load, yaml
from watchkeeper.config.catalogue import Entry
from watchkeeper.config.load import translate
from watchkeeper.config.objectives import TIERS
from watchkeeper.errors import ConfigError
from watchkeeper.model import Service

Placed = tuple[Place, Entry]
#: Part of the place of an entry that came out of an asset list.
INVENTORY = "inventories"


def read(path: Path | None) -> Loaded:
    """The configuration with every monitor set of the catalogue in it. Raises ConfigError."""
    return expand(load(path))


def expand(loaded: Loaded) -> Loaded:
    """``loaded`` with the sources, packs and objectives that its services bring. Raises ConfigError with the place."""
    catalogue = loaded.config.catalogue
    some = catalogue.services or catalogue.files or catalogue.inventories
    kinds = service_kinds(loaded) if some else {}  # reading them all takes a while, and most engines start without
    told: list[str] = []
    placed = list(_entries(loaded, kinds, told))
    _check(loaded, kinds, placed)
    placed, found = _monitored(loaded, placed, kinds, told)
    _differ(loaded, found)
    used = {entry.kind for _, entry in placed if entry.kind}
    packs = [*loaded.config.rules.packs, *(pack for kind in sorted(used) for pack in kinds[kind].packs)]
    if placed or any(row.kind == "kubernetes" for row in loaded.config.collect.sources):
        packs.append("catalogue")
    if loaded.config.events.used:
        packs.append("changes")
    config = loaded.config.model_copy(
        update={
            "collect": loaded.config.collect.model_copy(
                update={"sources": [*loaded.config.collect.sources, *(row for _, row in found)]}
            ),
            "rules": loaded.config.rules.model_copy(update={"packs": list(dict.fromkeys(packs))}),
            "objectives": promises(
                loaded.config.objectives, [entry for _, entry in placed], kinds, loaded.config.language
            ),
        }
    )
    services = tuple(service(entry, kinds, loaded.config, place[1]) for place, entry in placed)
    return replace(loaded, config=config, services=services, left_out=tuple(told))


def service_kinds(loaded: Loaded) -> dict[str, Kind]:
    """Shipped kinds and those of the configured folders, which win."""
    own = [path for folder in loaded.config.catalogue.kinds for path in sorted((loaded.base / folder).glob("*.y*ml"))]
    return known_kinds.shipped() | known_kinds.read(own)


def service(entry: Entry, kinds: Mapping[str, Kind], config: Config, place: Sequence[str | int] = ()) -> Service:
    """The entry as the rest of the house knows it."""
    kind = kinds.get(entry.kind)
    return Service(
        name=entry.name,
        kind=entry.kind,
        title=entry.title,
        tier=entry.tier or (kind.tier if kind else ""),
        owner=entry.owner,
        environment=entry.environment or config.environment,
        region=entry.region,
        pool=entry.pool,
        addresses=tuple(entry.addresses),
        depends_on=tuple(entry.depends_on),
        replicas=entry.replicas,
        limits=entry.limits,
        requests=entry.requests,
        links=entry.links,
        contacts=tuple(entry.contacts),
        origin="inventory" if INVENTORY in place else "file",
    )


def _entries(loaded: Loaded, kinds: Mapping[str, Kind], told: list[str]) -> Iterator[Placed]:
    """Every entry with its kind as kinds are called, and its addresses with a port where the kind has one."""
    catalogue = loaded.config.catalogue
    for index, entry in enumerate(catalogue.services):
        yield (loaded.document, ("catalogue", "services", index)), _spelt(entry, kinds)
    for file in catalogue.files:
        yield from ((place, _spelt(entry, kinds)) for place, entry in _of_file(loaded.base / file))
    tiers = {*TIERS, *loaded.config.objectives.tiers}
    for index, inventory in enumerate(catalogue.inventories):
        found = entries(inventory, loaded.base, kinds, tiers)
        told += found.told
        for line, entry in zip(found.lines, found.entries, strict=True):
            where = yaml.Document(str(loaded.base / inventory.file), None, {(): line})
            yield (where, (INVENTORY, index)), _spelt(entry, kinds)


def _spelt(entry: Entry, kinds: Mapping[str, Kind]) -> Entry:
    name = kind_of(entry.kind, kinds)
    kind = kinds.get(name)
    addresses = [with_port(one, kind.port) for one in entry.addresses] if kind and kind.port else entry.addresses
    return entry.model_copy(update={"kind": name, "addresses": addresses})


def _monitored(
    loaded: Loaded, placed: Sequence[Placed], kinds: Mapping[str, Kind], told: list[str]
) -> tuple[list[Placed], list[tuple[Place, Source]]]:
    """The entries, and the sources of each. A row of an inventory that its kind cannot watch is known without one."""
    entries: list[Placed] = []
    found: list[tuple[Place, Source]] = []
    names = {entry.name for _, entry in placed}
    for place, entry in placed:
        kept = entry
        try:
            found += list(monitor_sources(loaded, place, entry, kinds))
        except ConfigError as error:
            if INVENTORY not in place[1]:
                raise
            told.append(f"{error}; it is known without its kind")
            kept = entry.model_copy(update={"kind": ""})
        entries.append((place, kept))
        if INVENTORY in place[1]:
            unknown = [one for one in entry.depends_on if one not in names]
            names.update(unknown)
            entries += [(place, Entry(name=one)) for one in unknown]
    return entries, found


def _of_file(path: Path) -> Iterator[Placed]:
    """``services:`` of a file of its own, with the same words and the same errors."""
    document = yaml.read(path)
    data = document.data if isinstance(document.data, dict) else {}
    if set(data) != {"services"} or not isinstance(data["services"], list):
        raise document.error("must hold one key, `services:`, with a list", ())
    for index, row in enumerate(data["services"]):
        place = ("services", index)
        try:
            yield (document, place), Entry.model_validate(row)
        except ValidationError as error:
            raise translate(error, document, place, list(Entry.model_fields)) from None


def _check(loaded: Loaded, kinds: Mapping[str, Kind], placed: Sequence[Placed]) -> None:
    """Names differ, kinds and tiers exist, and nobody depends on a service that is not there."""
    names = [entry.name for _, entry in placed]
    tiers = {*TIERS, *loaded.config.objectives.tiers}
    seen: set[str] = set()
    for place, entry in placed:
        if entry.name in seen:
            raise mistake(place, f"two services share the name {entry.name!r}; names must differ", "name")
        seen.add(entry.name)
        if entry.kind and entry.kind not in kinds:
            raise mistake(place, f"unknown service kind {entry.kind!r}{_near(entry.kind, kinds)}", "kind")
        if entry.tier and entry.tier not in tiers:
            raise mistake(place, f"unknown tier {entry.tier!r}; known are {', '.join(sorted(tiers))}", "tier")
        for other in entry.depends_on if INVENTORY not in place[1] else ():
            if other not in names:
                hint = f"no service is named {other!r}{_near(other, names)}; a line with only its name is enough"
                raise mistake(place, hint, "depends_on")


def _near(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; see `watchkeeper services kinds`" if "_" in word else ""


def _differ(loaded: Loaded, found: Sequence[tuple[Place, Source]]) -> None:
    seen = {row.name for row in loaded.config.collect.sources}
    for place, row in found:
        if row.name in seen:
            raise mistake(place, f"its collector would be named {row.name!r}, and a source has that name; rename one")
        seen.add(row.name)
