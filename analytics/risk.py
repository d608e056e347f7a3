"""How likely a service is to fail soon: learned from what came before its incidents, scored by what happened. Pure.

In every slot a service has a set of signs: anomalies by metric and kind, a change, something that runs out. Bayes' rule
over the signs, each counted with and without an incident within the horizon. Two things keep it from being too sure.
Slots of one hour share one outcome, so that evidence is counted in hours a sign stood, not in slots. And of many signs
some stand before an incident by chance: what a sign says counts by how likely it is to say anything at all
(``told_of``). Signs that come together are not independent, so that of several only the strongest counts whole, the
next half, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NAN = float("nan")
#: A service is learned about until it had so many incidents and slots.
LEAST_INCIDENTS, LEAST_SLOTS = 3, 144.0
#: Signs of one service that are remembered.
MOST_SIGNS = 60
#: Slots' worth of doubt in every count.
DOUBT = 2.0
#: Before it is seen: of so many signs one tells of an incident; of a service with more signs, one of all that it had.
ONE_OF = 20.0
#: Risks are never surer than this.
SUREST = 0.98
#: Risk from which people are warned.
WARN = 0.3
#: A slot is so many seconds; an incident counts when it comes within the horizon after it.
SLOT, HORIZON = 600.0, 3600.0
#: Old slots count less once in so many slots, a day of them: to do it at each was half of all the work.
AGEING = 144
#: Share of them that stays then: half is forgotten in 30 days.
KEEP = 0.5 ** (AGEING * SLOT / (30 * 86_400.0))
#: Lead times that are kept.
MOST_LEADS = 50


@dataclass(frozen=True, slots=True)
class Part:
    """What one sign adds, in natural logarithms of odds."""

    sign: str
    weight: float
    before: int  #: of these, before an incident
    times: int  #: hours it stood that began apart: each has an outcome of its own


@dataclass(frozen=True, slots=True)
class Risk:
    """``value`` NaN while the service is learned about."""

    value: float
    base: float  #: without looking at any sign
    parts: tuple[Part, ...] = ()  #: of the signs there are, the weightiest first

    @property
    def learning(self) -> bool:
        return math.isnan(self.value)


@dataclass(slots=True)
class Record:
    """What predictions of one service came to."""

    scored: float = 0.0
    brier: float = 0.0  #: sum of squares of (risk - outcome)
    plain: float = 0.0  #: the same of the share of slots before incidents: what knows nothing would score
    warned: float = 0.0  #: slots with a warning
    right: float = 0.0  #: of these, before an incident
    hits: int = 0  #: incidents with a warning in the horizon before
    misses: int = 0
    leads: list[float] = field(default_factory=list)  #: seconds from the first warning to the incident


@dataclass(slots=True)
class Memory:
    """All that is known of one service; plain numbers, kept as JSON."""

    slots: float = 0.0
    bad: float = 0.0  #: slots with an incident within the horizon
    incidents: int = 0
    #: Sign -> [slots with it, of these bad, hours of its own, when the newest of these began].
    signs: dict[str, list[float]] = field(default_factory=dict)
    dropped: float = 0.0  #: signs that were no longer remembered
    age: int = 0  #: slots since old ones were made to count less
    record: Record = field(default_factory=Record)

    @property
    def trained(self) -> bool:
        return self.incidents >= LEAST_INCIDENTS and self.slots >= LEAST_SLOTS

    def forget(self, keep: float) -> None:
        """Counts of old slots weigh less; ``keep`` is the share that stays."""
        self.slots, self.bad, self.dropped = self.slots * keep, self.bad * keep, self.dropped * keep
        self.signs = {name: [*(part * keep for part in counts[:3]), counts[3]] for name, counts in self.signs.items()}
        for name in ("scored", "brier", "plain", "warned", "right"):
            setattr(self.record, name, getattr(self.record, name) * keep)

    def learn(self, signs: Iterable[str], *, bad: bool, at: float) -> None:
        """One slot whose outcome is known; ``at`` in seconds since the epoch."""
        self.age += 1
        if self.age >= AGEING:
            self.age = 0
            self.forget(KEEP)
        self.slots, self.bad = self.slots + 1.0, self.bad + bad
        for name in signs:
            counts = self.signs.setdefault(name, [0.0, 0.0, 0.0, at - HORIZON])
            counts[0], counts[1] = counts[0] + 1.0, counts[1] + bad
            if at - counts[3] >= HORIZON:  # outcomes of slots that are closer overlap: they are one piece of evidence
                counts[2], counts[3] = counts[2] + 1.0, at
        if len(self.signs) > MOST_SIGNS:
            rarest = sorted(self.signs, key=lambda name: (self.signs[name][1], self.signs[name][0], name))
            for name in rarest[: len(self.signs) - MOST_SIGNS]:
                del self.signs[name]
                self.dropped += 1.0

    def score(self, value: float, base: float, *, bad: bool) -> None:
        """One prediction whose outcome is known."""
        record = self.record
        record.scored += 1.0
        record.brier += (value - bad) ** 2
        record.plain += (base - bad) ** 2
        if value >= WARN:
            record.warned, record.right = record.warned + 1.0, record.right + bad

    def struck(self, lead: float | None, *, foretold: bool = True) -> None:
        """An incident came; ``lead``: seconds since the first warning, None: there was none.

        ``foretold`` is false where no risk was told in the hour before: that is neither a hit nor a miss.
        """
        if foretold:
            self.record.hits += lead is not None
            self.record.misses += lead is None
            self.record.leads = [*self.record.leads, *([] if lead is None else [lead])][-MOST_LEADS:]
        self.incidents += 1

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        record = {name: getattr(self.record, name) for name in Record.__slots__}
        return {"slots": self.slots, "bad": self.bad, "incidents": self.incidents, "signs": self.signs,
                "dropped": self.dropped, "age": self.age, "record": record}  # fmt: skip

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Memory:
        signs = {name: _as_kept(counts) for name, counts in found["signs"].items()}
        return cls(**{**found, "signs": signs, "record": Record(**found["record"])})


def _as_kept(counts: Sequence[float]) -> list[float]:
    """Memories from before hours were counted have slots alone: six at most are one hour."""
    return list(counts) if len(counts) == 4 else [*counts, math.ceil(counts[0] * SLOT / HORIZON), 0.0]


def risk(memory: Memory, signs: Collection[str]) -> Risk:
    """The probability of an incident within the horizon, by the signs there are now."""
    base = _usual(memory)
    parts = sorted((_part(memory, name) for name in signs), key=lambda one: (-one.weight, one.sign))
    if not memory.trained:
        return Risk(NAN, base, tuple(parts))
    for_it = [one.weight for one in parts if one.weight > 0]
    against = [one.weight for one in reversed(parts) if one.weight < 0]
    odds = _odds(base) + _together(for_it) + _together(against) + _absent(memory, signs)
    return Risk(min(1.0 / (1.0 + math.exp(-odds)), SUREST), base, tuple(parts))


def _together(weights: Sequence[float]) -> float:
    """The strongest counts whole, each further one half of the one before."""
    return sum(weight * 0.5**place for place, weight in enumerate(weights))


def _part(memory: Memory, sign: str) -> Part:
    slots, bad, hours, _ = memory.signs.get(sign, (0.0, 0.0, 0.0, 0.0))
    if not slots:
        return Part(sign, 0.0, 0, 0)
    usual = _usual(memory)
    tells, chance = told_of(hours * bad / slots, hours, usual, _one_of(memory))
    told = tells * chance + (1.0 - tells) * usual
    return Part(sign, _odds(told) - _odds(usual), round(hours * bad / slots), round(hours))


def told_of(before: float, hours: float, usual: float, one_of: float) -> tuple[float, float]:
    """How likely a sign tells of incidents at all, and the chance of an incident if it does.

    Two ways to explain that it stood ``before`` an incident in so many of its ``hours``: by chance, as any hour does
    with probability ``usual``; or with a probability of its own, of which nothing is known before (Laplace's rule of
    succession). The ratio of their likelihoods, and that one of so many signs tells, give the first answer.
    """
    calm = hours - before
    own = math.lgamma(before + 1.0) + math.lgamma(calm + 1.0) - math.lgamma(hours + 2.0)
    by_chance = before * math.log(usual) + calm * math.log(1.0 - usual)
    odds = min(own - by_chance - math.log(one_of), 500.0)
    return 1.0 / (1.0 + math.exp(-odds)), (before + 1.0) / (hours + 2.0)


def _usual(memory: Memory) -> float:
    """The chance of an incident within the horizon, without looking at any sign."""
    return (memory.bad + 1.0) / (memory.slots + 20.0)


def _one_of(memory: Memory) -> float:
    return max(ONE_OF, len(memory.signs) + memory.dropped)


def _odds(chance: float) -> float:
    return math.log(chance / (1.0 - chance))


def _absent(memory: Memory, signs: Collection[str]) -> float:
    """What it says that the sign which tells most is not there."""
    usual, one_of = _usual(memory), _one_of(memory)
    return min((_missed(memory, counts, usual, one_of) for name, counts in memory.signs.items() if name not in signs),
               default=0.0)  # fmt: skip


def _missed(memory: Memory, counts: Sequence[float], usual: float, one_of: float) -> float:
    slots, bad, hours, _ = counts
    ratio = (1.0 - _share(bad, memory.bad)) / (1.0 - _share(slots - bad, memory.slots - memory.bad))
    if ratio >= 1.0:
        return 0.0
    tells, _ = told_of(hours * bad / slots, hours, usual, one_of)
    return math.log(1.0 - tells * (1.0 - ratio))


def _share(some: float, of: float) -> float:
    """With a doubt that keeps it from 0 and 1."""
    return (some + 0.5 * DOUBT * 0.1) / (of + DOUBT)


@dataclass(slots=True)
class Slot:
    """A prediction whose outcome is not known yet."""

    at: float  #: seconds since the epoch
    value: float | None  #: None: the service was learned about
    base: float
    signs: list[str]


@dataclass(slots=True)
class Watch:
    """One service over time: every tick predicts, and learns from those whose horizon is over."""

    memory: Memory = field(default_factory=Memory)
    pending: list[Slot] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)  #: incidents that pending predictions are judged by

    def tick(self, now: float, signs: Collection[str], struck: Iterable[float], *, busy: bool) -> Risk:
        """The risk now. ``struck``: incidents since the last tick; ``busy``: one is open, nothing is to be foretold."""
        for at in sorted(struck):
            if self.opened and at - self.opened[-1] < SLOT:
                continue  # several rules found the same trouble
            told = [one for one in self.pending if one.value is not None and at - HORIZON <= one.at < at]
            warned = [one.at for one in told if (one.value or 0.0) >= WARN]
            self.memory.struck(at - min(warned) if warned else None, foretold=bool(told))
            self.opened.append(at)
        self._learn(now)
        found = risk(self.memory, signs)
        if not busy:
            self.pending.append(Slot(now, None if found.learning else found.value, found.base, sorted(signs)))
        return found

    def newest(self, at: float) -> Risk:
        """The risk that was told ``at`` that time."""
        signs = self.pending[-1].signs if self.pending and abs(self.pending[-1].at - at) < 1.0 else ()
        return risk(self.memory, signs)

    def _learn(self, now: float) -> None:
        for one in [each for each in self.pending if now - each.at >= HORIZON]:
            bad = any(one.at < at <= one.at + HORIZON for at in self.opened)
            if one.value is not None:
                self.memory.score(one.value, one.base, bad=bad)
            self.memory.learn(one.signs, bad=bad, at=one.at)
        self.pending = [one for one in self.pending if now - one.at < HORIZON]
        self.opened = [at for at in self.opened if now - at < 2 * HORIZON]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        slots = [[one.at, one.value, one.base, one.signs] for one in self.pending]
        return {"memory": self.memory.plain(), "pending": slots, "opened": self.opened}

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Watch:
        return cls(Memory.of(found["memory"]), [Slot(*one) for one in found["pending"]], list(found["opened"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """How good the predictions of a service were; NaN where there is none."""

    scored: int
    brier: float
    skill: float  #: 1 - brier / that of the base rate; above 0 is better than knowing nothing; NaN of too few incidents
    precision: float  #: share of warned slots before an incident
    hits: int
    misses: int
    hit_rate: float
    lead_seconds: float  #: median


def worth(record: Record) -> Worth:
    known, every = record.scored > 0, record.hits + record.misses
    leads = sorted(record.leads)
    return Worth(
        scored=round(record.scored),
        brier=record.brier / record.scored if known else NAN,
        skill=1.0 - record.brier / record.plain if record.plain > 0 and every >= LEAST_INCIDENTS else NAN,
        precision=record.right / record.warned if record.warned > 0 else NAN,
        hits=record.hits,
        misses=record.misses,
        hit_rate=record.hits / every if every else NAN,
        lead_seconds=leads[len(leads) // 2] if leads else NAN,
    )
