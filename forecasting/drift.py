"""The last value, moving on as the history did."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Forecast, Matrix

from . import base, candidates, engine


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Drift:
    """Continues from the last value by the mean change of the whole history.

    Good for: disks and counters that only grow. Not for: anything seasonal."""

    seasons: tuple[Annotated[int, Field(ge=2)], ...] = ()  #: in points, shortest first; empty: from the sample distance
    min_history: Annotated[int, Field(ge=0)] = 0  #: known samples needed; 0: two of the shortest season, at least 12
    lower: float | None = None  #: hard bound of every series, in its unit
    upper: float | None = None  #: hard bound of every series, in its unit

    def forecast(self, matrix: Matrix, horizon: int) -> list[Forecast]:
        method = engine.Method(
            name="drift", candidates=candidates.drift, seasons=self.seasons, min_history=self.min_history
        )
        bounds = base.same_bounds(len(matrix.series), self.lower, self.upper)
        return engine.forecast(method, matrix, horizon, bounds)
