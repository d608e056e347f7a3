"""What a detector would have told of history: every alarm that the engine would have opened, of which kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors import Finding, episodes, natures
from watchkeeper.model import Labels, Matrix, Scores, format_series, metric_name
from watchkeeper.model.series import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alarm. ``ended_ms`` None: it is still open at the end."""

    row: int
    raised_ms: int
    ended_ms: int | None
    found: Finding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """A detector's walk over history. ``seen``: what it was given, counters by their rate."""

    seen: Matrix
    scores: Scores
    alarms: Sequence[Told]

    def of(self, row: int) -> list[Told]:
        return [one for one in self.alarms if one.row == row]


def replay(detector: Any, matrix: Matrix, learning_ms: int) -> Replay:
    """Score all columns, and open and close alarms column by column as the engine does."""
    counters = counted(matrix)
    seen = rates(matrix, counters)
    scores = detector.score(seen)
    watched = episodes.Watched(learning_ms=learning_ms, rates=counters)
    state, values = episodes.start(len(seen.series)), np.where(seen.present, seen.values, np.nan)
    open_now: dict[int, Told] = {}
    done: list[Told] = []
    for at, time_ms in enumerate(seen.times.tolist()):
        found = episodes.step(state, values[:, at], _column(scores, at), time_ms, watched)
        now = {one.row: one.finding for one in found}
        over = [row for row in open_now if row not in now]
        done += [_ended(open_now.pop(row), time_ms) for row in over]
        for row, finding in now.items():
            raised = open_now[row].raised_ms if row in open_now else time_ms
            open_now[row] = Told(row=row, raised_ms=raised, ended_ms=None, found=finding)
    alarms = sorted([*done, *open_now.values()], key=lambda one: (one.raised_ms, one.row))
    return Replay(seen=seen, scores=scores, alarms=alarms)


def counted(matrix: Matrix) -> BoolArray:
    """Which series are counters, by their names: what a function answers has none."""
    return np.array([natures.is_counter(metric_name(one), "") for one in matrix.series], np.bool_)


def rates(matrix: Matrix, counters: BoolArray) -> Matrix:
    """Counters by their rate a second; a reset is no sample."""
    values: FloatArray = np.where(matrix.present, matrix.values, np.nan)
    if counters.any():
        seconds = np.diff(matrix.times) / 1000.0
        moved = np.diff(values[counters], axis=1) / seconds
        first = np.full((int(counters.sum()), 1), np.nan)
        values[counters] = np.concatenate([first, np.where(moved < 0, np.nan, moved)], axis=1)
    return Matrix(series=matrix.series, times=matrix.times, values=values, present=~np.isnan(values))


def _column(scores: Scores, at: int) -> Scores:
    part = slice(at, at + 1)
    return Scores(
        series=scores.series,
        times=scores.times[part],
        value=scores.value[:, part],
        expected=scores.expected[:, part],
        lower=scores.lower[:, part],
        upper=scores.upper[:, part],
        detector=scores.detector,
        alarm=None if scores.alarm is None else scores.alarm[:, part],
    )


def _ended(one: Told, time_ms: int) -> Told:
    return Told(row=one.row, raised_ms=one.raised_ms, ended_ms=time_ms, found=one.found)


def judged(alarms: Sequence[Told], label: BoolArray, times: Any, delay: int = 7) -> tuple[int, int, int]:
    """(events, events found, false alarms) by what people labelled; an alarm may come so many samples late."""
    edges = np.diff(np.concatenate([[0], label.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    at = np.searchsorted(times, [one.raised_ms for one in alarms])
    inside = [(at >= begin) & (at <= end + delay) for begin, end in zip(begins, ends, strict=True)]
    found = sum(bool(one.any()) for one in inside)
    false = len(at) - int(np.count_nonzero(np.any(inside, axis=0))) if inside else len(at)
    return len(begins), found, false


def days_of(times: Any) -> float:
    return float(times[-1] - times[0]) / 86_400_000.0 if len(times) > 1 else 0.0


def own_name(series: Labels) -> str:
    return format_series(series) if series else "value"
