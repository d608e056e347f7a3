"""``feedback:`` what follows from people's words on alarms."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watchkeeper.config.types import Duration


class Feedback(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Duration = timedelta(days=30)  #: precision, recall and time to detect are of so long
    expected_for: Duration = timedelta(days=28)  #: an expected alarm is not told for so long; the word may say another
    expected_most: Duration = timedelta(days=92)  #: no longer, whatever the word says
    step: Annotated[float, Field(ge=0, le=2)] = 0.4  #: a wrong alarm raises its limit by so much; 0: limits stay
    precision: Annotated[float, Field(gt=0, lt=1)] = 0.8  #: where the limit comes to rest: share of right alarms
    lower: Annotated[float, Field(ge=-2, le=0)] = -1.0  #: the limit moves no further down from the detector's own
    upper: Annotated[float, Field(ge=0, le=10)] = 3.0  #: and no further up

    @model_validator(mode="after")
    def _bounded(self) -> Feedback:
        if not timedelta(0) < self.expected_for <= self.expected_most:
            raise ValueError("expected_for: more than nothing and at most expected_most")
        return self

    @property
    def step_down(self) -> float:
        """Of a right alarm: up and down cancel out at the wanted precision."""
        return self.step * (1.0 - self.precision) / self.precision
