"""Deviation from the usual value at this time of day or week."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import base, paging, profile
from .ewma import one_channel
from .follow import follow, start_rows, tuning
from .local import Places
from .tail import RATIO_TAIL


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class Seasonal:
    """Scores how rare the distance from the profile of earlier days (and weeks) is for this series.

    Knows nothing before every part of a day was seen twice; uses time of week once two weeks are known. Days are
    those of the series' time zone, through daylight saving; a holiday is compared with Sundays, a worked weekend's
    day with working days. Good for: traffic with a daily shape. Not for: jobs at drifting hours, data without real time
    stamps.
    """

    span: Annotated[int, Field(ge=2)] = 60  #: samples over which today's offset from the profile is followed
    min_history: Annotated[int, Field(ge=2)] = 30  #: samples compared with a profile before there is a score
    false_alarms_a_day: Annotated[float, Field(gt=0)] = 0.15  #: budget of alarms of one series; raises its limit
    zone: str = "UTC"  #: time zone of the series
    zones: Mapping[str, str] = field(default_factory=dict)  #: label=value -> zone, of series that live elsewhere
    country: str = ""  #: whose holidays and make-up workdays count, like CN, DE or US-CA; empty: none

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", Places.of(self.zone, self.country, self.zones))

    @property
    def places(self) -> Places:
        found: Places = self._places  # type: ignore[attr-defined]  # set once, in __post_init__
        return found

    def start(self, count: int) -> base.State:
        rows = start_rows(count, 1) | RATIO_TAIL.start_rows(count, 1) | profile.start_rows(count)
        return paging.start(rows, count)

    def step(self, state: base.State, observed: FloatArray, time_ms: int | IntArray) -> base.Answer:
        usual = profile.expected(state, time_ms)
        gain = 2.0 / (self.span + 1.0)
        found = follow(state, (observed - usual)[:, None], tuning((gain, gain)))
        answer = one_channel(state, found, self.min_history)
        believed = usual + found.believed[:, 0]
        profile.learn(state, np.where(np.isnan(believed), observed, believed), time_ms)
        return base.Answer(answer.value, usual + answer.expected, usual + answer.lower, usual + answer.upper)

    def fit(self, matrix: Matrix) -> base.State:
        return paging.fit(self, matrix, self.places)

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        return paging.update(self, state, column, "seasonal", self.places)

    def score(self, matrix: Matrix) -> Scores:
        return paging.score(self, matrix, "seasonal", self.places)
