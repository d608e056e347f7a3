"""What a series usually is at this time of day, and of the week once two weeks are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from watchkeeper.model.series import FloatArray, IntArray

from .base import Array, State, blank

DAY_MS = 86_400_000
#: The first day of the epoch was a Thursday; weeks here start at that hour, which is as good as any.
WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Cycle:
    """One repeating profile: ``bins`` parts of ``period_ms``, known after ``visits`` complete visits of a part."""

    name: str
    period_ms: int
    bins: int
    visits: int = 2
    least_weight: float = 0.25  #: share of the newest visit: about four periods of memory

    def start_rows(self, count: int) -> dict[str, Array]:
        return {
            f"{self.name}_profile": blank(count, self.bins),
            f"{self.name}_visits": blank(count, self.bins, dtype=np.uint8),
            f"{self.name}_sum": blank(count, dtype=np.float64),
            f"{self.name}_samples": blank(count, dtype=np.int32),
            f"{self.name}_bin": blank(count, dtype=np.int16),
        }

    def place(self, time_ms: int | IntArray) -> tuple[Any, Any]:
        """(bin, position within it from 0 to 1): numbers of one time, arrays of a time a series."""
        if isinstance(time_ms, int):
            part = time_ms % self.period_ms / (self.period_ms / self.bins)
            where = min(int(part), self.bins - 1)
            return where, part - where
        parts = time_ms % self.period_ms / (self.period_ms / self.bins)
        found = np.minimum(parts.astype(np.int64), self.bins - 1)
        return found, parts - found

    def expected(self, state: State, time_ms: int | IntArray) -> FloatArray:
        """The usual value now, drawn out between the middles of neighbouring parts; NaN where it is not known."""
        profile, visits = state.rows[f"{self.name}_profile"], state.rows[f"{self.name}_visits"]
        where, inside = self.place(time_ms)
        every: Any = slice(None) if isinstance(time_ms, int) else np.arange(len(profile))
        here = np.where(visits[every, where] >= self.visits, profile[every, where], np.nan)
        neighbour = (where + 1 - 2 * (inside < 0.5)) % self.bins
        beside = np.where(visits[every, neighbour] >= self.visits, profile[every, neighbour], here)
        value: FloatArray = here + abs(inside - 0.5) * (beside.astype(np.float64) - here)
        return value

    def learn(self, state: State, sample: FloatArray, time_ms: int | IntArray) -> None:
        """Add the samples to the visit under way; a visit just left becomes part of the profile."""
        rows = state.rows
        total, samples, current = rows[f"{self.name}_sum"], rows[f"{self.name}_samples"], rows[f"{self.name}_bin"]
        where, _ = self.place(time_ms)
        left = np.flatnonzero((samples > 0) & (current != where))
        if len(left):
            self._fold(state, left)
            samples = samples.copy()
            samples[left] = 0
        known = ~np.isnan(sample)
        rows[f"{self.name}_sum"] = np.where(samples == 0, 0.0, total) + np.where(known, sample, 0.0)
        rows[f"{self.name}_samples"] = (samples + known).astype(np.int32)
        rows[f"{self.name}_bin"] = np.full(len(sample), where, dtype=np.int16)

    def _fold(self, state: State, left: IntArray) -> None:
        rows = state.rows
        profile, visits = rows[f"{self.name}_profile"], rows[f"{self.name}_visits"]
        part = rows[f"{self.name}_bin"][left]
        mean = rows[f"{self.name}_sum"][left] / rows[f"{self.name}_samples"][left]
        before = visits[left, part]
        weight = np.maximum(1.0 / (before + 1.0), self.least_weight)
        old = np.where(before > 0, profile[left, part], 0.0)
        profile[left, part] = old + weight * (mean - old)
        visits[left, part] = np.minimum(before + 1, 250)


DAY = Cycle("day", DAY_MS, bins=48)
WEEK = Cycle("week", WEEK_MS, bins=168)


def start_rows(count: int) -> dict[str, Array]:
    return DAY.start_rows(count) | WEEK.start_rows(count)


def expected(state: State, time_ms: int | IntArray) -> FloatArray:
    """By time of week where that is known, else by time of day, else NaN."""
    by_week = WEEK.expected(state, time_ms)
    unknown = np.isnan(by_week)
    return np.where(unknown, DAY.expected(state, time_ms), by_week) if unknown.any() else by_week


def learn(state: State, sample: FloatArray, time_ms: int | IntArray) -> None:
    DAY.learn(state, sample, time_ms)
    WEEK.learn(state, sample, time_ms)
