"""Counts that fade: what happened one half-life ago counts half."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LN2 = math.log(2.0)


@dataclass(slots=True)
class Decayed:
    """A count of the past, as of ``at`` (seconds)."""

    value: float = 0.0
    at: float = 0.0

    def add(self, at: float, amount: float, half_life: float) -> None:
        """Late ones count as much as if they had come in time."""
        if at >= self.at:
            self.value, self.at = self.now(at, half_life) + amount, at
        else:
            self.value += amount * fade(self.at - at, half_life)

    def now(self, at: float, half_life: float) -> float:
        return self.value * fade(at - self.at, half_life)


def fade(seconds: float, half_life: float) -> float:
    """The share that is left after so long, in seconds."""
    return math.exp2(-max(seconds, 0.0) / half_life)


def steady(rate: float, half_life: float) -> float:
    """What a decayed count comes to at a constant rate a second."""
    return rate * half_life / _LN2


def rate(count: float, age: float, half_life: float) -> float:
    """The rate a second that made a decayed count in ``age`` seconds."""
    return count / (steady(1.0, half_life) * (1.0 - fade(age, half_life)))


def grade(amount: float, free: float, scale: float, most: float = 95.0) -> float:
    """Points from 0 to ``most``: none up to ``free``, two thirds of the way after another ``scale``."""
    return most * (1.0 - math.exp(-max(amount - free, 0.0) / scale))
