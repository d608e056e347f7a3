"""Quantile, fraction and variance of a native histogram (quantile.go, functions.go)."""

from __future__ import annotations

import math
from enum import Enum

from watchkeeper.promql.histograms.combine import exact_sum
from watchkeeper.promql.histograms.model import Bucket, Histogram


class Doubt(Enum):
    """What observations of NaN did to an answer; they are counted but in no bucket."""

    NONE = ""
    UNKNOWN = "has NaN observations, result is NaN"
    SKEWED = "has NaN observations, result is skewed higher"
    EXCLUDED = "has NaN observations, which are excluded from all fractions"


def _one_sided(histogram: Histogram, bucket: Bucket) -> tuple[float, float]:
    """The edges; those of the bucket around zero end at zero where the other side holds nothing."""
    lower, upper = bucket.lower, bucket.upper
    if histogram.is_custom:
        return (0.0, upper) if lower == -math.inf and upper > 0 else (lower, upper)
    if lower <= 0 <= upper:
        lower = 0.0 if histogram.positive and not histogram.negative else lower
        upper = 0.0 if histogram.negative and not histogram.positive else upper
    return lower, upper


def quantile(q: float, histogram: Histogram) -> tuple[float, Doubt]:
    """The q-quantile, interpolated exponentially within exponential buckets, linearly within all others."""
    if q < 0 or q > 1:
        return math.copysign(math.inf, q), Doubt.NONE
    if histogram.count == 0 or math.isnan(q):
        return math.nan, Doubt.NONE
    unknown = math.isnan(histogram.sum)
    forward = unknown or q < 0.5
    rank = (q if forward else 1 - q) * histogram.count
    buckets = list(histogram.buckets())
    found, count = _reaching(buckets if forward else buckets[::-1], rank)
    missing = exact_sum([bucket.count for bucket in buckets]) < histogram.count
    count = min(count, histogram.count)
    if count < rank and unknown:
        return math.nan, Doubt.UNKNOWN
    if found is None:
        return math.nan, Doubt.NONE
    doubt = Doubt.SKEWED if unknown and missing else Doubt.NONE
    if count < rank:
        return found.upper, doubt
    within = rank - (count - found.count) if forward else count - rank
    return _inside(histogram, found, within / found.count if found.count else math.nan), doubt


def _reaching(buckets: list[Bucket], rank: float) -> tuple[Bucket | None, float]:
    """The first filled bucket whose running count reaches the rank, and that count."""
    count, found = 0.0, None
    for bucket in buckets:
        if bucket.count == 0:
            continue
        count, found = count + bucket.count, bucket
        if count >= rank:
            break
    return found, count


def _inside(histogram: Histogram, bucket: Bucket, fraction: float) -> float:
    lower, upper = _one_sided(histogram, bucket)
    if histogram.is_custom and lower == -math.inf:
        return upper
    if histogram.is_custom and upper == math.inf:
        return lower
    if histogram.is_custom or lower <= 0 <= upper:
        return lower + (upper - lower) * fraction
    if lower > 0:
        return math.exp2(math.log2(lower) + (math.log2(upper) - math.log2(lower)) * fraction)
    near, far = math.log2(-upper), math.log2(-lower)
    return -math.exp2(near + (far - near) * (1 - fraction))


def share_below(histogram: Histogram, lower: float, upper: float, value: float) -> float:
    """Which part of a bucket between two edges lies at or below a value inside it."""
    if histogram.is_custom or lower <= 0 <= upper:
        if lower == -math.inf:
            return 1.0
        return (value - lower) / (upper - lower)
    if lower > 0:
        return (math.log2(value) - math.log2(lower)) / (math.log2(upper) - math.log2(lower))
    near, far = math.log2(-upper), math.log2(-lower)
    return 1 - (math.log2(-value) - near) / (far - near)


def fraction(lower: float, upper: float, histogram: Histogram) -> tuple[float, Doubt]:
    """The share of observations between two values."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan, Doubt.NONE
    if lower >= upper:
        return 0.0, Doubt.NONE
    buckets = list(histogram.buckets())
    most, doubt = histogram.count, Doubt.NONE
    if math.isnan(histogram.sum):
        inside = exact_sum([bucket.count for bucket in buckets])
        if inside < histogram.count:
            most, doubt = inside, Doubt.EXCLUDED
    low, high = (min(_rank(histogram, buckets, edge, most), most) for edge in (lower, upper))
    return (high - low) / histogram.count, doubt


def _rank(histogram: Histogram, buckets: list[Bucket], value: float, most: float) -> float:
    """How many observations lie at or below the value."""
    rank = 0.0
    for bucket in buckets:
        lower, upper = _one_sided(histogram, bucket)
        if lower >= value:
            return rank
        if upper > value:
            return rank + bucket.count * share_below(histogram, lower, upper, value)
        rank += bucket.count
    return most


def variance(histogram: Histogram) -> float:
    """About the mean, every observation at the middle of its bucket."""
    if histogram.count == 0:
        return math.nan
    mean = histogram.sum / histogram.count
    parts = []
    for bucket in histogram.buckets():
        if bucket.count:
            apart = _middle(histogram, bucket) - mean
            parts.append(bucket.count * apart * apart)
    return exact_sum(parts) / histogram.count


def _middle(histogram: Histogram, bucket: Bucket) -> float:
    if histogram.is_custom:
        return (bucket.upper + bucket.lower) / 2
    if bucket.lower <= 0 <= bucket.upper:
        return 0.0
    return math.copysign(math.sqrt(bucket.upper * bucket.lower), bucket.upper)
