"""Whether one histogram is the other but for rounding: what expectations of tests are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from watchkeeper.promql.histograms.model import UNKNOWN, Buckets, Histogram

Near = Callable[[float, float], bool]


def alike(got: Histogram, wanted: Histogram, near: Near) -> bool:
    """Empty buckets do not count; the hint counts where ``wanted`` names one."""
    one, other = got.compact(), wanted.compact()
    if wanted.hint and (got.hint or UNKNOWN) != wanted.hint:
        return False
    numbers: Sequence[tuple[float, float]] = (
        (one.count, other.count),
        (one.sum, other.sum),
        (one.zero_threshold, other.zero_threshold),
        (one.zero_count, other.zero_count),
        *zip(one.custom, other.custom, strict=False),
    )
    return (
        one.schema == other.schema
        and len(one.custom) == len(other.custom)
        and all(near(left, right) for left, right in numbers)
        and _buckets(one.positive, other.positive, near)
        and _buckets(one.negative, other.negative, near)
    )


def _buckets(one: Buckets, other: Buckets, near: Near) -> bool:
    return one.keys() == other.keys() and all(near(count, other[index]) for index, count in one.items())
