"""Two histograms brought to one layout: the lower resolution, the wider zero bucket, the bounds both have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from watchkeeper.promql.histograms.model import Buckets, Histogram, bound


def reduced(histogram: Histogram, schema: int) -> Histogram:
    """The same at a lower resolution: every 2^n neighbours become one bucket."""
    shift = histogram.schema - schema
    if shift <= 0 or histogram.is_custom:
        return histogram
    return replace(
        histogram,
        schema=schema,
        positive=_merged(histogram.positive, shift),
        negative=_merged(histogram.negative, shift),
    )


def _merged(buckets: Buckets, shift: int) -> dict[int, float]:
    answer: dict[int, float] = {}
    for index in sorted(buckets):
        target = ((index - 1) >> shift) + 1
        answer[target] = answer.get(target, 0.0) + buckets[index]
    return answer


def zero_count(histogram: Histogram, threshold: float) -> tuple[float, float]:
    """What the zero bucket would hold were it wider, and its width: it grows to hold all of a filled bucket."""
    if threshold == histogram.zero_threshold:
        return histogram.zero_count, threshold
    while True:
        count = histogram.zero_count
        grown = threshold
        for buckets in (histogram.positive, histogram.negative):
            for index in sorted(buckets):
                if bound(histogram, index - 1) >= grown:
                    break
                count += buckets[index]
                if bound(histogram, index) > grown:
                    if buckets[index]:
                        grown = bound(histogram, index)
                    break
        if grown == threshold:
            return count, threshold
        threshold = grown


def widened(histogram: Histogram, threshold: float) -> Histogram:
    """With a zero bucket of that width, which no filled bucket straddles."""
    if threshold == histogram.zero_threshold:
        return histogram
    count, _ = zero_count(histogram, threshold)
    outside = [
        {index: value for index, value in buckets.items() if bound(histogram, index - 1) >= threshold}
        for buckets in (histogram.positive, histogram.negative)
    ]
    return replace(
        histogram, zero_threshold=threshold, zero_count=count, positive=outside[0], negative=outside[1]
    ).compact()


def common_threshold(histograms: Sequence[Histogram]) -> float:
    """The narrowest zero bucket that fits all."""
    threshold = max(one.zero_threshold for one in histograms)
    while True:
        grown = max(zero_count(one, threshold)[1] for one in histograms)
        if grown == threshold:
            return threshold
        threshold = grown


def common_bounds(histograms: Sequence[Histogram]) -> tuple[float, ...]:
    """The custom bounds that all have."""
    shared = set(histograms[0].custom)
    for one in histograms[1:]:
        shared &= set(one.custom)
    return tuple(sorted(shared))


def rebounded(histogram: Histogram, bounds: Sequence[float]) -> Histogram:
    """With fewer custom bounds; a bucket goes to the first that holds all of it."""
    if tuple(histogram.custom) == tuple(bounds):
        return histogram
    answer: dict[int, float] = {}
    for index in sorted(histogram.positive):
        target = bisect_left(bounds, bound(histogram, index))
        answer[target] = answer.get(target, 0.0) + histogram.positive[index]
    return replace(histogram, custom=tuple(bounds), positive=answer)


def aligned(histograms: Sequence[Histogram]) -> tuple[list[Histogram], bool]:
    """All in one layout, and whether custom bounds had to go for it. They are all of one kind."""
    if histograms[0].is_custom:
        bounds = common_bounds(histograms)
        reconciled = any(tuple(one.custom) != bounds for one in histograms)
        return [rebounded(one, bounds) for one in histograms], reconciled
    schema = min(one.schema for one in histograms)
    threshold = common_threshold(histograms)
    return [reduced(widened(one, threshold), schema) for one in histograms], False
