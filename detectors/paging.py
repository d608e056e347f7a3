"""When kinds page that say how rare a sample is and nothing of what begins: by rarity, within the same budget.

A sample opens an alarm where it is rarer than one in the samples of ``1 / false_alarms_a_day`` days, and scores one
half or more. How rare it is taken to be is a guess from the series' own past, so the limit also rises by the series'
own rate of alarms, as that of ``ensemble`` does, and people's words move it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray

from . import alarm, base
from .daily import DAY_MS
from .local import Places

#: Share of the newest distance between two samples in the usual one, and how many times the usual a distance counts.
GAIN, FAR = 0.05, 4
#: Interval taken before there are two samples.
FIRST_MS = 60_000
#: Orders of rarity beyond the limit from which more says no more: what a kind takes for one in a million may come
#: every hour, and then the budget must hold.
MOST = 3.0


def start(rows: dict[str, base.Array], count: int, shared: dict[str, base.Array] | None = None) -> base.State:
    """The state of a kind's own rows, and what paging remembers."""
    mine = alarm.start_rows(count) | {"paged": np.zeros(count, np.int32)}
    return base.State(rows | mine, (shared or {}) | {"paged": np.array([0, FIRST_MS], np.int64)})


def fit(detector: Any, matrix: Matrix, places: Places = base.UTC) -> base.State:
    """The state after all columns of the matrix."""
    return _walk(detector, detector.start(len(matrix.series)), matrix, "", places)[0]


def update(
    detector: Any, state: base.State, column: Matrix, kind: str, places: Places = base.UTC
) -> tuple[base.State, Scores]:
    """The scores and alarms of the new column (or columns), and the state after it. Takes ``state`` over."""
    base.same_layout(state, column)
    return _walk(detector, state, column, kind, places)


def score(detector: Any, matrix: Matrix, kind: str, places: Places = base.UTC) -> Scores:
    """The scores and alarms of every column, each from the columns before it alone."""
    return _walk(detector, detector.start(len(matrix.series)), matrix, kind, places)[1]


def _walk(detector: Any, state: base.State, matrix: Matrix, kind: str, places: Places) -> tuple[base.State, Scores]:
    state, scores = base.walk(detector, state, matrix, kind=kind, places=places)
    return state, paged(state, scores, detector.false_alarms_a_day)


def paged(state: base.State, scores: Scores, a_day: float, *, orders: bool = True) -> Scores:
    """The same scores with the alarms that they open. Not ``orders``: scores tell ranks, and end far below 1."""
    opened = np.full(scores.value.shape, np.nan)
    for at, time_ms in enumerate(scores.times.tolist()):
        opened[:, at] = _opened(state, scores.value[:, at], time_ms, a_day, orders=orders)
    return replace(scores, alarm=opened)


def _opened(state: base.State, value: FloatArray, time_ms: int, a_day: float, *, orders: bool) -> FloatArray:
    """1 where an alarm opens, 0 where not, NaN without a score; [series]."""
    rows, known = state.rows, ~np.isnan(value)
    fresh = rows["paged"] == 0
    if fresh.any():  # rows of a series that has just come are blank
        for name in alarm.start_rows(0):
            if name != "alarm_moved":
                rows[name][fresh] = 0
        rows["alarm_moved"] = np.nan_to_num(rows["alarm_moved"])
    samples_a_day = DAY_MS / _interval(state, time_ms)
    least = max(base.HALF_RARITY, float(np.log10(samples_a_day / a_day)) if orders else 0.0)
    beyond = np.minimum(_orders(np.where(known, value, 0.0)) - least, MOST)
    begins = (beyond + alarm.LIMIT)[:, None]
    budget = alarm.Budget(a_day, samples_a_day)
    rings = alarm.judge(state, alarm.Evidence(begins), known[:, None], rows["paged"][:, None], budget)[:, 0]
    rows["paged"] = (rows["paged"] + known).astype(np.int32)
    return np.where(known, rings, np.nan)


def _orders(value: FloatArray) -> FloatArray:
    """Decimal orders of rarity that earn this score."""
    return np.asarray(base.HALF_RARITY * value / np.maximum(1.0 - value, 1e-9))


def _interval(state: base.State, time_ms: int) -> float:
    """The usual milliseconds between two samples, this one included; a gap moves it little."""
    last, usual = state.shared["paged"].tolist()
    passed = time_ms - last
    if last and passed > 0:
        first = usual == FIRST_MS and not state.rows["paged"].any()
        usual = passed if first else round(usual + GAIN * (min(passed, FAR * usual) - usual))
    state.shared["paged"] = np.array([time_ms, max(usual, 1)], np.int64)
    return float(max(usual, 1))
