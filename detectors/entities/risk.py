"""A risk from 0 to 100 made of reasons that fade; each stands for the chance that it is no accident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .decay import fade

#: Seconds after which a reason counts half.
HALF_LIFE = 3600.0
#: Points below which a reason is forgotten.
LEAST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, with the figures to say it: points are of ``at``."""

    name: str
    points: float  #: 0 to 100
    at: float  #: seconds since the epoch
    detail: Mapping[str, Any] = field(default_factory=dict)

    def now(self, at: float) -> float:
        """Points that are left."""
        return self.points * fade(at - self.at, HALF_LIFE)


@dataclass(slots=True)
class Risk:
    """The reasons of one entity, one of each name."""

    reasons: dict[str, Reason] = field(default_factory=dict)

    def add(self, reason: Reason) -> None:
        """A reason counts again when it is graver than what is left of it."""
        known = self.reasons.get(reason.name)
        if reason.points >= LEAST and (known is None or reason.points >= known.now(reason.at)):
            self.reasons[reason.name] = reason

    def total(self, at: float) -> float:
        """0 to 100: the chance that one of the reasons holds, were they independent."""
        calm = 1.0
        for one in self.reasons.values():
            calm *= 1.0 - min(one.now(at), 100.0) / 100.0
        return 100.0 * (1.0 - calm)

    def standing(self, at: float) -> list[tuple[Reason, float]]:
        """(reason, points left), the gravest first."""
        found = [(one, one.now(at)) for one in self.reasons.values()]
        return sorted((pair for pair in found if pair[1] >= LEAST), key=lambda pair: -pair[1])

    def forget(self, at: float) -> None:
        self.reasons = {name: one for name, one in self.reasons.items() if one.now(at) >= LEAST}
