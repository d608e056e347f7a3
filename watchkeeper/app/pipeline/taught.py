"""What people's words taught the scoring: alarms nobody is told of, and limits that were moved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from watchkeeper.model import METRIC_NAME, Labels, Lesson, Move, fingerprint
from watchkeeper.model.series import FloatArray

#: Labels that name the service, the first that is set.
SERVICE = ("service", "job")
#: (service, metric) -> how far the limit stands from the detector's own; metric "" is all of the service's.
Limits = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """Replaced as a whole when a word is said or taken back."""

    expected: Mapping[str, Sequence[Lesson]] = field(default_factory=dict)  #: mark -> those in force
    limits: Limits = field(default_factory=dict)
    lower: float = 0.0  #: bounds of a limit
    upper: float = 0.0

    def expects(self, alarm: Labels, raised_at: datetime, now: datetime, change: float) -> bool:
        """Whether nobody wants to be told of this anomaly; ``alarm``: its labels with metric and kind, no name."""
        if not self.expected:
            return False
        return any(one.covers(raised_at, now, change) for one in self.expected.get(fingerprint(alarm), ()))

    def moved(self, series: Sequence[Labels]) -> FloatArray:
        """How much the limit of each series is moved."""
        if not self.limits:
            return np.zeros(len(series))
        found = [self._moved(dict(one)) for one in series]
        return np.clip(np.array(found, dtype=np.float64), self.lower, self.upper)

    def _moved(self, own: Mapping[str, str]) -> float:
        service = service_of(own)
        return self.limits.get((service, own.get(METRIC_NAME, "")), 0.0) + self.limits.get((service, ""), 0.0)


def service_of(own: Mapping[str, str]) -> str:
    """Whose series or alert it is; empty: nobody's."""
    return next((own[name] for name in SERVICE if own.get(name)), "")


def newest_moves(moves: Iterable[Move], ours: Collection[str]) -> dict[tuple[str, str], Move]:
    """The newest move of each limit of our detectors, where it moved away from the detector's own."""
    newest = {(one.service, one.metric): one for one in moves if one.detector in ours}
    return {key: one for key, one in newest.items() if one.new}


def limits_of(moves: Iterable[Move], ours: Collection[str]) -> dict[tuple[str, str], float]:
    """Where the limits of our detectors stand."""
    return {key: one.new for key, one in newest_moves(moves, ours).items()}


def by_mark(expectations: Iterable[Lesson]) -> dict[str, list[Lesson]]:
    found: dict[str, list[Lesson]] = {}
    for one in expectations:
        found.setdefault(one.mark, []).append(one)
    return found
