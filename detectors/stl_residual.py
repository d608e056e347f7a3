"""What is left of each sample when season and trend of the days before are taken away (STL, Cleveland et al. 1990)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray, IntArray

from . import base, paging
from .daily import DAY, DAY_MS
from .ewma import one_channel
from .follow import follow, start_rows, tuning
from .local import Places
from .tail import RATIO_TAIL

#: Share of the parts of its history that a fit must know, and days of it before the first.
KNOWN, FIRST_DAYS = 0.7, 2
#: Fits a day, and places of a day at which trend and level are found.
FITS, JUMPS = 2, 10


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class StlResidual:
    """Scores how rare the distance from the season and trend of the days before is for this series.

    The history is means of up to 288 parts a day; what the last day of it showed is expected of the next, with today's
    offset. Only the past is decomposed, so no score looks ahead. Good for: a handful of series with a daily shape that
    changes. Not for: more than some hundred series (a fit takes 40 ms of each), data without real time stamps.
    """

    days: Annotated[int, Field(ge=FIRST_DAYS, le=14)] = 4  #: of history that a fit sees
    span: Annotated[int, Field(ge=2)] = 60  #: samples over which today's offset is followed
    min_history: Annotated[int, Field(ge=2)] = 30  #: samples compared before there is a score
    false_alarms_a_day: Annotated[float, Field(gt=0)] = 0.15  #: budget of alarms of one series; raises its limit
    zone: str = "UTC"  #: time zone of the series
    zones: Mapping[str, str] = field(default_factory=dict)  #: label=value -> zone, of series that live elsewhere

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", Places.of(self.zone, "", self.zones))

    @property
    def places(self) -> Places:
        found: Places = self._places  # type: ignore[attr-defined]  # set once, in __post_init__
        return found

    def start(self, count: int) -> base.State:
        rows = start_rows(count, 1) | RATIO_TAIL.start_rows(count, 1)
        rows |= {
            "anchor": base.blank(count, dtype=np.float64),  # the first sample: float32 keeps small moves around it
            "past": base.blank(count, self.days * DAY.bins),
            "usual": base.blank(count, DAY.bins),
            "part": np.full(count, -1, np.int64),  # the part of time under way
            "sum": np.zeros(count),
            "number": np.zeros(count),
        }
        return paging.start(rows, count, {"stl": np.zeros(3, np.int64)})  # last time, width of a part, ticks

    def step(self, state: base.State, observed: FloatArray, time_ms: int | IntArray) -> base.Answer:
        moments = np.broadcast_to(np.asarray(time_ms, np.int64), observed.shape)
        rows, count = state.rows, self._count(state, moments)
        rows["anchor"] = np.where(np.isnan(rows["anchor"]), observed, rows["anchor"])
        width = int(state.shared["stl"][1])
        usual = np.full(observed.shape, np.nan)
        if width:
            parts = moments // width
            self._turn(state, parts, count)
            usual = rows["usual"][np.arange(len(parts)), parts % count] + rows["anchor"]
            self._add(state, observed)
        gain = 2.0 / (self.span + 1.0)
        found = follow(state, (observed - usual)[:, None], tuning((gain, gain)))
        answer = one_channel(state, found, self.min_history)
        return base.Answer(answer.value, usual + answer.expected, usual + answer.lower, usual + answer.upper)

    def _count(self, state: base.State, moments: IntArray) -> int:
        """Parts of a day; known from the second time on."""
        last, width, ticks = state.shared["stl"].tolist()
        now = int(moments[0]) if len(moments) else 0
        if not width and ticks and now > last:
            width = max(now - last, DAY_MS // DAY.bins)
        state.shared["stl"] = np.array([now, width, ticks + 1], np.int64)
        return max(1, DAY_MS // width) if width else 1

    def _add(self, state: base.State, observed: FloatArray) -> None:
        known = ~np.isnan(observed)
        state.rows["sum"] = state.rows["sum"] + np.where(known, observed - state.rows["anchor"], 0.0)
        state.rows["number"] = state.rows["number"] + known

    def _turn(self, state: base.State, parts: IntArray, count: int) -> None:
        """Where a part is over its mean joins the history, and now and then season and trend are found anew."""
        rows, size = state.rows, self.days * count
        fresh = np.isnan(rows["sum"])
        for name in ("sum", "number"):
            rows[name] = np.where(fresh, 0.0, rows[name])
        over = np.flatnonzero((parts != rows["part"]) | fresh)
        for row in over.tolist():
            now, before = int(parts[row]), -1 if fresh[row] else int(rows["part"][row])
            past = rows["past"][row]
            if before >= 0:
                past[before % size] = rows["sum"][row] / rows["number"][row] if rows["number"][row] else np.nan
                for missed in range(before + 1, min(now, before + 1 + size)):
                    past[missed % size] = np.nan
                if now // max(1, count // FITS) != before // max(1, count // FITS):
                    self._fit(state, row, now, count)
            rows["part"][row], rows["sum"][row], rows["number"][row] = now, 0.0, 0.0

    def _fit(self, state: base.State, row: int, now: int, count: int) -> None:
        """Season and trend of this row's history up to the part before ``now``."""
        size = self.days * count
        history = state.rows["past"][row][np.arange(now - size, now) % size].astype(np.float64)
        known = ~np.isnan(history)
        first = int(np.argmax(known))
        history, known = history[first:], known[first:]
        if count < 2 or len(history) < FIRST_DAYS * count or known.mean() < KNOWN:
            return
        from statsmodels.tsa.seasonal import STL  # seconds to import: only who asks pays

        whole = np.interp(np.arange(len(history)), np.flatnonzero(known), history[known])
        jump = max(1, count // JUMPS)  # between places where the slow parts are found; drawn out between them
        found = STL(whole, period=count, robust=True, trend_jump=jump, low_pass_jump=jump).fit()
        places = np.arange(now - count, now) % count
        state.rows["usual"][row, places] = found.seasonal[-count:] + found.trend[-1]

    def fit(self, matrix: Matrix) -> base.State:
        return paging.fit(self, matrix, self.places)

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        return paging.update(self, state, column, "stl_residual", self.places)

    def score(self, matrix: Matrix) -> Scores:
        return paging.score(self, matrix, "stl_residual", self.places)
