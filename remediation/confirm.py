"""Is it really so? k of n bad, by two observers that do not depend on each other; gone after ten good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from watchkeeper.model import Observation, RemedyRule

#: Name of the rule's own expression among the observers.
RULE = "rule"
#: Observers that must agree.
OBSERVERS = 2
#: Looks that are gone through for each sample wanted: a sample is fresh for two intervals.
LOOKS = 2
#: Good observations in a row after which an episode is over.
LEAVE_AFTER = 10
#: What a look says that found the rule bad, and no more than that.
MET = "condition_met"
#: Characters of an expression that a reason repeats.
LONGEST = 160


def agreeing(history: Sequence[Observation], k: int, n: int) -> list[str]:
    """Observers that said bad in at least k of the last n samples they saw. Unknown is not bad.

    A sample counts once for each: one broken connection that is looked at three times is one. The rule itself has no
    voice while its newest look is good: what is well again needs no mending.
    """
    recent = list(history)[-LOOKS * n :]
    names = sorted({name for seen in recent[-n:] for name in seen.observers} - {RULE})
    votes = {name: sum(bad is True for bad in _said(recent, name)[-n:]) for name in (RULE, *names)}
    if recent and recent[-1].bad is False:
        votes[RULE] = 0
    return [name for name in (RULE, *names) if votes[name] >= k]


def _said(looks: Sequence[Observation], name: str) -> list[bool | None]:
    """What the observer said of each of its samples, as of the last look at it; an unknown look counts by itself."""
    said: list[bool | None] = []
    places: dict[datetime, int] = {}
    for bad, sample_at in (_voice(seen, name) for seen in looks):
        if bad is None:
            said.append(None)
            continue
        place = places.setdefault(sample_at, len(said))
        said[place : place + 1] = [bad]
    return said


def _voice(seen: Observation, name: str) -> tuple[bool | None, datetime]:
    """A look that names no sample is one by itself."""
    if name == RULE:
        return seen.bad, seen.newest_sample_at or seen.at
    return seen.observers.get(name), seen.sampled.get(name, seen.at)


def confirmed(history: Sequence[Observation], k: int, n: int) -> bool:
    """The rule itself and at least one more observer."""
    voices = agreeing(history, k, n)
    return RULE in voices and len(voices) >= OBSERVERS


def why(rule: RemedyRule, said: str, voices: Sequence[str]) -> str:
    """What a plan says to whoever reads it: what was found bad and who else saw it, unless ``said`` tells more."""
    if said != MET:
        return said
    whole = " ".join(rule.when.split())
    asked = whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"
    others = [name for name in voices if name != RULE]
    return f"{asked} is bad, and so says {', '.join(others)}" if others else f"{asked} is bad"


def cleared(history: Sequence[Observation]) -> bool:
    recent = list(history)[-LEAVE_AFTER:]
    return len(recent) == LEAVE_AFTER and all(seen.bad is False for seen in recent)


class History:
    """Observations of one rule, each counted once. In memory only: after a restart everything is confirmed anew."""

    KEEP = 64

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.onset: datetime | None = None  #: wall time of the first bad observation of this episode
        self.onsets: list[datetime] = []  #: steady
        self.idle_since: datetime | None = None  #: steady; since when every observation was known and bad

    def add(self, observation: Observation, now: datetime, flap_window: timedelta) -> bool:
        """False when this observation, or a later one, was counted before."""
        if self.seen and observation.at <= self.seen[-1].at:
            return False
        if observation.bad is not True:
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = now
        if observation.bad is True and self.onset is None:
            self.onset = observation.at
            self.onsets = [*(moment for moment in self.onsets if now - moment <= flap_window), now]
        self.seen = [*self.seen, observation][-self.KEEP :]
        if self.onset is not None and observation.bad is False:
            self.onset = None
        return True

    def forget(self) -> None:
        """After a pause or a jump of the clock nothing seen before counts."""
        self.seen, self.onset, self.idle_since = [], None, None

    @property
    def newest(self) -> Observation | None:
        return self.seen[-1] if self.seen else None
