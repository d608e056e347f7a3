"""Exponential smoothing, fitted by least squares, on a decomposed series (statsmodels)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Forecast, Matrix
from watchkeeper.model.series import FloatArray

from . import base, engine
from .clean import fill_gaps
from .shape import usable


def decompose(history: FloatArray, seasons: tuple[int, ...]) -> tuple[FloatArray, dict[int, FloatArray]]:
    """(what is left, seasonal parts by season) of one history, by STL, shortest season first."""
    from statsmodels.tsa.seasonal import STL  # a second to import: only who asks for this kind pays

    rest, parts = history, {}
    for season in usable(len(history), seasons):
        parts[season] = np.asarray(STL(rest, period=season).fit().seasonal)
        rest = rest - parts[season]
    return rest, parts


def ets_path(history: FloatArray, horizon: int, seasons: tuple[int, ...]) -> FloatArray:
    """Damped-trend ETS on the rest, the newest seasons repeated on top."""
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.holtwinters import Holt

    rest, parts = decompose(history, seasons)
    if np.ptp(rest) <= 1e-9 * max(1.0, float(np.abs(rest).max())):
        path = np.full(horizon, rest[-1])
    else:
        centre, unit = float(rest.mean()), float(np.ptp(rest))
        model = Holt((rest - centre) / unit, damped_trend=True, initialization_method="estimated")
        with warnings.catch_warnings():  # parameters at the edge are still parameters; the back-test judges them
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = model.fit()
        path = centre + unit * np.asarray(fitted.forecast(horizon))
    for season, part in parts.items():
        path = path + part[len(part) - season + np.arange(horizon) % season]
    return path


def candidates(values: FloatArray, horizon: int, seasons: tuple[int, ...]) -> Mapping[str, FloatArray]:
    return {"ets": np.stack([ets_path(row, horizon, seasons) for row in values])}


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Ets:
    """STL decomposition and damped exponential smoothing, one fit a series, with the components to show.

    Good for: a few series that a person looks at. Not for: bulk; it fits each series by itself.
    """

    seasons: tuple[Annotated[int, Field(ge=2)], ...] = ()  #: in points, shortest first; empty: from the sample distance
    min_history: Annotated[int, Field(ge=0)] = 0  #: known samples needed; 0: two of the shortest season, at least 12
    lower: float | None = None  #: hard bound of every series, in its unit
    upper: float | None = None  #: hard bound of every series, in its unit
    origins: Annotated[int, Field(ge=1)] = 3  #: rolling origins of the back-test; each is a fit

    def forecast(self, matrix: Matrix, horizon: int) -> list[Forecast]:
        method = engine.Method(
            name="ets",
            candidates=candidates,
            seasons=self.seasons,
            min_history=self.min_history,
            origins=self.origins,
        )
        bounds = base.same_bounds(len(matrix.series), self.lower, self.upper)
        answers = engine.forecast(method, matrix, horizon, bounds)
        seasons = self.seasons or base.seasons_of(matrix.times)
        return [self._explained(answer, matrix, row, seasons) for row, answer in enumerate(answers)]

    def _explained(self, answer: Forecast, matrix: Matrix, row: int, seasons: tuple[int, ...]) -> Forecast:
        """The forecast with STL's own components over the history."""
        if answer.unknown:
            return answer
        length = len(answer.components["trend"])
        sound = matrix.present[row, -length:] & np.isfinite(matrix.values[row, -length:])
        history = np.where(sound, matrix.values[row, -length:], np.nan)
        rest, parts = decompose(fill_gaps(history[None], seasons[0] if seasons else 1)[0], seasons)
        seasonal = np.sum(list(parts.values()), axis=0) if parts else np.zeros(length)
        return replace(answer, components={"trend": rest, "seasonal": seasonal})
