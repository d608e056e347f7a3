"""The default: unlike methods, weighted by how they did on this very series."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Forecast, Matrix

from . import base, candidates, engine


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Combined:
    """Combines cheap unlike methods by their rolling-origin back-tests, with bands from the same back-tests.

    Good for: whatever nobody described. Not for: histories shorter than two seasons, which it refuses."""

    seasons: tuple[Annotated[int, Field(ge=2)], ...] = ()  #: in points, shortest first; empty: from the sample distance
    min_history: Annotated[int, Field(ge=0)] = 0  #: known samples needed; 0: two of the shortest season, at least 12
    lower: float | None = None  #: hard bound of every series, in its unit
    upper: float | None = None  #: hard bound of every series, in its unit

    def forecast(self, matrix: Matrix, horizon: int) -> list[Forecast]:
        method = engine.Method(
            name="combined", candidates=candidates.unlike, seasons=self.seasons, min_history=self.min_history
        )
        bounds = base.same_bounds(len(matrix.series), self.lower, self.upper)
        return engine.forecast(method, matrix, horizon, bounds)
