"""The shrunken seasonal shape on a damped level."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Forecast, Matrix

from . import base, candidates, engine


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Profile:
    """Repeats the shape of earlier days and weeks, as far as it does repeat, on the recent level.

    Good for: loads with a daily and weekly shape. Not for: growth."""

    seasons: tuple[Annotated[int, Field(ge=2)], ...] = ()  #: in points, shortest first; empty: from the sample distance
    min_history: Annotated[int, Field(ge=0)] = 0  #: known samples needed; 0: two of the shortest season, at least 12
    lower: float | None = None  #: hard bound of every series, in its unit
    upper: float | None = None  #: hard bound of every series, in its unit

    def forecast(self, matrix: Matrix, horizon: int) -> list[Forecast]:
        method = engine.Method(
            name="profile", candidates=candidates.profile, seasons=self.seasons, min_history=self.min_history
        )
        bounds = base.same_bounds(len(matrix.series), self.lower, self.upper)
        return engine.forecast(method, matrix, horizon, bounds)
