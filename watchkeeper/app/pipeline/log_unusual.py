"""Lines of known kinds that are unusual for their service: rare ones, and ones behind a line that others follow."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from collectors.base import Reading
from detectors.templates import Shares, Step, Steps
from watchkeeper.model import Labels

RARE = "log_templates_rare_total"
OUT_OF_ORDER = "log_templates_out_of_order_total"
#: Findings remembered for people to read.
MOST_FOUND = 200
#: Services whose kinds are counted.
MOST_OWNERS = 1_000
Own = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Unusual:
    """One finding, as shown."""

    at: datetime
    why: str  #: rare | out_of_order
    labels: dict[str, str]  #: of the service
    template: str
    lines: int
    before: str = ""  #: the kind in whose wake it came, when out of order
    usual: tuple[str, ...] = ()  #: what comes there otherwise


class UnusualLines:
    """Counts them a service as series; remembers the latest as evidence."""

    def __init__(self) -> None:
        self.found: deque[Unusual] = deque(maxlen=MOST_FOUND)
        self._shares: dict[Own, Shares] = {}
        self._steps = Steps()
        self._counts: dict[str, Counter[Own]] = {RARE: Counter(), OUT_OF_ORDER: Counter()}

    def take(self, own: Own, stream: Labels, names: Sequence[str], new: frozenset[str], now: datetime) -> None:
        """Kinds of the next lines of a stream. ``new``: those that no line was of before, which are told as such."""
        if own not in self._shares and len(self._shares) >= MOST_OWNERS:
            return
        shares = self._shares.setdefault(own, Shares())
        rare = shares.take(Counter(names))
        steps = self._steps.take(repr(own), stream, names)
        self._tell_rare({name: lines for name, lines in rare.items() if name not in new}, own, now)
        self._tell_steps([step for step in steps if step.name not in new], own, now)

    def rename(self, names: Mapping[str, str]) -> None:
        """Kinds that are one kind now: old name -> name."""
        self._steps.rename(names)
        for shares in self._shares.values():
            for old in shares.counts.keys() & names.keys():
                shares.counts[names[old]] += shares.counts.pop(old)

    def readings(self) -> Iterator[Reading]:
        """Counters since the start, of every service whose lines are read."""
        for name, counts in self._counts.items():
            for own in self._shares:
                yield name, own, float(counts[own])

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, as JSON."""
        shares = [[list(own), dict(one.counts)] for own, one in self._shares.items()]
        return {"shares": shares, "steps": self._steps.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises ValueError, KeyError, TypeError or AttributeError when that is no state; nothing is changed then."""
        steps = Steps.restored(state["steps"])
        shares = {}
        for own, counts in state["shares"][:MOST_OWNERS]:
            known = Counter({str(name): int(lines) for name, lines in counts.items()})
            shares[tuple((str(name), str(value)) for name, value in own)] = Shares(known.total(), known)
        self._steps, self._shares = steps, shares

    def _tell_rare(self, rare: Mapping[str, int], own: Own, now: datetime) -> None:
        for name, lines in rare.items():
            self._counts[RARE][own] += lines
            self.found.append(Unusual(now, "rare", dict(own), name, lines))

    def _tell_steps(self, steps: Sequence[Step], own: Own, now: datetime) -> None:
        for step in steps:
            self._counts[OUT_OF_ORDER][own] += step.lines
            self.found.append(Unusual(now, "out_of_order", dict(own), step.name, step.lines, step.before, step.usual))
