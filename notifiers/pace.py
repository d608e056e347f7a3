"""How often one robot may be spoken to: sliding windows that survive a restart, with one slot kept for a P0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.clock import from_ms, to_ms

MINUTE, TEN_MINUTES = timedelta(minutes=1), timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Attempts, not successes: the robot counts those. DingTalk and WeCom block at 20 a minute."""

    per_minute: int = 6
    per_ten_minutes: int = 20
    reserve: int = 1  #: of each, kept for P0


#: For channels without a robot's limit.
FREE = Limits(per_minute=120, per_ten_minutes=600, reserve=0)


@dataclass(frozen=True, slots=True)
class Pace:
    """Attempts of the last ten minutes, and the time before which the robot takes nothing."""

    attempts: tuple[datetime, ...] = ()
    until: datetime | None = None
    failures: int = 0  #: in a row

    def slots(self, now: datetime, limits: Limits, *, urgent: bool) -> int:
        """How many messages may go now."""
        if self.until is not None and now < self.until:
            return 0
        kept = 0 if urgent else limits.reserve
        minute = limits.per_minute - kept - self._since(now - MINUTE)
        ten = limits.per_ten_minutes - kept - self._since(now - TEN_MINUTES)
        return max(min(minute, ten), 0)

    def tried(self, now: datetime) -> Pace:
        recent = [at for at in self.attempts if at > now - TEN_MINUTES]
        return replace(self, attempts=(*recent, now))

    def _since(self, start: datetime) -> int:
        """A clock set back leaves attempts in the future; they count."""
        return sum(at > start for at in self.attempts)

    def plain(self) -> dict[str, Any]:
        until = to_ms(self.until) if self.until else None
        return {"attempts": [to_ms(at) for at in self.attempts], "until": until, "failures": self.failures}

    @classmethod
    def read(cls, plain: Any) -> Pace:
        if not plain:
            return cls()
        times: Sequence[int] = plain["attempts"]
        until = from_ms(plain["until"]) if plain["until"] is not None else None
        return cls(tuple(from_ms(at) for at in times), until, int(plain["failures"]))
