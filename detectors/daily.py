"""What a series usually is at this time of day: 288 parts, each the mean of earlier days that forgets.

A part is not read on the day it is learned, so a block of less than a day reads one profile and learns it afterwards.
Series of one call may have clocks of their own: ``Clocks`` says which rows go by which times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watchkeeper.model.series import IntArray

from .base import Array, State

DAY_MS = 86_400_000
BINS = 288
#: Share of the newest day in the profile: about three days of memory.
GAIN = 0.3
#: Rows, and the times of their columns in milliseconds.
Clocks = Sequence[tuple[slice | IntArray, IntArray]]

#: Parts that must lie between the end of a block and its start a day later.
MARGIN = 4


def start_rows(count: int) -> dict[str, Array]:
    return {
        "profile": np.full((count, BINS), np.nan, np.float32),
        "visit": np.zeros((count, 4)),  # sum and samples of the part under way, and of the one before
        "part": np.zeros((count, 2), np.int16),  # the part under way, and the one before
        "anchor": np.full(count, np.nan),  # the first sample: float32 keeps small moves around it
    }


def parts_of(times: IntArray, interval_ms: int) -> tuple[IntArray, Array, int]:
    """(part, place within it less one half, number of parts) of each time."""
    width = max(interval_ms, DAY_MS // BINS)
    count = max(1, DAY_MS // width)
    place = np.mod(times, DAY_MS) / width
    part = np.minimum(place.astype(np.int64), count - 1)
    inside = place - part - 0.5 + 0.5 * interval_ms / width
    return part, inside, count


def reach_ms(interval_ms: int) -> int:
    """How long a block may last, so that it reads no part which it has learned."""
    return DAY_MS - MARGIN * max(interval_ms, DAY_MS // BINS)


def expected(state: State, clocks: Clocks, interval_ms: int) -> Array:
    """The usual value at each time [series, time], drawn out between neighbouring parts; NaN where not known."""
    profile = state.rows["profile"]
    answers = np.empty((len(profile), len(clocks[0][1]) if clocks else 0))
    for rows, times in clocks:
        part, inside, count = parts_of(times, interval_ms)
        mine = profile[rows]
        here = mine[:, part].astype(np.float64)
        drawn = here + np.abs(inside) * (mine[:, (part + np.where(inside < 0, -1, 1)) % count] - here)
        answers[rows] = np.where(np.isnan(drawn), here, drawn)
    answers += state.rows["anchor"][:, None]
    return answers


def learn(state: State, sample: Array, clocks: Clocks, interval_ms: int, known: Array | None) -> None:
    """Add a block of samples [series, time], none of them NaN unless ``known`` says so."""
    anchor = state.rows["anchor"]
    if np.isnan(anchor).any():
        first = sample[:, 0] if known is None else np.where(known, sample[:, 0], np.nan)
        anchor = state.rows["anchor"] = np.where(np.isnan(anchor), first, anchor)
    moved = sample - np.nan_to_num(anchor)[:, None]
    moved = moved if known is None else np.where(known[:, None], moved, 0.0)
    for rows, times in clocks:
        weight = np.ones(len(moved[rows])) if known is None else known[rows].astype(np.float64)
        _add(state, rows, moved[rows], weight, parts_of(times, interval_ms)[0], interval_ms)


def _add(state: State, rows: slice | IntArray, moved: Array, weight: Array, part: IntArray, interval_ms: int) -> None:
    """Visits of parts, in order: the one before, the one under way, and those of the block; the last two stay open."""
    visit, open_parts = state.rows["visit"], state.rows["part"]
    starts = np.flatnonzero(np.concatenate([[True], part[1:] != part[:-1]]))
    sums = np.add.reduceat(moved, starts, axis=1)
    counts = weight[:, None] * np.diff(np.concatenate([starts, [len(part)]]))
    held = visit[rows]
    longest = int(np.argmax(held[:, 1] + held[:, 3])) if len(held) else 0  # a series that is new has none open
    under_way, before = open_parts[rows][longest].tolist()
    order, first = [before, under_way, *part[starts].tolist()], 2
    totals = np.concatenate([held[:, 2:3], held[:, 0:1], sums], axis=1)
    numbers = np.concatenate([held[:, 3:4], held[:, 1:2], counts], axis=1)
    if order[2] == under_way:  # the part goes on
        totals[:, 1] += totals[:, 2]
        numbers[:, 1] += numbers[:, 2]
        totals, numbers = np.delete(totals, 2, axis=1), np.delete(numbers, 2, axis=1)
        order, first = [before, under_way, *order[3:]], 1
    if len(order) > 2:  # a visit is folded when the next but one begins
        seen = state.rows["seen"][rows][:, None] + starts[2 - first :]
        done = slice(0, len(order) - 2)
        _fold(
            state,
            rows,
            np.array(order[done]),
            totals[:, done],
            numbers[:, done],
            np.floor(seen * (interval_ms / DAY_MS)),
        )
    visit[rows] = np.stack([totals[:, -1], numbers[:, -1], totals[:, -2], numbers[:, -2]], axis=1)
    open_parts[rows] = (order[-1], order[-2])


def _fold(state: State, rows: slice | IntArray, part: IntArray, total: Array, number: Array, days: Array) -> None:
    """Visits that are over and no longer beside the present become part of the profile."""
    gain = np.maximum(GAIN, 1.0 / (1.0 + days)).astype(np.float32)
    mean = (total / np.maximum(number, 1.0)).astype(np.float32)
    mine = state.rows["profile"][rows]
    old = mine[:, part]
    new = np.where(np.isnan(old), mean, old + gain * (mean - old))
    mine[:, part] = np.where(number > 0, new, old)
    state.rows["profile"][rows] = mine
