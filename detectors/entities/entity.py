"""One user, address, machine or service: its baselines and its risk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo

from .act import Act, Kind
from .guessing import Refusals
from .habits import Habits
from .peers import Peers
from .risk import Reason, Risk
from .volume import WINDOW, Volume


@dataclass(slots=True)
class Entity:
    """Parts are made when there is something for them to hold."""

    kind: Kind
    name: str
    first: float  #: seconds since the epoch
    last: float
    service: str = ""  #: where it was seen first
    acts: float = 0.0
    refused: float = 0.0
    risk: Risk = field(default_factory=Risk)
    refusals: Refusals | None = None
    habits: Habits | None = None
    counts: Volume | None = None
    sizes: Volume | None = None

    def take(self, act: Act, zone: tzinfo, peers: Peers) -> None:
        """Judge what it did by what it did before, then learn it."""
        self.last, self.first = max(self.last, act.at), min(self.first, act.at)
        self.acts += act.count
        if act.refused:
            self._refused(act)
        else:
            self._succeeded(act, zone)
        self._amounts(act, zone, peers)

    def part_with(self, named: Callable[[str], bool]) -> None:
        """Forget reasons and refusals that tell of those names."""
        reasons = self.risk.reasons
        for name in [name for name, one in reasons.items() if named(str(dict(one.detail)))]:
            del reasons[name]
        if self.refusals is not None:
            others = self.refusals.others
            self.refusals.others = {name: at for name, at in others.items() if not named(name)}

    def settled(self) -> bool:
        """Seen on more than one day, so worth more than a name somebody has just made up."""
        return self.last - self.first > 86_400.0

    def _refused(self, act: Act) -> None:
        self.refused += act.count
        if self.refusals is None:
            self.refusals = Refusals(act.at)
        self.refusals.add(act, self._other(act))
        for one in self.refusals.reasons(act, self.kind):
            self.risk.add(one)

    def _succeeded(self, act: Act, zone: tzinfo) -> None:
        if self.refusals is not None:
            signed_in = act.signed_in and self.kind in ("user", "source")
            if signed_in and (one := self.refusals.success(act, self.kind)) is not None:
                self.risk.add(one)
            self.refusals.accepted.add(act)
        if self.kind == "user":
            if self.habits is None:
                self.habits = Habits()
            for one in self.habits.take(act, zone):
                self.risk.add(one)

    def _other(self, act: Act) -> str:
        return act.user if self.kind == "source" else act.source

    def _amounts(self, act: Act, zone: tzinfo, peers: Peers) -> None:
        if self.counts is None:
            self.counts = Volume(int(act.at // WINDOW))
        closes = self.counts.window and int(act.at // WINDOW) > self.counts.window
        if closes:
            peers.learn(self.counts.amount)
        self.counts.add(act.at, act.count, zone)
        if act.size:
            if self.sizes is None:
                self.sizes = Volume(int(act.at // WINDOW), bytes=True)
            self.sizes.add(act.at, act.size, zone)
        for name, volume in (("unusual_volume", self.counts), ("unusual_bytes", self.sizes)):
            if volume is not None and (points := volume.points(zone)):
                self._beyond(name, volume, points, act.at, zone)
        if not self.settled() and (points := peers.points(self.counts.amount)):
            detail = {"amount": round(self.counts.amount), "usual": round(peers.usual())}
            self.risk.add(Reason(name="beyond_peers", points=points, at=act.at, detail=detail))

    def _beyond(self, name: str, volume: Volume, points: float, at: float, zone: tzinfo) -> None:
        detail = {"amount": round(volume.amount), "usual": round(volume.usual(zone))}
        self.risk.add(Reason(name=name, points=points, at=at, detail=detail))
