"""What a series usually is at this time of day, and how far from that at this time of the week.

288 parts of a day, each the mean of earlier days that forgets; and 42 parts of a week, each how far the series usually
is from those of the day then: what weekends change, of which days alone know nothing. A part is not read on the day it
is learned, so a block of less than a day reads one profile and learns it afterwards.
Series of one call may have clocks of their own: ``Places`` has a row for each, or one for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import IntArray

from .base import Array, State

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Cycle:
    """One that repeats itself."""

    name: str  #: that its rows of the state begin with
    period_ms: int
    bins: int  #: parts of it at most; none is shorter than a sample
    early: float  #: cycles that a part of the first one counts for

    def width_ms(self, interval_ms: int) -> int:
        return max(interval_ms, self.period_ms // self.bins)


DAY = Cycle("day", DAY_MS, 288, 1.0)
#: Weeks begin on Thursdays, as the epoch does. That a week of one view is like all others is believed by half.
WEEK = Cycle("week", 7 * DAY_MS, 42, 2.0)
#: Share of the newest cycle in the profile: about three of memory.
GAIN = 0.3
#: Parts that must lie between the end of a block and its start a day later.
MARGIN = 4


def start_rows(count: int) -> dict[str, Array]:
    rows: dict[str, Array] = {
        "day_profile": np.full((count, DAY.bins), np.nan, np.float32),
        "week_profile": np.zeros((count, WEEK.bins), np.float32),
        "anchor": np.full(count, np.nan),  # the first sample: float32 keeps small moves around it
    }
    for cycle in (DAY, WEEK):
        rows[f"{cycle.name}_visit"] = np.zeros((count, 4))  # sum and samples of the part under way, of the one before
        rows[f"{cycle.name}_part"] = np.zeros((count, 2), np.int16)  # the part under way, and the one before
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the times of a block are in a cycle: arrays [series, time], or [1, time] where all go by one clock."""

    part: IntArray
    beside: IntArray  #: the nearest part beside it
    inside: Array  #: how far it is from the middle of the part towards that of the other, in parts

    def rows(self, chosen: slice) -> Places:
        """Of these series alone."""
        one = len(self.part) == 1
        return self if one else Places(self.part[chosen], self.beside[chosen], self.inside[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class When:
    """Where the times of a block are in the day and in the week."""

    day: Places
    week: Places

    def rows(self, chosen: slice) -> When:
        """Of these series alone."""
        return When(self.day.rows(chosen), self.week.rows(chosen))


def when(times: IntArray, interval_ms: int) -> When:
    """Of times [series or 1, time] in milliseconds since the epoch."""
    return When(_places(times, interval_ms, DAY), _places(times, interval_ms, WEEK))


def _places(times: IntArray, interval_ms: int, cycle: Cycle) -> Places:
    width = cycle.width_ms(interval_ms)
    count = max(1, cycle.period_ms // width)
    moment = times.astype(np.float64)
    moment -= cycle.period_ms * np.floor(moment / cycle.period_ms)
    moment /= width
    part = np.minimum(moment.astype(np.int64), count - 1)
    moment -= part
    moment += 0.5 * interval_ms / width - 0.5
    beside = part + np.where(moment < 0, -1, 1)
    beside += np.where(beside < 0, count, 0) - np.where(beside >= count, count, 0)
    if cycle is WEEK:  # a weekend begins at midnight, and not bit by bit
        a_day = max(1, DAY_MS // width)
        beside = np.where(beside // a_day == part // a_day, beside, part)
    return Places(part, beside, np.abs(moment, out=moment))


def reach_ms(interval_ms: int) -> int:
    """How long a block may last, so that it reads no part which it has learned."""
    return DAY_MS - MARGIN * DAY.width_ms(interval_ms)


def expected(state: State, at: When) -> Array:
    """The usual value at each time [series, time], drawn out between neighbouring parts; NaN where not known."""
    usual = _of_day(state, at.day)
    usual += _drawn(state.rows["week_profile"], at.week)
    usual += state.rows["anchor"][:, None]
    return usual


def _of_day(state: State, at: Places) -> Array:
    """How far from the anchor it usually is at this time of day; NaN where that is not known."""
    drawn = _drawn(state.rows["day_profile"], at)
    unknown = np.isnan(drawn)
    return np.where(unknown, _here(state.rows["day_profile"], at.part), drawn) if unknown.any() else drawn


def _here(profile: Array, part: IntArray) -> Array:
    return profile[:, part[0]] if len(part) == 1 else profile[np.arange(len(profile))[:, None], part]


def _drawn(profile: Array, at: Places) -> Array:
    here, there = _here(profile, at.part), _here(profile, at.beside)
    return np.asarray(here + at.inside * (there.astype(np.float64) - here))


def learn(state: State, sample: Array, at: When, interval_ms: int, known: Array | None) -> None:
    """Add a block of samples [series, time], none of them NaN unless ``known`` says so."""
    anchor = state.rows["anchor"]
    if np.isnan(anchor).any():
        first = sample[:, 0] if known is None else np.where(known, sample[:, 0], np.nan)
        anchor = state.rows["anchor"] = np.where(np.isnan(anchor), first, anchor)
    moved = np.subtract(sample, np.nan_to_num(anchor)[:, None], order="C")
    away = np.subtract(moved, _of_day(state, at.day), order="C")
    np.nan_to_num(away, copy=False)  # before a day is known nothing of it is odd
    weight = np.ones(len(moved))
    if known is not None:
        moved, away = (np.where(known[:, None], one, 0.0) for one in (moved, away))
        weight = known.astype(np.float64)
    _learn(state, moved, at.day.part, weight, interval_ms, DAY)
    _learn(state, away, at.week.part, weight, interval_ms, WEEK)


def _learn(state: State, moved: Array, part: IntArray, weight: Array, interval_ms: int, cycle: Cycle) -> None:
    parts, visit = state.rows[f"{cycle.name}_part"], state.rows[f"{cycle.name}_visit"]
    if moved.shape[1] == 1 and (part[:, 0] == parts[:, 0]).all():  # all are where they were
        visit[:, 0] += moved[:, 0]
        visit[:, 1] += weight
        return
    visits = _visits(parts, visit, moved, weight, part)
    _fold(state, _over(parts, visit, visits), interval_ms, cycle)
    _leave_open(parts, visit, visits)


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


def _visits(before: IntArray, open_visit: Array, moved: Array, weight: Array, part: IntArray) -> _Visits:
    length = moved.shape[1]
    new = np.ones(moved.shape, np.bool_)
    np.not_equal(part[:, 1:], part[:, :-1], out=new[:, 1:])
    starts = np.flatnonzero(new.ravel())
    row, column = np.divmod(starts, length)
    total = np.add.reduceat(moved.ravel(), starts)
    number = np.diff(starts, append=moved.size) * weight[row]
    first = np.flatnonzero(column == 0)
    parts = part[0, column] if len(part) == 1 else part.ravel()[starts]
    goes_on = parts[first] == before[:, 0]
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


def _over(parts: IntArray, held: Array, visits: _Visits) -> list[_Over]:
    """A visit is over when the next but one begins: those left open, if so, and all but the last two of the block."""
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


def _fold(state: State, over: list[_Over], interval_ms: int, cycle: Cycle) -> None:
    """Visits that are over and no longer beside the present become part of the profile."""
    profile, seen = state.rows[f"{cycle.name}_profile"], state.rows["seen"]
    for one in over:
        cycles = np.floor((seen[one.row] + one.until) * (interval_ms / cycle.period_ms))
        gain = np.maximum(GAIN, 1.0 / (cycle.early + cycles)).astype(np.float32)
        mean = (one.total / np.maximum(one.number, 1.0)).astype(np.float32)
        old = profile[one.row, one.part]
        new = np.where(np.isnan(old), mean, old + gain * (mean - old))
        profile[one.row, one.part] = np.where(one.number > 0, new, old)


def _leave_open(parts: IntArray, held: Array, visits: _Visits) -> None:
    """The last two visits of each series are those under way and before."""
    last = visits.first + visits.count - 1
    many, one_more = visits.count >= 2, (visits.count == 1) & ~visits.goes_on
    earlier = np.maximum(last - 1, 0)
    for at, of in enumerate((visits.total, visits.number)):
        before = np.where(many, of[earlier], np.where(one_more, held[:, at], held[:, 2 + at]))
        held[:, 2 + at], held[:, at] = before, of[last]
    parts[:, 1] = np.where(many, visits.part[earlier], np.where(one_more, parts[:, 0], parts[:, 1]))
    parts[:, 0] = visits.part[last]
