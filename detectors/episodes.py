"""What is unusual now, by name: each series' open alarm with its kind, since when, by how much, against what.

An alarm of the detector opens an episode; so do a series that stopped moving, one whose samples stopped coming and one
that leaks, which no score shows. None opens while the series is learned. An episode lasts while the score stays up,
``HELD_MS`` at least and ``MOST_MS`` at most: a level that stays is told once. Only samples that stay away keep theirs
open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model import Scores
from watchkeeper.model.series import BoolArray, FloatArray

from . import hours, stillness
from .base import Array, State
from .findings import MOST, Finding, Kind, finding

#: Changes with the rows of the state: what was kept of another form is learned anew.
FORM = 3
#: Samples remembered to tell kinds apart.
RECENT = 64
#: An episode is open for at least and at most so long.
HELD_MS, MOST_MS = 300_000, 3_600_000
#: Score from which an episode goes on.
UP = 0.5
#: Samples of a series before any alarm of it; for how long it must have been seen is said by the caller.
LEARNED = 40
#: A series is young for so long: it has not shown a whole day. Until then an alarm needs such a score, which what is
#: plainly beyond all before has (``rarity_score`` of six orders is 0.67).
YOUNG_MS, SURE = 86_400_000, 0.65
#: Kinds of an episode that is open, those that say more after those that say less.
KINDS: tuple[Kind, ...] = (
    "none", "collective", "contextual", "spike", "dip", "variance", "level_shift", "trend", "slow_leak", "flat_line",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Episode:
    """One series' open alarm."""

    row: int
    finding: Finding


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What is known of the series beside their samples."""

    learning_ms: int = 0  #: none is told of before it has been seen for so long
    rates: BoolArray | None = None  #: which of them [series] are rates, which do not leak; None: none


def start(count: int) -> State:
    """The state of ``count`` series never seen."""
    past = hours.start(count)
    rows: dict[str, Array] = {"recent": np.full((count, RECENT), np.nan)}
    rows |= stillness.start_rows(count) | past.rows
    rows |= {name: np.full(count, np.nan) for name in ("change", "baseline", "factor")}
    rows |= {name: np.zeros(count, np.int32) for name in ("flat", "leak", "kind")}
    rows |= {name: np.zeros(count, np.int64) for name in ("opened", "since", "out")}
    return State(rows, past.shared | {"times": np.zeros(RECENT, np.int64), "ticks": np.zeros(1, np.int64)})


def step(state: State, values: FloatArray, scores: Scores, time_ms: int, watched: Watched = Watched()) -> list[Episode]:
    """The episodes open after one column: ``values`` [series], NaN where there is no sample, and its scores."""
    known = ~np.isnan(values)
    _keep(state, values, time_ms)
    stillness.add(state, values, known, time_ms)
    learned = ~learning(state, time_ms, watched)
    begins = _stands_still(state, known & learned, time_ms) | _leaks(state, values, time_ms, learned, watched)
    if scores.alarm is not None:
        sure = (scores.value[:, 0] >= SURE) | (time_ms - state.rows["first"] >= YOUNG_MS)
        begins |= (scores.alarm[:, 0] == 1) & learned & sure
    _outside(state, values, scores, known, time_ms)
    opened = np.where(begins & (state.rows["opened"] == 0), time_ms, state.rows["opened"])
    goes_on, since = (state.rows["flat"] > 0) | (scores.value[:, 0] >= UP), time_ms - opened
    opened = np.where((since < HELD_MS) | (goes_on & (since < MOST_MS)), opened, 0)
    state.rows["opened"], state.rows["kind"] = opened, np.where(opened > 0, state.rows["kind"], 0)
    open_now = np.flatnonzero((opened > 0) | (stillness.missing(state) & learned))
    return [Episode(row, _told(state, row, scores)) for row in open_now.tolist()]


def learning(state: State, time_ms: int, watched: Watched) -> BoolArray:
    """Where too little has been seen for an alarm, in samples or in time [series]; never seen is learning too."""
    rows = state.rows
    short = time_ms - rows["first"] < watched.learning_ms
    return np.asarray((rows["known"] < LEARNED) | short)


def _keep(state: State, values: FloatArray, time_ms: int) -> None:
    place = int(state.shared["ticks"][0]) % RECENT
    state.rows["recent"][:, place] = values
    state.shared["times"][place] = time_ms
    state.shared["ticks"] = state.shared["ticks"] + 1


def _stands_still(state: State, known: BoolArray, time_ms: int) -> BoolArray:
    flat = stillness.flat(state, known, time_ms)
    begins: BoolArray = flat & (state.rows["flat"] == 0)
    state.rows["flat"] = flat.astype(np.int32)
    return begins


def _leaks(state: State, values: FloatArray, time_ms: int, learned: BoolArray, watched: Watched) -> BoolArray:
    """Where a leak begins. Looked for once an hour; told again when there was none for a day."""
    if not hours.add(state, values, time_ms):
        return np.zeros(len(values), np.bool_)
    found = hours.growth(state, time_ms)
    leaks = found.leaks & learned & (True if watched.rates is None else ~watched.rates)
    begins: BoolArray = leaks & (state.rows["leak"] == 0)
    left = np.where(leaks, hours.DAY, np.maximum(state.rows["leak"] - 1, 0))
    state.rows["leak"] = left.astype(np.int32)
    for row in np.flatnonzero(begins).tolist():
        size, before = float(found.a_day[row]), float(found.before[row])
        factor = min(MOST, abs(size / before)) if before else MOST
        since = time_ms - hours.DAY * hours.HOUR_MS
        _name(state, row, Finding(kind="slow_leak", since_ms=since, change=size, baseline=before, factor=factor))
    return begins


def _outside(state: State, values: FloatArray, scores: Scores, known: BoolArray, time_ms: int) -> None:
    """Since when the samples of each series have been outside the band that each had at its time; 0: they are not."""
    with np.errstate(invalid="ignore"):
        outside = (values < scores.lower[:, 0]) | (values > scores.upper[:, 0])
    out = state.rows["out"]
    state.rows["out"] = np.where(outside, np.where(out > 0, out, time_ms), np.where(known, 0, out))


def _moments(state: State) -> Array:
    """Times of the columns remembered, oldest first."""
    ticks = int(state.shared["ticks"][0])
    places = np.arange(max(0, ticks - RECENT), ticks) % RECENT
    return np.asarray(state.shared["times"][places])


def _told(state: State, row: int, scores: Scores) -> Finding:
    """What it is: a kind that says more replaces one that says less, and stays until the episode ends."""
    rows = state.rows
    if rows["missed"][row] and not rows["opened"][row]:
        factor = float(rows["missed"][row] / max(int(rows["gap"][row]), 1))
        return Finding(kind="missing", since_ms=int(rows["silent"][row]), factor=factor)
    _name(state, row, _found(state, row, scores))
    numbers = {name: float(rows[name][row]) for name in ("change", "baseline", "factor")}
    return Finding(kind=KINDS[rows["kind"][row]], since_ms=int(rows["since"][row]), **numbers)


def _name(state: State, row: int, found: Finding) -> None:
    rows, now = state.rows, KINDS[state.rows["kind"][row]]
    if found.kind == "trend" and now == "level_shift" and abs(found.change) <= abs(rows["change"][row]):
        return  # how it wanders on its new level is no news beside the step that led there
    if KINDS.index(found.kind) > rows["kind"][row]:
        rows["kind"][row], rows["since"][row] = KINDS.index(found.kind), found.since_ms or 0
        for name in ("change", "baseline", "factor"):
            rows[name][row] = getattr(found, name)


def _found(state: State, row: int, scores: Scores) -> Finding:
    """What the samples remembered show; collective where no single value, level or spread is odd, but their course."""
    rows, ticks = state.rows, int(state.shared["ticks"][0])
    times, value = _moments(state), float(rows["last"][row])
    usual, reach = float(scores.expected[row, 0]), float(scores.upper[row, 0] - scores.lower[row, 0]) / 2.0
    far = Finding(
        kind="collective",
        since_ms=int(rows["opened"][row]),
        change=value - usual,
        baseline=usual,
        factor=min(MOST, abs(value - usual) / reach) if reach > 0 else float("nan"),
    )
    if rows["flat"][row]:
        runs = float(rows["run"][row] / max(int(rows["longest"][row]), 1))
        return replace(far, kind="flat_line", since_ms=int(rows["still"][row]), factor=runs)
    places = np.arange(max(0, ticks - RECENT), ticks) % RECENT
    band = (np.full(len(places), part[row, 0]) for part in (scores.expected, scores.lower, scores.upper))
    found = finding(times, rows["recent"][row, places], *band)
    if found.kind in ("spike", "dip"):
        since = int(rows["out"][row]) or found.since_ms
        often = hours.reached(state, row, value, int(times[-1]))
        return replace(found, kind="contextual" if often else found.kind, since_ms=since)
    return found if found.kind in KINDS[1:] else _course(state, row, far, value, int(times[-1]))


def _course(state: State, row: int, far: Finding, value: float, time_ms: int) -> Finding:
    """No value of all is odd: one that would not be at another hour, or else their course."""
    middle, half = hours.usual_now(state, row, time_ms)
    if not abs(value - middle) > 2.0 * half or not hours.reached(state, row, value, time_ms):
        return far
    factor = min(MOST, abs(value - middle) / half) if half > 0 else MOST
    return replace(far, kind="contextual", change=value - middle, baseline=middle, factor=factor)
