"""When a forecast reaches a limit."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import numpy as np

from watchkeeper.clock import from_ms
from watchkeeper.model import Exhaustion, Forecast
from watchkeeper.model.series import FloatArray, IntArray

Direction = Literal["up", "down"]
NEVER = Exhaustion(earliest=None, expected=None, latest=None)


def exhaustion(forecast: Forecast, limit: float, direction: Direction = "up") -> Exhaustion:
    """First crossing by the edge of the 80 % band that comes first, by the expected path and by the other edge."""
    if forecast.unknown or not np.isfinite(limit):
        return NEVER
    first, other = (0.9, 0.1) if direction == "up" else (0.1, 0.9)
    moments = [
        crossing(forecast.times, forecast.quantiles[quantile], limit, direction) for quantile in (first, 0.5, other)
    ]
    return Exhaustion(earliest=moments[0], expected=moments[1], latest=moments[2])


def crossing(times: IntArray, path: FloatArray, limit: float, direction: Direction) -> datetime | None:
    """The first moment at which the path has reached the limit. None: not within the path."""
    reached = path >= limit if direction == "up" else path <= limit
    where = np.flatnonzero(reached)
    return from_ms(int(times[where[0]])) if len(where) else None
