"""Histograms added, subtracted and averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from watchkeeper.promql.histograms.model import GAUGE, NOT_RESET, RESET, UNKNOWN, Buckets, Histogram
from watchkeeper.promql.histograms.reconcile import aligned

#: What becomes of the same number of every histogram.
Fold = Callable[[Sequence[float]], float]


class IncompatibleError(Exception):
    """Exponential and custom buckets cannot meet."""


@dataclass(frozen=True, slots=True)
class Combined:
    histogram: Histogram
    reconciled: bool  #: custom bounds differed, and only those both have were kept
    collision: bool  #: one says its counter was reset, another that it was not


def check_kinds(histograms: Sequence[Histogram]) -> None:
    """Raises IncompatibleError for a mix of exponential and custom buckets."""
    if len({one.is_custom for one in histograms}) > 1:
        raise IncompatibleError


def _folded(histograms: Sequence[Histogram], fold: Fold) -> tuple[Histogram, bool]:
    check_kinds(histograms)
    alike, reconciled = aligned(histograms)
    return replace(
        alike[0],
        count=fold([one.count for one in alike]),
        sum=fold([one.sum for one in alike]),
        zero_count=fold([one.zero_count for one in alike]),
        positive=_buckets([one.positive for one in alike], fold),
        negative=_buckets([one.negative for one in alike], fold),
        hint=hint_of(histograms),
    ), reconciled


def _buckets(sides: Sequence[Buckets], fold: Fold) -> dict[int, float]:
    indexes: set[int] = set().union(*sides)
    return {index: fold([side.get(index, 0.0) for side in sides]) for index in sorted(indexes)}


def hint_of(histograms: Iterable[Histogram]) -> str:
    """The hint of what they make together: a gauge if any is, else what all agree on."""
    hints = {one.hint or UNKNOWN for one in histograms}
    if GAUGE in hints:
        return GAUGE
    return hints.pop() if len(hints) == 1 else UNKNOWN


def collide(histograms: Iterable[Histogram]) -> bool:
    hints = {one.hint for one in histograms}
    return RESET in hints and NOT_RESET in hints


def add(left: Histogram, right: Histogram) -> Combined:
    """Raises IncompatibleError."""
    answer, reconciled = _folded((left, right), lambda pair: pair[0] + pair[1])
    return Combined(answer, reconciled, collide((left, right)) and hint_of((left, right)) != GAUGE)


def subtract(left: Histogram, right: Histogram) -> Combined:
    """Raises IncompatibleError. The hint is that of both: who knows it is a difference makes it a gauge."""
    answer, reconciled = _folded((left, right), lambda pair: pair[0] - pair[1])
    return Combined(answer, reconciled, collide((left, right)) and hint_of((left, right)) != GAUGE)


def total(histograms: Sequence[Histogram]) -> Combined:
    """The sum of many, rounded once. Raises IncompatibleError."""
    answer, reconciled = _folded(histograms, exact_sum)
    return Combined(answer, reconciled, collide(histograms))


def mean(histograms: Sequence[Histogram]) -> Combined:
    """The average of many; sums that leave the range of floats do no harm. Raises IncompatibleError."""
    answer, reconciled = _folded(histograms, _average)
    return Combined(answer, reconciled, collide(histograms))


def _average(values: Sequence[float]) -> float:
    direct = exact_sum(values)
    if math.isinf(direct):
        return exact_sum([value / len(values) for value in values])
    return direct / len(values)


def exact_sum(values: Sequence[float]) -> float:
    """Without what rounding would lose on the way; infinite and unknown values as floats have them."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)
