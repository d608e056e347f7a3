"""Distance from the median of a sliding window, in robust standard deviations."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import base, paging

#: MAD times this equals the standard deviation of normal data (Iglewicz & Hoaglin, 1993); and the mean absolute
#: deviation, which is asked where more than half of the samples are alike.
MAD_TO_SIGMA, MEAN_TO_SIGMA = 1.4826, 1.2533
#: Below this many known samples a median says little.
MIN_PAST = 8
#: A spread below this share of the level is rounding: do not divide by it.
FLOOR = 1e-9


def nanmedian(values: base.Array) -> base.Array:
    """Median of the known values of each row; NaN, without a warning, where a row has none."""
    known = np.count_nonzero(~np.isnan(values), axis=1)
    ranked = np.sort(values, axis=1)  # NaN sorts to the end
    rows = np.arange(len(values))
    lower, upper = (
        ranked[rows, np.maximum(known - 1, 0) // 2],
        ranked[rows, np.minimum(known // 2, values.shape[1] - 1)],
    )
    return np.asarray((lower + upper) / 2)


def _spread(away: base.Array) -> base.Array:
    """The standard deviation of each row, by how far its known values are from their median."""
    spread = MAD_TO_SIGMA * nanmedian(away)
    alike = np.flatnonzero(spread == 0.0)
    if len(alike):
        known = ~np.isnan(away[alike])
        mean = np.where(known, away[alike], 0.0).sum(axis=1) / np.maximum(np.count_nonzero(known, axis=1), 1)
        spread[alike] = MEAN_TO_SIGMA * mean
    return spread


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class RobustZScore:
    """Scores 0.5 at ``sigmas`` robust standard deviations, towards 1.0 beyond.

    Good for: spikes on a flat or slowly moving level. Not for: seasonal series, and for very many series: it sorts
    a window a sample, where ``ewma`` is a few multiplications.
    """

    window: Annotated[int, Field(ge=MIN_PAST)] = 288  #: samples of history; 288 five-minute steps are one day
    sigmas: Annotated[float, Field(gt=0)] = 3.0  #: deviation that earns a score of 0.5
    false_alarms_a_day: Annotated[float, Field(gt=0)] = 0.15  #: budget of alarms of one series; raises its limit

    def start(self, count: int) -> base.State:
        rows = {
            "anchor": base.blank(count, dtype=np.float64),  # the first sample: float32 keeps small moves around it
            "past": base.blank(count, self.window),
            "place": base.blank(count, dtype=np.int32),
        }
        return paging.start(rows, count)

    def step(self, state: base.State, observed: FloatArray, time_ms: int | IntArray) -> base.Answer:  # noqa: ARG002 - the protocol's signature
        rows = state.rows
        past, place = rows["past"], rows["place"]
        anchor = np.where(np.isnan(rows["anchor"]), observed, rows["anchor"])
        enough = np.count_nonzero(~np.isnan(past), axis=1) >= MIN_PAST
        centre = nanmedian(past)
        spread = _spread(np.abs(past - centre[:, None]))
        expected = np.where(enough, anchor + centre, np.nan)
        scale = np.maximum(spread, FLOOR * np.maximum(1.0, np.abs(expected)))
        sigmas = np.abs(observed - expected) / scale
        known = np.flatnonzero(~np.isnan(observed))
        past[known, place[known]] = observed[known] - anchor[known]
        rows["anchor"] = anchor
        place[known] = (place[known] + 1) % self.window
        reach = self.sigmas * scale
        return base.Answer(sigmas / (sigmas + self.sigmas), expected, expected - reach, expected + reach)

    def fit(self, matrix: Matrix) -> base.State:
        return paging.fit(self, matrix)

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        return paging.update(self, state, column, "robust_zscore")

    def score(self, matrix: Matrix) -> Scores:
        return paging.score(self, matrix, "robust_zscore")
