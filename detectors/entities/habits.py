"""When, from where and with what a user usually comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from .act import Act, Place, network
from .decay import Decayed, fade
from .risk import Reason
from .travel import impossible, kilometres

#: Seconds after which a habit counts half.
HALF_LIFE = 28 * 86_400.0
#: Days and acts before anything is called unusual.
MIN_DAYS, MIN_ACTS = 3, 20.0
#: The same for hours, of which there are 24 on workdays and as many at weekends: days, and hours of all of them.
MIN_DAYS_HOURS, MIN_HOURS = 7, 20.0
#: A share of them below this, in an hour and those around it, is unusual.
RARE_HOUR = 0.01
#: Points of what is seen for the first time: alone it is no alarm.
NEW = {"network": 15.0, "device": 15.0, "place": 30.0}
#: Names remembered of each.
MOST_NAMES = 50
#: Journeys between two places that both are usual (a private network, a telephone) count this share.
BETWEEN_USUAL, USUAL_PLACE = 0.3, 5.0


@dataclass(slots=True)
class Habits:
    """Of one user. Only what succeeded counts: others may try whatever name they like."""

    acts: Decayed = field(default_factory=Decayed)
    days: int = 0  #: days on which there was something
    day: int = 0  #: the last of them, as a proleptic ordinal
    hour: int = 0  #: the last of them, counted in hours of all days
    hours: list[float] = field(default_factory=lambda: [0.0] * 48)  #: days on which there was something at that hour
    seen: dict[str, dict[str, Decayed]] = field(default_factory=lambda: {name: {} for name in NEW})
    last: tuple[float, Place, str] | None = None  #: when, where and from which address a place was known last

    def take(self, act: Act, zone: tzinfo) -> list[Reason]:
        """What is unusual about it, which then counts as seen."""
        local = datetime.fromtimestamp(act.at, zone)
        found = [*self._new(act), *self._hour(act, local), *self._travel(act)]
        self._learn(act, local)
        return found

    def usual(self, at: float) -> dict[str, Any]:
        """What is known, for people: shares of names, acts by hour."""
        names = {
            part: {
                name: round(count.now(at, HALF_LIFE), 1)
                for name, count in sorted(known.items(), key=lambda pair: -pair[1].now(at, HALF_LIFE))[:10]
            }
            for part, known in self.seen.items()
        }
        return {
            "days": self.days,
            "acts": round(self.acts.now(at, HALF_LIFE), 1),
            "hours": _rounded(self.hours),
        } | names

    def _known(self, at: float) -> bool:
        return self.days >= MIN_DAYS and self.acts.now(at, HALF_LIFE) >= MIN_ACTS

    def _new(self, act: Act) -> Iterator[Reason]:
        if not self._known(act.at):
            return
        for part, name in _parts(act):
            if name and self.seen[part] and name not in self.seen[part]:
                yield Reason(name=f"new_{part}", points=NEW[part], at=act.at, detail={"name": name})

    def _hour(self, act: Act, local: datetime) -> Iterator[Reason]:
        total = sum(self.hours)
        if not self._known(act.at) or self.days < MIN_DAYS_HOURS or total < MIN_HOURS:
            return
        base = 24 * (local.weekday() >= 5)
        near = [self.hours[base + (local.hour + step) % 24] for step in (-1, 0, 1)]
        half = sum(self.hours[base : base + 24])
        if half < MIN_HOURS / 2:  # never at weekends: then every hour of them is
            half, near = total, [half]
        share = (sum(near) + 0.1) / (half + 2.4)
        if share < RARE_HOUR:
            points = 30.0 * (1.0 - share / RARE_HOUR)
            yield Reason(name="unusual_hour", points=points, at=act.at, detail={"hour": local.hour, "share": share})

    def _travel(self, act: Act) -> Iterator[Reason]:
        if act.place is None or self.last is None:
            return
        at, place, source = self.last
        km = kilometres(place, act.place)
        points = impossible(km, act.at - at)
        if points and all(self._usual_place(one.name, act.at) for one in (place, act.place)):
            points *= BETWEEN_USUAL
        if points:
            detail = {
                "km": round(km), "minutes": round(abs(act.at - at) / 60.0, 1), "from": place.name,
                "to": act.place.name, "source": act.source, "source_before": source,
            }  # fmt: skip
            yield Reason(name="impossible_travel", points=points, at=act.at, detail=detail)

    def _usual_place(self, name: str, at: float) -> bool:
        known = self.seen["place"].get(name)
        return known is not None and self.days >= MIN_DAYS and known.now(at, HALF_LIFE) >= USUAL_PLACE

    def _learn(self, act: Act, local: datetime) -> None:
        self.acts.add(act.at, 1.0, HALF_LIFE)
        day = local.toordinal()
        if day > self.day:
            left = fade((day - self.day) * 86_400.0, HALF_LIFE)
            self.day, self.days, self.hours = day, self.days + 1, [one * left for one in self.hours]
        if day * 24 + local.hour > self.hour:  # a busy hour is one hour, not a habit
            self.hour = day * 24 + local.hour
            self.hours[24 * (local.weekday() >= 5) + local.hour] += 1.0
        for part, name in _parts(act):
            if name:
                self._see(part, name, act.at)
        if act.place is not None and (self.last is None or act.at >= self.last[0]):
            self.last = (act.at, act.place, act.source)

    def _see(self, part: str, name: str, at: float) -> None:
        known = self.seen[part]
        if name not in known and len(known) >= MOST_NAMES:
            del known[min(known, key=lambda one: known[one].now(at, HALF_LIFE))]
        known.setdefault(name, Decayed()).add(at, 1.0, HALF_LIFE)


def _parts(act: Act) -> tuple[tuple[str, str], ...]:
    place = act.place.name if act.place is not None else ""
    return ("network", network(act.source) if act.source else ""), ("device", act.device), ("place", place)


def _rounded(hours: list[float]) -> list[float]:
    return [round(one, 2) for one in hours]
