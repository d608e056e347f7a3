"""Every entity that is known, bounded: what it did goes in, risks come out."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from .act import KINDS, Act, Kind
from .entity import Entity
from .peers import Peers
from .risk import Reason

#: Seconds without an act after which an entity is forgotten.
FORGOTTEN = 60 * 86_400.0
#: Share of the entities that go when there is no room.
SHARE = 0.05

#: Reasons of an address that the users who sign in from it share, and how much of them.
GUESSING, SHARED = ("brute_force", "many_users"), 0.8


@dataclass(frozen=True, slots=True)
class Standing:
    """One entity's risk at a time."""

    entity: Entity
    risk: float  #: 0 to 100
    reasons: list[tuple[Reason, float]]  #: and the points left of each, the gravest first


class Entities:
    """Baselines of users, addresses, machines and services. Arithmetic only: times come with the acts."""

    def __init__(self, zone: tzinfo, most: int = 5000) -> None:
        self.zone, self.most = zone, most
        self.known: Mapping[Kind, dict[str, Entity]] = {kind: {} for kind in KINDS}
        self.peers: Mapping[Kind, Peers] = {kind: Peers() for kind in KINDS}
        self.refused: Counter[str] = Counter()  #: kind -> acts of entities for which there was no room

    def take(self, acts: Iterable[Act]) -> None:
        """Acts in about the order of their times."""
        for act in acts:
            for kind in KINDS:
                name = act.name(kind)
                if name and (entity := self._entity(kind, name, act)) is not None:
                    entity.take(act, self.zone, self.peers[kind])
            if act.signed_in and act.user and act.source:
                self._from_a_guesser(act)

    def doubt(self, about: Act, reason: Reason) -> None:
        """What others found out about those that ``about`` names: a reason like ours, but no act of theirs."""
        for kind in KINDS:
            name = about.name(kind)
            if name and (entity := self._entity(kind, name, about)) is not None:
                entity.risk.add(reason)

    def risks(self, now: float, least: float = 1.0) -> list[Standing]:
        """Those with a risk of at least so much, the highest first."""
        found = []
        for entity in self._risky():
            risk = entity.risk.total(now)
            if risk >= least:
                found.append(Standing(entity, risk, entity.risk.standing(now)))
        return sorted(found, key=lambda one: (-one.risk, one.entity.kind, one.entity.name))

    def standing(self, kind: Kind, name: str, now: float) -> Standing | None:
        """None: never seen."""
        entity = self.known[kind].get(name)
        return None if entity is None else Standing(entity, entity.risk.total(now), entity.risk.standing(now))

    def forget(self, now: float) -> None:
        """Reasons that have faded, and entities that have not been seen for long."""
        for entity in self._risky():
            entity.risk.forget(now)
        for known in self.known.values():
            for name in [name for name, one in known.items() if now - one.last > FORGOTTEN]:
                del known[name]

    def remove(self, named: Callable[[str], bool], *, dry_run: bool = False) -> int:
        """Entities of these names, and reasons of others that tell of them; how many there were."""
        found = 0
        for known in self.known.values():
            gone = [name for name in known if named(name)]
            found += len(gone)
            for name in gone if not dry_run else ():
                del known[name]
        if not dry_run:
            for entity in [one for known in self.known.values() for one in known.values()]:
                entity.part_with(named)
        return found

    def counts(self) -> dict[str, int]:
        return {kind: len(known) for kind, known in self.known.items()}

    def detail(self, standing: Standing) -> dict[str, Any]:
        """What is usual for it, for people."""
        one, found = standing.entity, dict[str, Any]()
        if one.habits is not None:
            found["habits"] = one.habits.usual(one.last)
        if one.counts is not None:
            found["acts_in_ten_minutes"] = round(one.counts.usual(self.zone), 1)
        if one.sizes is not None:
            found["bytes_in_ten_minutes"] = round(one.sizes.usual(self.zone))
        return found

    def _from_a_guesser(self, act: Act) -> None:
        """Who signs in from where others' passwords are guessed shares that risk: this one may be the guessed one."""
        user, source = self.known["user"].get(act.user), self.known["source"].get(act.source)
        if user is None or source is None:
            return
        points = max((one.now(act.at) for one in source.risk.reasons.values() if one.name in GUESSING), default=0.0)
        detail = {"source": act.source}
        user.risk.add(Reason(name="guessing_source", points=SHARED * points, at=act.at, detail=detail))

    def _risky(self) -> list[Entity]:
        return [one for known in self.known.values() for one in known.values() if one.risk.reasons]

    def _entity(self, kind: Kind, name: str, act: Act) -> Entity | None:
        known = self.known[kind]
        found = known.get(name)
        if found is None:
            if len(known) >= self.most and not self._room(kind, act):
                self.refused[kind] += 1
                return None
            found = known[name] = Entity(kind, name, act.at, act.at, act.service)
        return found

    def _room(self, kind: Kind, act: Act) -> bool:
        """Newcomers of no risk make room, oldest first; names that were only tried push nobody out."""
        if kind == "user" and act.refused:
            return False
        known = self.known[kind]
        count = max(1, int(self.most * SHARE))
        order = heapq.nsmallest(
            count, known.values(), key=lambda one: (one.risk.total(act.at) >= 1.0, one.settled(), one.last)
        )
        for one in order:
            del known[one.name]
        return True
