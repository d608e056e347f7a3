"""Deviation from a clipped exponentially weighted level."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import base, paging
from .follow import Followed, follow, start_rows, tuning
from .tail import RATIO_TAIL


def one_channel(state: base.State, found: Followed, min_history: int) -> base.Answer:
    """Score and band of a detector with a single channel."""
    enough = found.seen >= min_history
    half = RATIO_TAIL.half(state)
    rarity = RATIO_TAIL.rarity(state, np.where(enough, found.ratio, np.float32(np.nan)), found.seen)
    expected = np.where(enough, found.expected, np.nan)
    reach = found.scale * half
    return base.Answer(
        base.rarity_score(rarity)[:, 0], expected[:, 0], (expected - reach)[:, 0], (expected + reach)[:, 0]
    )


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Ewma:
    """Scores how rare the distance from a slowly moving level is for this series.

    Good for: spikes and dips on a wandering level, any number of series. Not for: strong daily seasons.
    """

    span: Annotated[int, Field(ge=2)] = 60  #: samples that carry most of the weight (gain is 2 / (span + 1))
    min_history: Annotated[int, Field(ge=2)] = 30  #: known samples before there is a score
    false_alarms_a_day: Annotated[float, Field(gt=0)] = 0.15  #: budget of alarms of one series; raises its limit

    def start(self, count: int) -> base.State:
        return paging.start(start_rows(count, 1) | RATIO_TAIL.start_rows(count, 1), count)

    def step(self, state: base.State, observed: FloatArray, time_ms: int | IntArray) -> base.Answer:  # noqa: ARG002 - the protocol's signature
        gain = 2.0 / (self.span + 1.0)
        return one_channel(state, follow(state, observed[:, None], tuning((gain, gain))), self.min_history)

    def fit(self, matrix: Matrix) -> base.State:
        return paging.fit(self, matrix)

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        return paging.update(self, state, column, "ewma")

    def score(self, matrix: Matrix) -> Scores:
        return paging.score(self, matrix, "ewma")
