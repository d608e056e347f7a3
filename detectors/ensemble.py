"""The default: several cheap views of every series, joined by a soft maximum and calibrated on its own past."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import base, profile
from .follow import Followed, Tuning, follow, start_rows, tuning
from .tail import KNEE, RATIO_TAIL, Tail

#: Rarities joined by the soft maximum have an exponential tail by construction; agreeing views make it longer.
JOINED_TAIL = Tail(
    quantile=KNEE, excess=0.43, least_quantile=KNEE, least_excess=0.43, shape=0.0, gain=0.05, prefix="joined"
)
#: Columns of the state.
FAST, SLOW, CHANGE, SEASON = range(4)


def soft_maximum(rarity: base.Array, power: float) -> base.Array:
    """The p-norm over the last axis: a little above the maximum where views agree. All unknown stays unknown."""
    known = np.nan_to_num(rarity, nan=0.0)
    largest = known.max(axis=-1)
    share = known / np.maximum(largest, np.float32(1e-6))[..., None]
    joined = largest * np.sum(share**power, axis=-1) ** (1.0 / power)
    answer: base.Array = np.where(np.isnan(rarity).all(axis=-1), np.nan, joined)
    return answer


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Ensemble:
    """Scores how rare this sample is for this series: 0.5 is roughly one point in a thousand.

    Looks at the distance from a fast and a slow level, the size of the last change, and the distance from the
    usual value at this time of day (or week). Good for: gauges and rates nobody described. Not for: raw counters
    (take the rate first), and shapes that are odd without being large.
    """

    fast: Annotated[int, Field(ge=2)] = 12  #: samples of the fast level
    slow: Annotated[int, Field(ge=2)] = 120  #: samples of the slow level and of the usual change
    power: Annotated[float, Field(ge=1)] = 6.0  #: of the soft maximum; larger is closer to the plain maximum
    season: bool = True  #: compare with time of day and week (UTC); off where time stamps are not real
    min_history: Annotated[int, Field(ge=2)] = 20  #: known samples before there is a score

    def tuning(self) -> Tuning:
        fast, slow = 2.0 / (self.fast + 1.0), 2.0 / (self.slow + 1.0)
        views = [(fast, slow), (slow, slow), (1.0, slow)]
        return tuning(*views, (fast, slow)) if self.season else tuning(*views)

    def start(self, count: int) -> base.State:
        views = 4 if self.season else 3
        rows = start_rows(count, views) | RATIO_TAIL.start_rows(count, views) | JOINED_TAIL.start_rows(count, 1)
        return base.State(rows | (profile.start_rows(count) if self.season else {}))

    def step(self, state: base.State, observed: FloatArray, time_ms: int | IntArray) -> base.Answer:
        usual = profile.expected(state, time_ms) if self.season else np.full(len(observed), np.nan)
        found = follow(state, self._samples(observed, usual), self.tuning())
        reach = RATIO_TAIL.half(state) * found.scale
        enough = found.seen >= self.min_history
        rarity = RATIO_TAIL.rarity(state, np.where(enough, found.ratio, np.float32(np.nan)), found.seen)
        joined = soft_maximum(rarity, self.power).astype(np.float32)
        final = JOINED_TAIL.rarity(state, joined[:, None], found.seen[:, :1])[:, 0]
        if self.season:
            believed = usual + found.believed[:, SEASON]
            profile.learn(state, np.where(np.isnan(believed), observed, believed), time_ms)
        return self._answer(base.rarity_score(final), found, usual, reach)

    def _samples(self, observed: FloatArray, usual: FloatArray) -> FloatArray:
        views = np.repeat(observed[:, None], 4 if self.season else 3, axis=1)
        if self.season:
            views[:, SEASON] -= usual
        return views

    def _answer(self, value: base.Array, found: Followed, usual: FloatArray, reach: base.Array) -> base.Answer:
        """The band is that of the season where it is known, else that of the fast level."""
        enough = found.seen >= self.min_history
        expected = np.where(enough[:, FAST], found.expected[:, FAST], np.nan)
        width = reach[:, FAST]
        if self.season:
            seasonal = enough[:, SEASON] & ~np.isnan(usual)
            expected = np.where(seasonal, usual + found.expected[:, SEASON], expected)
            width = np.where(seasonal, reach[:, SEASON], width)
        return base.Answer(value, expected, expected - width, expected + width)

    def fit(self, matrix: Matrix) -> base.State:
        return base.fit(self, matrix)

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        return base.update(self, state, column, "ensemble")

    def score(self, matrix: Matrix) -> Scores:
        return base.score(self, matrix, "ensemble")
