"""Deviation from the usual value at this time of day or week."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import base, profile
from .ewma import one_channel
from .follow import follow, start_rows, tuning
from .tail import RATIO_TAIL


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Seasonal:
    """Scores how rare the distance from the profile of earlier days (and weeks) is for this series.

    Knows nothing before every part of a day was seen twice; uses time of week once two weeks are known. Days are
    UTC days. Good for: traffic with a daily shape. Not for: jobs at drifting hours, data without real time stamps.
    """

    span: Annotated[int, Field(ge=2)] = 60  #: samples over which today's offset from the profile is followed
    min_history: Annotated[int, Field(ge=2)] = 30  #: samples compared with a profile before there is a score

    def start(self, count: int) -> base.State:
        rows = start_rows(count, 1) | RATIO_TAIL.start_rows(count, 1) | profile.start_rows(count)
        return base.State(rows)

    def step(self, state: base.State, observed: FloatArray, time_ms: int | IntArray) -> base.Answer:
        usual = profile.expected(state, time_ms)
        gain = 2.0 / (self.span + 1.0)
        found = follow(state, (observed - usual)[:, None], tuning((gain, gain)))
        answer = one_channel(state, found, self.min_history)
        believed = usual + found.believed[:, 0]
        profile.learn(state, np.where(np.isnan(believed), observed, believed), time_ms)
        return base.Answer(answer.value, usual + answer.expected, usual + answer.lower, usual + answer.upper)

    def fit(self, matrix: Matrix) -> base.State:
        return base.fit(self, matrix)

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        return base.update(self, state, column, "seasonal")

    def score(self, matrix: Matrix) -> Scores:
        return base.score(self, matrix, "seasonal")
