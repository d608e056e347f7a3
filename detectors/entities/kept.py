"""Entities as JSON and back, so that what was learned outlives a restart."""

from __future__ import annotations

from array import array
from dataclasses import asdict
from datetime import tzinfo
from typing import Any

from .act import KINDS, Place
from .decay import Decayed
from .entity import Entity
from .guessing import Pair, Refusals
from .habits import Habits
from .peers import Peers
from .risk import Reason, Risk
from .volume import Volume
from .watch import Entities

#: Of the form that is written; another one is learned anew.
VERSION = 1


def state(entities: Entities) -> dict[str, Any]:
    """Everything, as ``json.dumps`` takes it."""
    return {
        "version": VERSION,
        "peers": {kind: asdict(one) for kind, one in entities.peers.items()},
        "entities": [_entity(one) for known in entities.known.values() for one in known.values()],
    }


def restored(kept: dict[str, Any], zone: tzinfo, most: int) -> Entities:
    """Raises KeyError, TypeError or ValueError for what is no such state."""
    if kept["version"] != VERSION:
        raise ValueError(f"version {kept['version']!r} of entities is not {VERSION}")
    found = Entities(zone, most)
    found.peers = {kind: Peers(**kept["peers"][kind]) for kind in KINDS}
    for row in kept["entities"]:
        one = _of_row(row)
        if len(found.known[one.kind]) < most:
            found.known[one.kind][one.name] = one
    return found


def _entity(one: Entity) -> dict[str, Any]:
    plain = {name: getattr(one, name) for name in ("kind", "name", "first", "last", "service", "acts", "refused")}
    parts = {
        "refusals": one.refusals and asdict(one.refusals),
        "habits": one.habits and asdict(one.habits),
        "counts": one.counts and _volume(one.counts),
        "sizes": one.sizes and _volume(one.sizes),
    }
    risk = [asdict(reason) for reason in one.risk.reasons.values()]
    return plain | {"risk": risk} | {name: part for name, part in parts.items() if part}


def _volume(one: Volume) -> dict[str, Any]:
    return asdict(one) | {"means": one.means.tolist(), "weights": one.weights.tolist()}


def _of_row(row: dict[str, Any]) -> Entity:
    row = dict(row)
    if row["kind"] not in KINDS:
        raise ValueError(f"there is no kind {row['kind']!r} of entity")
    reasons = [Reason(**one) for one in row.pop("risk")]
    row["risk"] = Risk({one.name: one for one in reasons})
    for name, build in (("refusals", _refusals), ("habits", _habits), ("counts", _amounts), ("sizes", _amounts)):
        if name in row:
            row[name] = build(dict(row[name]))
    return Entity(**row)


def _refusals(row: dict[str, Any]) -> Refusals:
    pairs = {
        name: Pair(**{part: Decayed(**one) for part, one in row[name].items()}) for name in ("refused", "accepted")
    }
    return Refusals(**row | pairs | {"usual": Decayed(**row["usual"])})


def _habits(row: dict[str, Any]) -> Habits:
    seen = {part: {name: Decayed(**one) for name, one in known.items()} for part, known in row["seen"].items()}
    last = row["last"]
    if last is not None:
        at, place, source = last
        last = (at, Place(**place), source)
    return Habits(**row | {"acts": Decayed(**row["acts"]), "seen": seen, "last": last})


def _amounts(row: dict[str, Any]) -> Volume:
    return Volume(**row | {name: array("f", row[name]) for name in ("means", "weights")})
