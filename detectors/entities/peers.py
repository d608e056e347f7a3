"""How much entities of one kind usually do in ten minutes: what a newcomer is measured by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .decay import grade

#: Windows of others before anything is said, and over which they are learned.
MIN_WINDOWS, MEMORY = 500.0, 20_000.0
#: Acts in a window that are too little to matter; standard deviations of their logarithm without points.
LITTLE, FREE, SCALE, LEAST_SPREAD = 200.0, 4.0, 2.0, 0.5


@dataclass(slots=True)
class Peers:
    """Mean and variance of the logarithm of amounts."""

    mean: float = 0.0
    variance: float = 0.0
    seen: float = 0.0

    def learn(self, amount: float) -> None:
        scaled = math.log1p(amount)
        self.seen = min(self.seen + 1.0, MEMORY)
        off = scaled - self.mean
        self.mean += off / self.seen
        self.variance += (off * (scaled - self.mean) - self.variance) / self.seen

    def usual(self) -> float:
        return math.expm1(self.mean)

    def points(self, amount: float) -> float:
        """0 to 80 for a newcomer's amount in one window."""
        if self.seen < MIN_WINDOWS or amount < LITTLE:
            return 0.0
        spread = max(math.sqrt(self.variance), LEAST_SPREAD)
        return grade((math.log1p(amount) - self.mean) / spread, FREE, SCALE, most=80.0)
