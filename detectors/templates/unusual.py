"""What is unusual about kinds of lines that are known: one that hardly ever comes, and one where it never came.

Both ask the counts how likely something unseen is (Good and Turing: as likely as what was seen once), so that a program
whose lines come in any order, or of ever new kinds, is never called unusual for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

#: Lines before any kind is called rare, and the share up to which one is.
SETTLED_LINES, RARE = 10_000, 1e-4
#: Share of steps that may be new without being unusual; also the share up to which a step is still unusual.
SURPRISE, SELDOM = 0.005, 0.001
#: Steps from a kind before any is called unusual.
SETTLED_STEPS = 200
#: Kinds that may follow one before it is said that anything may.
MOST_NEXT = 64
#: Kinds of which what follows is learned, and streams whose last line is remembered.
MOST_KINDS, MOST_STREAMS = 20_000, 10_000
#: Kinds named as what usually follows.
NAMED = 3


@dataclass(slots=True)
class Shares:
    """How many lines of each kind one program wrote."""

    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, seen: Mapping[str, int]) -> dict[str, int]:
        """Count lines by kind; of them those of kinds that are rare: kind -> lines."""
        rare = {}
        if self.total >= SETTLED_LINES:
            rare = {name: lines for name, lines in seen.items() if self.counts[name] <= RARE * self.total}
        self.counts.update(seen)
        self.total += sum(seen.values())
        return rare


@dataclass(frozen=True, slots=True)
class Step:
    """A kind of line right behind one that others follow."""

    before: str
    name: str
    usual: tuple[str, ...]  #: what follows ``before``, most frequent first
    share: float  #: of the steps from ``before`` that lead to one of ``usual``
    lines: int


class _Next:
    """What followed one kind."""

    __slots__ = ("anything", "counts", "once", "total")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.total = self.once = 0
        self.anything = False  #: whether so many kinds follow that any may

    def unusual(self, name: str) -> bool:
        return (
            self.total >= SETTLED_STEPS
            and not self.anything
            and (self.once + 1) / (self.total + 1) <= SURPRISE
            and self.counts[name] <= SELDOM * self.total
        )

    def add(self, name: str, lines: int) -> None:
        known = self.counts[name]
        self.total += lines
        if self.anything or (not known and len(self.counts) >= MOST_NEXT):
            self.anything = True
            self.counts.clear()
            return
        self.once += (known + lines == 1) - (known == 1)
        self.counts[name] = known + lines

    def join(self, other: _Next, names: Mapping[str, str]) -> None:
        """Count what followed another kind too, kinds by their new names."""
        for name, lines in other.counts.items():
            self.add(names.get(name, name), lines)
        if other.anything:
            self.anything = True
            self.total += other.total
            self.counts.clear()


@dataclass(slots=True)
class Steps:
    """Which kind follows which in the lines of a stream, learned for each ``owner`` of streams (a service)."""

    _next: dict[tuple[str, str], _Next] = field(default_factory=dict)
    _last: dict[object, str] = field(default_factory=dict)

    def take(self, owner: str, stream: object, names: Sequence[str]) -> list[Step]:
        """Learn the kinds of the next lines of a stream, in their order; the steps among them that are unusual."""
        if not names:
            return []
        before = self._last.get(stream)
        row = names if before is None else [before, *names]
        if before is None and len(self._last) >= MOST_STREAMS:
            self._last.clear()
        self._last[stream] = names[-1]
        found = [self._step(owner, pair, lines) for pair, lines in Counter(pairwise(row)).items()]
        return [step for step in found if step is not None]

    def _step(self, owner: str, pair: tuple[str, str], lines: int) -> Step | None:
        before, name = pair
        following = self._next.get((owner, before))
        if following is None:
            if len(self._next) >= MOST_KINDS:
                return None
            following = self._next[owner, before] = _Next()
        step = None
        if following.unusual(name):
            usual = following.counts.most_common(NAMED)
            share = sum(times for _, times in usual) / following.total
            step = Step(before, name, tuple(one for one, _ in usual), share, lines)
        following.add(name, lines)
        return step

    def rename(self, names: Mapping[str, str]) -> None:
        """Kinds that are one kind now: old name -> name."""
        before, self._next = self._next, {}
        for (owner, name), following in before.items():
            self._next.setdefault((owner, names.get(name, name)), _Next()).join(following, names)
        self._last = {stream: names.get(name, name) for stream, name in self._last.items()}

    def state(self) -> list[list[Any]]:
        """What ``restored`` needs, as plain lists, texts and numbers (JSON)."""
        return [[*key, one.anything, one.total, dict(one.counts)] for key, one in self._next.items()]

    @classmethod
    def restored(cls, state: Iterable[Sequence[Any]]) -> Steps:
        """Goes on where that state was taken; ValueError, TypeError or AttributeError when it is none."""
        steps = cls()
        for owner, before, anything, total, counts in islice(state, MOST_KINDS):
            one = steps._next[str(owner), str(before)] = _Next()
            for name, lines in counts.items():
                one.add(str(name), int(lines))
            one.anything, one.total = bool(anything), int(total)
        return steps
