"""What is unusual now, by name: each series' open alarm with its kind, since when and by how much.

An alarm of the detector opens an episode; so do a series that stopped moving and one whose samples stopped coming,
which no score shows. An episode lasts while the score stays up, ``HELD_MS`` at least and ``MOST_MS`` at most: a level
that stays is told once. Only samples that stay away keep theirs open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model import Scores
from watchkeeper.model.series import BoolArray, FloatArray

from .base import Array, State
from .findings import FLAT, MIN_PAST, Finding, Kind, finding

#: Samples remembered to tell kinds apart.
RECENT = 64
#: An episode is open for at least and at most so long.
HELD_MS, MOST_MS = 300_000, 3_600_000
#: Score from which an episode goes on.
UP = 0.5
#: Samples before silence means anything; samples missed before a series is missing.
REGULAR, MISSED = 50, 4
#: Longer than this many times the longest run, or gap, so far.
TIMES = 3
#: Kinds of an episode that is open, those that say more after those that say less.
KINDS: tuple[Kind, ...] = ("none", "unusual", "spike", "dip", "variance", "level_shift", "trend", "flat_line")


@dataclass(frozen=True, slots=True)
class Episode:
    """One series' open alarm."""

    row: int
    finding: Finding


def start(count: int) -> State:
    """The state of ``count`` series never seen."""
    whole = {
        name: np.zeros(count, np.int32)
        for name in ("run", "moves", "longest", "flat", "known", "missed", "gap", "kind")
    }
    rows = {"recent": np.full((count, RECENT), np.nan), "last": np.full(count, np.nan)}
    rows |= {"change": np.full(count, np.nan)}
    times = {name: np.zeros(count, np.int64) for name in ("opened", "since", "silent", "still", "out")}
    return State(rows | whole | times, {"times": np.zeros(RECENT, np.int64), "ticks": np.zeros(1, np.int64)})


def step(state: State, values: FloatArray, scores: Scores, time_ms: int) -> list[Episode]:
    """The episodes open after one column: ``values`` [series], NaN where there is no sample, and its scores."""
    known = ~np.isnan(values)
    _keep(state, values, time_ms)
    flat, missing = _flat(state, values, known), _missing(state, known)
    _outside(state, values, scores, known, time_ms)
    begins = flat & (state.rows["flat"] == 0)
    if scores.alarm is not None:
        begins |= scores.alarm[:, 0] == 1
    state.rows["flat"] = flat.astype(np.int32)
    opened = np.where(begins & (state.rows["opened"] == 0), time_ms, state.rows["opened"])
    goes_on, since = flat | (scores.value[:, 0] >= UP), time_ms - opened
    opened = np.where((since < HELD_MS) | (goes_on & (since < MOST_MS)), opened, 0)
    state.rows["opened"], state.rows["kind"] = opened, np.where(opened > 0, state.rows["kind"], 0)
    open_now = np.flatnonzero((opened > 0) | missing)
    return [Episode(row, _told(state, row, scores)) for row in open_now.tolist()]


def _keep(state: State, values: FloatArray, time_ms: int) -> None:
    place = int(state.shared["ticks"][0]) % RECENT
    state.rows["recent"][:, place] = values
    state.shared["times"][place] = time_ms
    state.shared["ticks"] = state.shared["ticks"] + 1


def _outside(state: State, values: FloatArray, scores: Scores, known: BoolArray, time_ms: int) -> None:
    """Since when the samples of each series have been outside the band that each had at its time; 0: they are not."""
    with np.errstate(invalid="ignore"):
        outside = (values < scores.lower[:, 0]) | (values > scores.upper[:, 0])
    out = state.rows["out"]
    state.rows["out"] = np.where(outside, np.where(out > 0, out, time_ms), np.where(known, 0, out))


def _flat(state: State, values: FloatArray, known: BoolArray) -> BoolArray:
    """Where a series that used to move has not for far longer than ever before."""
    rows = state.rows
    moved = known & ~np.isnan(rows["last"]) & (values != rows["last"])
    rows["longest"] = np.where(moved, np.maximum(rows["longest"], rows["run"]), rows["longest"])
    rows["still"] = np.where(moved, int(_moments(state)[-1]), rows["still"])
    rows["run"] = np.where(moved, 1, rows["run"] + known).astype(np.int32)
    rows["moves"] = rows["moves"] + moved.astype(np.int32)
    rows["last"] = np.where(known, values, rows["last"])
    return np.asarray(
        known & (rows["run"] >= FLAT) & (rows["run"] > TIMES * rows["longest"]) & (rows["moves"] >= MIN_PAST)
    )


def _missing(state: State, known: BoolArray) -> BoolArray:
    """Where samples that came regularly have stayed away for far longer than ever before."""
    rows = state.rows
    rows["gap"] = np.where(known, np.maximum(rows["gap"], rows["missed"]), rows["gap"])
    rows["missed"] = np.where(known, 0, rows["missed"] + (rows["known"] > 0)).astype(np.int32)
    rows["known"] = rows["known"] + known.astype(np.int32)
    first = rows["missed"] == 1
    rows["silent"] = np.where(first, int(_moments(state)[-1]), rows["silent"])
    return np.asarray((rows["known"] >= REGULAR) & (rows["missed"] >= MISSED) & (rows["missed"] > TIMES * rows["gap"]))


def _moments(state: State) -> Array:
    """Times of the columns remembered, oldest first."""
    ticks = int(state.shared["ticks"][0])
    places = np.arange(max(0, ticks - RECENT), ticks) % RECENT
    return np.asarray(state.shared["times"][places])


def _told(state: State, row: int, scores: Scores) -> Finding:
    """What it is: a kind that says more replaces one that says less, and stays until the episode ends."""
    rows = state.rows
    if rows["missed"][row] and not rows["opened"][row]:
        return Finding(kind="missing", since_ms=int(rows["silent"][row]))
    found = _found(state, row, scores)
    if KINDS.index(found.kind) > rows["kind"][row]:
        rows["kind"][row], rows["since"][row] = KINDS.index(found.kind), found.since_ms or 0
        rows["change"][row] = found.change
    return Finding(kind=KINDS[rows["kind"][row]], since_ms=int(rows["since"][row]), change=float(rows["change"][row]))


def _found(state: State, row: int, scores: Scores) -> Finding:
    """What the samples remembered show; ``unusual`` where no single value, level or spread is, but their course."""
    rows, ticks = state.rows, int(state.shared["ticks"][0])
    change = float(rows["last"][row] - scores.expected[row, 0])
    if rows["flat"][row]:
        return Finding(kind="flat_line", since_ms=int(rows["still"][row]), change=change)
    places = np.arange(max(0, ticks - RECENT), ticks) % RECENT
    band = (np.full(len(places), part[row, 0]) for part in (scores.expected, scores.lower, scores.upper))
    found = finding(_moments(state), rows["recent"][row, places], *band)
    if found.kind in ("spike", "dip") and rows["out"][row]:
        return replace(found, since_ms=int(rows["out"][row]))
    if found.kind in KINDS[1:]:
        return found
    return Finding(kind="unusual", since_ms=int(rows["opened"][row]), change=change)
