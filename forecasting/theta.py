"""Smoothed level plus half the slope, on the seasonal shape."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Forecast, Matrix

from . import base, candidates, engine


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Theta:
    """The theta method on the series without its seasons, batched.

    Good for: business series with a mild trend. Not for: series whose level jumps."""

    seasons: tuple[Annotated[int, Field(ge=2)], ...] = ()  #: in points, shortest first; empty: from the sample distance
    min_history: Annotated[int, Field(ge=0)] = 0  #: known samples needed; 0: two of the shortest season, at least 12
    lower: float | None = None  #: hard bound of every series, in its unit
    upper: float | None = None  #: hard bound of every series, in its unit

    def forecast(self, matrix: Matrix, horizon: int) -> list[Forecast]:
        method = engine.Method(
            name="theta", candidates=candidates.theta, seasons=self.seasons, min_history=self.min_history
        )
        bounds = base.same_bounds(len(matrix.series), self.lower, self.upper)
        return engine.forecast(method, matrix, horizon, bounds)
