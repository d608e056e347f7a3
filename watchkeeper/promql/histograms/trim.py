"""The trim operators ``</`` and ``>/``: a histogram without the observations above or below a value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from watchkeeper.promql.histograms.combine import exact_sum
from watchkeeper.promql.histograms.estimate import share_below
from watchkeeper.promql.histograms.model import Buckets, Histogram, bound


@dataclass(slots=True)
class _Kept:
    """What is left of one bucket: observations, and the value that stands for each of them."""

    count: float
    middle: float


def trimmed(histogram: Histogram, value: float, *, upper: bool) -> Histogram:
    """``upper``: keep what is at or below the value; else what is above. The sum is estimated from what is kept."""
    kept = _Trim(histogram, value, upper=upper)
    positive, negative, zero = kept.side(histogram.positive, 1), kept.side(histogram.negative, -1), kept.zero()
    left = {index: one.count for index, one in positive.items()}, {index: one.count for index, one in negative.items()}
    if left == (histogram.positive, histogram.negative) and zero.count == histogram.zero_count:
        return histogram.compact()
    parts = [one for one in (*positive.values(), *negative.values(), zero) if one.count]
    return replace(
        histogram,
        count=exact_sum([one.count for one in parts]),
        sum=exact_sum([one.count * one.middle for one in parts]),
        zero_count=zero.count,
        positive=left[0],
        negative=left[1],
    ).compact()


class _Trim:
    def __init__(self, histogram: Histogram, value: float, *, upper: bool) -> None:
        self._histogram, self._value, self._upper = histogram, value, upper

    def side(self, buckets: Buckets, sign: int) -> dict[int, _Kept]:
        answer = {}
        for index, count in buckets.items():
            edges = (bound(self._histogram, index - 1), bound(self._histogram, index))
            lower, upper = edges if sign > 0 else (-edges[1], -edges[0])
            open_ended = math.isinf(lower) or math.isinf(upper)
            answer[index] = self._open(lower, upper, count) if open_ended else self._closed(lower, upper, count)
        return answer

    def zero(self) -> _Kept:
        histogram, edge = self._histogram, self._histogram.zero_threshold
        if not histogram.zero_count:
            return _Kept(histogram.zero_count, 0.0)
        lower = 0.0 if histogram.positive and not histogram.negative else -edge
        upper = 0.0 if histogram.negative and not histogram.positive else edge
        return self._closed(lower, upper, histogram.zero_count, linear=True)

    def _closed(self, lower: float, upper: float, count: float, *, linear: bool = False) -> _Kept:
        """A bucket with two edges: cut where the value lies inside."""
        value, linear = self._value, linear or self._histogram.is_custom
        if value <= lower or value >= upper:
            whole = (value >= upper) if self._upper else (value <= lower)
            return _Kept(count if whole else 0.0, _middle(lower, upper, linear=linear))
        below = count * share_below(self._histogram, lower, upper, value)
        if self._upper:
            return _Kept(below, _middle(lower, value, linear=linear))
        return _Kept(count - below, _middle(value, upper, linear=linear))

    def _open(self, lower: float, upper: float, count: float) -> _Kept:
        """A bucket without an edge: where nothing is known of its inside, it is kept whole or not at all."""
        value = self._value
        if lower == -math.inf and 0 < upper < math.inf and (self._upper or value >= 0 or value == -math.inf):
            return self._closed(0.0, upper, count)  # nothing is known of values below zero
        if self._upper:
            whole = value == math.inf or upper < math.inf
            return _Kept(count if whole and value > -math.inf else 0.0, min(value, upper))
        whole = value == -math.inf or lower > -math.inf
        return _Kept(count if whole and value < math.inf else 0.0, max(value, lower))


def _middle(lower: float, upper: float, *, linear: bool) -> float:
    return (lower + upper) / 2 if linear else math.copysign(math.sqrt(lower * upper), upper)
