"""What a series usually is at this time of day: 288 parts, each the mean of earlier days that forgets.

A part is not read on the day it is learned, so a block of less than a day reads one profile and learns it afterwards.
Series of one call may have clocks of their own: ``Places`` has a row for each, or one for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import IntArray

from .base import Array, State

DAY_MS = 86_400_000
BINS = 288
#: Share of the newest day in the profile: about three days of memory.
GAIN = 0.3
#: Parts that must lie between the end of a block and its start a day later.
MARGIN = 4


def start_rows(count: int) -> dict[str, Array]:
    return {
        "profile": np.full((count, BINS), np.nan, np.float32),
        "visit": np.zeros((count, 4)),  # sum and samples of the part under way, and of the one before
        "part": np.zeros((count, 2), np.int16),  # the part under way, and the one before
        "anchor": np.full(count, np.nan),  # the first sample: float32 keeps small moves around it
    }


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the times of a block are in the day: arrays [series, time], or [1, time] where all go by one clock."""

    part: IntArray
    inside: Array  #: place within the part less one half
    count: int  #: parts of a day

    def rows(self, chosen: slice) -> Places:
        """Of these series alone."""
        return self if len(self.part) == 1 else Places(self.part[chosen], self.inside[chosen], self.count)


def places(times: IntArray, interval_ms: int) -> Places:
    """Of times [series or 1, time] in milliseconds since the epoch."""
    width = max(interval_ms, DAY_MS // BINS)
    count = max(1, DAY_MS // width)
    moment = times.astype(np.float64)
    moment -= DAY_MS * np.floor(moment / DAY_MS)
    moment /= width
    part = np.minimum(moment.astype(np.int64), count - 1)
    moment -= part
    moment += 0.5 * interval_ms / width - 0.5
    return Places(part, moment, count)


def reach_ms(interval_ms: int) -> int:
    """How long a block may last, so that it reads no part which it has learned."""
    return DAY_MS - MARGIN * max(interval_ms, DAY_MS // BINS)


def expected(state: State, at: Places) -> Array:
    """The usual value at each time [series, time], drawn out between neighbouring parts; NaN where not known."""
    profile = state.rows["profile"]
    beside = at.part + np.where(at.inside < 0, -1, 1)
    beside += np.where(beside < 0, at.count, 0) - np.where(beside >= at.count, at.count, 0)
    if len(at.part) == 1:
        here, there = profile[:, at.part[0]], profile[:, beside[0]]
    else:
        rows = np.arange(len(profile))[:, None]
        here, there = profile[rows, at.part], profile[rows, beside]
    drawn = here + np.abs(at.inside) * (there.astype(np.float64) - here)
    return np.where(np.isnan(drawn), here, drawn) + state.rows["anchor"][:, None]


def learn(state: State, sample: Array, at: Places, interval_ms: int, known: Array | None) -> None:
    """Add a block of samples [series, time], none of them NaN unless ``known`` says so."""
    anchor = state.rows["anchor"]
    if np.isnan(anchor).any():
        first = sample[:, 0] if known is None else np.where(known, sample[:, 0], np.nan)
        anchor = state.rows["anchor"] = np.where(np.isnan(anchor), first, anchor)
    moved = np.subtract(sample, np.nan_to_num(anchor)[:, None], order="C")
    moved = moved if known is None else np.where(known[:, None], moved, 0.0)
    weight = np.ones(len(moved)) if known is None else known.astype(np.float64)
    if moved.shape[1] == 1 and (at.part[:, 0] == state.rows["part"][:, 0]).all():  # all are where they were
        state.rows["visit"][:, 0] += moved[:, 0]
        state.rows["visit"][:, 1] += weight
        return
    visits = _visits(state, moved, weight, at.part)
    _fold(state, _over(state, visits), interval_ms)
    _leave_open(state, visits)


@dataclass(frozen=True, slots=True, eq=False)
class _Visits:
    """Runs of samples in one part, those of each series in order; arrays have shape [visits] or [series]."""

    row: IntArray
    column: IntArray  #: where it begins
    part: IntArray
    total: Array
    number: Array
    first: IntArray  #: of each series its first visit, which may go on with the one that was under way
    count: IntArray  #: visits of each series
    goes_on: Array  #: whether the first is the part that was under way


def _visits(state: State, moved: Array, weight: Array, part: IntArray) -> _Visits:
    length = moved.shape[1]
    new = np.ones(moved.shape, np.bool_)
    np.not_equal(part[:, 1:], part[:, :-1], out=new[:, 1:])
    starts = np.flatnonzero(new.ravel())
    row, column = np.divmod(starts, length)
    total = np.add.reduceat(moved.ravel(), starts)
    number = np.diff(starts, append=moved.size) * weight[row]
    first = np.flatnonzero(column == 0)
    parts = part[0, column] if len(part) == 1 else part.ravel()[starts]
    open_visit, goes_on = state.rows["visit"], parts[first] == state.rows["part"][:, 0]
    total[first] += np.where(goes_on, open_visit[:, 0], 0.0)
    number[first] += np.where(goes_on, open_visit[:, 1], 0.0)
    return _Visits(row, column, parts, total, number, first, np.diff(first, append=len(starts)), goes_on)


@dataclass(frozen=True, slots=True, eq=False)
class _Over:
    """Visits that are over; arrays have shape [visits]."""

    row: IntArray
    part: IntArray
    total: Array
    number: Array
    until: IntArray  #: column in which the next but one begins


def _over(state: State, visits: _Visits) -> list[_Over]:
    """A visit is over when the next but one begins: those left open, if so, and all but the last two of the block."""
    held, parts = state.rows["visit"], state.rows["part"]
    before = np.flatnonzero(visits.count - visits.goes_on >= 1)
    under_way = np.flatnonzero(~visits.goes_on & (visits.count >= 2))
    ends = visits.column[np.minimum(visits.first[before] + visits.goes_on[before], len(visits.row) - 1)]
    found = [_Over(before, parts[before, 1], held[before, 2], held[before, 3], ends)]
    if len(under_way):
        ends = visits.column[visits.first[under_way] + 1]
        found.append(_Over(under_way, parts[under_way, 0], held[under_way, 0], held[under_way, 1], ends))
    done = np.flatnonzero(visits.row[2:] == visits.row[:-2]) if len(visits.row) > 2 else visits.row[:0]
    if len(done):
        one = visits.total[done], visits.number[done], visits.column[done + 2]
        found.append(_Over(visits.row[done], visits.part[done], *one))
    return found


def _fold(state: State, over: list[_Over], interval_ms: int) -> None:
    """Visits that are over and no longer beside the present become part of the profile."""
    profile, seen = state.rows["profile"], state.rows["seen"]
    for one in over:
        days = np.floor((seen[one.row] + one.until) * (interval_ms / DAY_MS))
        gain = np.maximum(GAIN, 1.0 / (1.0 + days)).astype(np.float32)
        mean = (one.total / np.maximum(one.number, 1.0)).astype(np.float32)
        old = profile[one.row, one.part]
        new = np.where(np.isnan(old), mean, old + gain * (mean - old))
        profile[one.row, one.part] = np.where(one.number > 0, new, old)


def _leave_open(state: State, visits: _Visits) -> None:
    """The last two visits of each series are those under way and before."""
    held, parts = state.rows["visit"], state.rows["part"]
    last = visits.first + visits.count - 1
    many, one_more = visits.count >= 2, (visits.count == 1) & ~visits.goes_on
    earlier = np.maximum(last - 1, 0)
    for at, of in enumerate((visits.total, visits.number)):
        before = np.where(many, of[earlier], np.where(one_more, held[:, at], held[:, 2 + at]))
        held[:, 2 + at], held[:, at] = before, of[last]
    parts[:, 1] = np.where(many, visits.part[earlier], np.where(one_more, parts[:, 0], parts[:, 1]))
    parts[:, 0] = visits.part[last]
