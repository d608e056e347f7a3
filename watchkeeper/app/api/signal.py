"""One tile of the Overview: the series of all services become one line, with the band and score of that very line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from watchkeeper.app.api import shapes
from watchkeeper.model import METRIC_NAME, Labels
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.promql import RangeMatrix

#: What is known beside the values: ``watchkeeper_<name>{metric=...}``.
DERIVED = ("expected", "expected_lower", "expected_upper", "anomaly_score")


@dataclass(frozen=True, slots=True)
class Signal:
    """One tile: how the series of all services become one number, and what to add when there is none."""

    key: str
    fold: Literal["max", "sum", "min"]  #: max for "the worst", sum for totals, min where less is worse
    unit: str
    missing: str  #: message key of the hint

    def possible(self, value: float | None) -> float | None:
        """An edge of the expected band, kept to what the signal can be: never below 0, a ratio never above 1."""
        if value is None:
            return None
        return min(max(value, 0.0), 1.0) if self.unit == "ratio" else max(value, 0.0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The line of a tile; each array has the shape [time], NaN where it is not known."""

    signal: Signal
    times: IntArray  #: ms; empty when there is no value at all
    value: FloatArray
    parts: Mapping[str, FloatArray]  #: by the names of DERIVED

    def newest(self) -> dict[str, float | None]:
        edges = {"expected": "expected", "lower": "expected_lower", "upper": "expected_upper"}
        return {
            "value": _last(self.value),
            "score": _last(self.parts["anomaly_score"]),
            **{name: self.signal.possible(_last(self.parts[part])) for name, part in edges.items()},
        }

    def band(self) -> list[list[float | None]]:
        """[[ms, lower, upper], ...] where both edges are known."""
        lower, upper = self.parts["expected_lower"], self.parts["expected_upper"]
        known = np.isfinite(lower) & np.isfinite(upper)
        rows = zip(self.times[known].tolist(), lower[known].tolist(), upper[known].tolist(), strict=True)
        return [[when, self.signal.possible(low), self.signal.possible(high)] for when, low, high in rows]


def draw(signal: Signal, values: RangeMatrix, derived: Mapping[str, RangeMatrix]) -> Drawn:
    """The worst series of each moment and what was expected of that one; or the sum of all.

    A sum has a band only where each of its parts has one: that of some parts says nothing about the whole. Its score is
    that of the oddest part.
    """
    places = {_bare(labels): row for row, labels in enumerate(values.series)}
    seen = np.where(values.present, values.values, np.nan)
    known = {part: _aligned(derived[part], places, seen.shape) for part in DERIVED}
    there = ~np.isnan(seen)
    some = there.any(axis=0)
    if not some.any():
        nothing = np.empty(0)
        return Drawn(signal, values.times[:0], nothing, dict.fromkeys(DERIVED, nothing))
    if signal.fold == "sum":
        value = np.where(some, np.nansum(seen, axis=0), np.nan)
        parts = {part: np.where(some, _total(found, there), np.nan) for part, found in known.items()}
        odd = known["anomaly_score"]
        parts["anomaly_score"] = np.where(np.isnan(odd).all(axis=0), np.nan, np.fmax.reduce(odd, axis=0))
        return Drawn(signal, values.times, value, parts)
    worst = np.where(there, seen, -np.inf).argmax(axis=0) if signal.fold == "max" else _least(seen, there)
    columns = np.arange(seen.shape[1])
    parts = {part: np.where(some, found[worst, columns], np.nan) for part, found in known.items()}
    return Drawn(signal, values.times, seen[worst, columns], parts)


def _least(seen: FloatArray, there: Any) -> Any:
    return np.where(there, seen, np.inf).argmin(axis=0)


def _total(found: FloatArray, there: Any) -> FloatArray:
    """Sum over the parts that are there; NaN where one of them is not known."""
    total: FloatArray = np.where(there, found, 0.0).sum(axis=0)
    return total


def _aligned(derived: RangeMatrix, places: Mapping[Labels, int], shape: tuple[int, ...]) -> FloatArray:
    """The derived series in the rows of those they were derived from."""
    found = np.full(shape, np.nan)
    for row, labels in enumerate(derived.series):
        place = places.get(_bare(labels))
        if place is not None:
            found[place] = np.where(derived.present[row], derived.values[row], np.nan)
    return found


def _bare(labels: Labels) -> Labels:
    """What a series and all that is derived from it have in common."""
    return tuple(pair for pair in labels if pair[0] not in (METRIC_NAME, "metric"))


def _last(line: FloatArray) -> float | None:
    return shapes.number(float(line[-1])) if len(line) else None
