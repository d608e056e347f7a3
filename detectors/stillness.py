"""What no score shows: a series that stopped moving, and one whose samples stopped coming."""

from __future__ import annotations

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray

from .base import Array, State
from .findings import FLAT

#: Longer than this many times the longest run, or gap, so far.
TIMES = 3
#: A flat line is at least so long.
FLAT_MS = 300_000
#: Moves before standing still means anything.
PROVEN = 60
#: A series moves regularly where its longest run is at most so many times the mean one.
REGULAR = 10
#: Runs longer than this are forgotten, a part of so many with every move: one flat line does not hide all later ones.
FORGETS = 200
#: Samples before silence means anything; samples missed before a series is missing.
STEADY, MISSED = 50, 4


def start_rows(count: int) -> dict[str, Array]:
    names = ("run", "moves", "longest", "known", "missed", "gap", "zeros")
    whole = {name: np.zeros(count, np.int32) for name in names}
    times = {name: np.zeros(count, np.int64) for name in ("first", "silent", "still")}
    return whole | times | {"last": np.full(count, np.nan)}


def add(state: State, values: FloatArray, known: BoolArray, time_ms: int) -> None:
    """One column of samples [series]."""
    rows = state.rows
    moved = known & ~np.isnan(rows["last"]) & (values != rows["last"])
    forgetful = rows["longest"] - rows["longest"] // FORGETS
    rows["longest"] = np.where(moved, np.maximum(forgetful, rows["run"]), rows["longest"]).astype(np.int32)
    rows["still"] = np.where(moved | (known & (rows["known"] == 0)), time_ms, rows["still"])
    rows["run"] = np.where(moved, 1, rows["run"] + known).astype(np.int32)
    rows["moves"] = rows["moves"] + moved.astype(np.int32)
    rows["zeros"] = rows["zeros"] + (known & (values == 0.0)).astype(np.int32)
    rows["last"] = np.where(known, values, rows["last"])
    rows["gap"] = np.where(known, np.maximum(rows["gap"], rows["missed"]), rows["gap"])
    rows["missed"] = np.where(known, 0, rows["missed"] + (rows["known"] > 0)).astype(np.int32)
    rows["silent"] = np.where(rows["missed"] == 1, time_ms, rows["silent"])
    rows["first"] = np.where(known & (rows["known"] == 0), time_ms, rows["first"])
    rows["known"] = rows["known"] + known.astype(np.int32)


def flat(state: State, known: BoolArray, time_ms: int) -> BoolArray:
    """Where a series that has proven to move regularly has not for far longer than ever before.

    A rate or count that rests at 0 where it has been before is idle: that says nothing.
    """
    rows = state.rows
    run = rows["run"]
    mean = (rows["known"] - run) / np.maximum(rows["moves"], 1)
    proven = (rows["moves"] >= PROVEN) & (rows["longest"] <= REGULAR * mean)
    idle = (rows["last"] == 0.0) & (rows["zeros"] > run)
    long = (run >= FLAT) & (run > TIMES * rows["longest"]) & (time_ms - rows["still"] >= FLAT_MS)
    return np.asarray(known & proven & long & ~idle)


def missing(state: State) -> BoolArray:
    """Where samples that came regularly have stayed away for far longer than ever before."""
    rows = state.rows
    return np.asarray((rows["known"] >= STEADY) & (rows["missed"] >= MISSED) & (rows["missed"] > TIMES * rows["gap"]))
