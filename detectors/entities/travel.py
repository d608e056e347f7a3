"""Impossible travel: one user in two places, further apart than anybody gets in the time between."""

from __future__ import annotations

import math

from .act import Place
from .decay import grade

#: Radius of the earth, in km.
EARTH_KM = 6371.0
#: Faster than any airliner, in km/h, and nearer than tables of addresses are wrong, in km.
FASTEST, NEAR = 1000.0, 300.0


def kilometres(one: Place, other: Place) -> float:
    """The great circle between them (haversine)."""
    first, second = math.radians(one.latitude), math.radians(other.latitude)
    north, east = second - first, math.radians(other.longitude - one.longitude)
    half = math.sin(north / 2) ** 2 + math.cos(first) * math.cos(second) * math.sin(east / 2) ** 2
    return 2.0 * EARTH_KM * math.asin(math.sqrt(min(half, 1.0)))


def impossible(km: float, seconds: float) -> float:
    """Points from 0 to 95 for so far in so short a time; events out of order count alike."""
    if km < NEAR:
        return 0.0
    speed = km / (max(abs(seconds), 1.0) / 3600.0)
    return 0.0 if speed <= FASTEST else 60.0 + grade(speed / FASTEST, 1.0, 2.0, most=35.0)
