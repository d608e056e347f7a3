"""Size of the last change."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import base, paging
from .ewma import one_channel
from .follow import follow, start_rows, tuning
from .tail import RATIO_TAIL


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class RateOfChange:
    """Scores how rare a change of this size from the last sample is for this series.

    Good for: sudden jumps, the baseline hardest to beat on real alerts. Not for: slow drifts, and no hint which of
    two values was the odd one: coming back from a spike is a change as well.
    """

    span: Annotated[int, Field(ge=2)] = 120  #: samples that carry most of the weight of the usual change
    min_history: Annotated[int, Field(ge=2)] = 30  #: known samples before there is a score
    false_alarms_a_day: Annotated[float, Field(gt=0)] = 0.15  #: budget of alarms of one series; raises its limit

    def start(self, count: int) -> base.State:
        return paging.start(start_rows(count, 1) | RATIO_TAIL.start_rows(count, 1), count)

    def step(self, state: base.State, observed: FloatArray, time_ms: int | IntArray) -> base.Answer:  # noqa: ARG002 - the protocol's signature
        found = follow(state, observed[:, None], tuning((1.0, 2.0 / (self.span + 1.0))))
        return one_channel(state, found, self.min_history)

    def fit(self, matrix: Matrix) -> base.State:
        return paging.fit(self, matrix)

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        return paging.update(self, state, column, "rate_of_change")

    def score(self, matrix: Matrix) -> Scores:
        return paging.score(self, matrix, "rate_of_change")
