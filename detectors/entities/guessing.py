"""Guessed passwords: many refusals in minutes or hours, of many names from one place, of one name from many places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .act import Act, Kind
from .decay import Decayed, grade, rate, steady
from .risk import Reason

#: Half-lives in seconds: of a burst, of an attack that takes its time, and of what is usual.
FAST, SLOW, USUAL = 300.0, 6 * 3600.0, 3 * 86_400.0
#: What is usual is learned over a day at least, and excuses this much at most: an attack that lasts stays one.
LEARNED, MOST_FAST, MOST_SLOW = 86_400.0, 10.0, 20.0
#: Refusals that a person or a forgotten job makes: in a burst, and in ten units of the slow count.
FREE, SCALE = 4.0, 12.0
#: Refusals before a sign-in that are a slip of the fingers.
FREE_SUCCESS, SCALE_SUCCESS = 2.5, 8.0
#: Names or sources refused within so many seconds count as one attack; so many are remembered.
TOGETHER, MOST_OTHERS = 3600.0, 200
#: Names or sources that one address or user fails with by accident.
FREE_OTHERS, SCALE_OTHERS = 3.0, 6.0


#: Acts that went well and excuse one refusal, as of an address that many people share.
ACCEPTED, MOST_KNOWN = 5.0, 1000


@dataclass(slots=True)
class Pair:
    """The same count over a burst and over hours."""

    fast: Decayed = field(default_factory=Decayed)
    slow: Decayed = field(default_factory=Decayed)

    def add(self, act: Act) -> None:
        self.fast.add(act.at, act.count, FAST)
        self.slow.add(act.at, act.count, SLOW)

    def now(self, at: float) -> tuple[float, float]:
        return self.fast.now(at, FAST), self.slow.now(at, SLOW)


@dataclass(slots=True)
class Refusals:
    """What one entity was refused, and what it was not since."""

    since: float
    refused: Pair = field(default_factory=Pair)
    accepted: Pair = field(default_factory=Pair)
    usual: Decayed = field(default_factory=Decayed)
    others: dict[str, float] = field(default_factory=dict)  #: with whom, and when last
    known: int = 0  #: times that somebody signed in: an address that many share has many

    def add(self, act: Act, other: str) -> None:
        self.refused.add(act)
        self.usual.add(act.at, act.count, USUAL)
        if other:
            self.others.pop(other, None)
            self.others[other] = act.at
        while self.others and (len(self.others) > MOST_OTHERS or act.at - self._oldest() > TOGETHER):
            del self.others[next(iter(self.others))]

    def reasons(self, act: Act, kind: Kind) -> Iterator[Reason]:
        """What a refusal says, after it was counted."""
        usual = rate(self.usual.now(act.at, USUAL), max(act.at - self.since, LEARNED), USUAL)
        detail = {"refused": round(self.refused.slow.now(act.at, SLOW)), "usual_per_hour": round(usual * 3600.0, 1)}
        points = grade(self._times_usual(act.at, kind, usual), FREE, SCALE)
        yield Reason(name="brute_force", points=points, at=act.at, detail=detail)
        name = {"source": "many_users", "user": "many_sources"}.get(kind)
        if name is not None:
            shared = 1.0 + 0.1 * self.known if kind == "source" else 1.0
            points = grade(len(self.others) / shared, FREE_OTHERS, SCALE_OTHERS)
            yield Reason(name=name, points=points, at=act.at, detail={"count": len(self.others)})

    def success(self, act: Act, kind: Kind) -> Reason | None:
        """Signed in right after refusals, a user from where these came: the password may have been guessed."""
        self.known = min(self.known + 1, MOST_KNOWN)
        if kind == "user" and act.source not in self.others:
            return None
        left = self.refused.fast.now(act.at, FAST)
        points = grade(left / (1.0 + self.accepted.fast.now(act.at, FAST) / ACCEPTED), FREE_SUCCESS, SCALE_SUCCESS)
        return Reason(name="success_after_failures", points=points, at=act.at, detail={"refused": round(left)})

    def _times_usual(self, at: float, kind: Kind, usual: float) -> float:
        """Refusals in units of what is to be expected, of a burst or of hours, whichever is more."""
        found = []
        parts = ((FAST, 1.0, MOST_FAST), (SLOW, 10.0, MOST_SLOW))
        for (half_life, least, most), refused, accepted in zip(
            parts, self.refused.now(at), self.accepted.now(at), strict=True
        ):
            expected = steady(usual, half_life)
            if kind in ("user", "source"):  # of a host or service, what lasts is the noise of the net
                expected = min(expected, most + accepted)
            found.append(refused / (least + expected + accepted / ACCEPTED))
        return max(found)

    def _oldest(self) -> float:
        return next(iter(self.others.values()))
