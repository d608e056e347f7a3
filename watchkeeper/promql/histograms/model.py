"""A native histogram: exponential buckets (schemas -4 to 8) or custom bounds (schema -53), with float counts."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

#: The schema that says "custom bounds" (model/histogram/generic.go).
CUSTOM = -53
LOWEST_SCHEMA, HIGHEST_SCHEMA = -4, 8
#: Counter-reset hints. The empty one is "nothing was said", which is unknown to all but expectations of tests.
UNKNOWN, RESET, NOT_RESET, GAUGE = "unknown", "reset", "not_reset", "gauge"

#: Index -> count. Bucket 0 of an exponential schema ends at 1; of custom bounds at the first bound.
Buckets = Mapping[int, float]
#: Cells without a histogram hold None.
Histograms = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket with its two edges; both belong to it where they say so."""

    lower: float
    upper: float
    count: float
    closed_lower: bool
    closed_upper: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Never changed once made: every operation answers a new one."""

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0  #: the zero bucket holds what lies between minus this and this
    zero_count: float = 0.0
    positive: Buckets = field(default_factory=dict)
    negative: Buckets = field(default_factory=dict)
    custom: Sequence[float] = ()  #: upper bounds, ascending, without +Inf; for schema -53 only
    hint: str = ""

    @property
    def is_custom(self) -> bool:
        return self.schema == CUSTOM

    def with_hint(self, hint: str) -> Histogram:
        return self if self.hint == hint else replace(self, hint=hint)

    def compact(self) -> Histogram:
        """The same without empty buckets."""
        if all(self.positive.values()) and all(self.negative.values()):
            return self
        return replace(self, positive=_filled(self.positive), negative=_filled(self.negative))

    def times(self, factor: float) -> Histogram:
        """Everything multiplied; a negative factor makes a gauge."""
        return self._scaled(lambda value: value * factor, negative=factor < 0)

    def over(self, divisor: float) -> Histogram:
        """Everything divided; by 0 the buckets go, as nothing can be said of them."""
        if divisor == 0:
            bare = replace(self, positive={}, negative={})
            return bare._scaled(lambda value: _by_zero(value, divisor), negative=False)
        return self._scaled(lambda value: value / divisor, negative=divisor < 0)

    def _scaled(self, change: Callable[[float], float], *, negative: bool) -> Histogram:
        return replace(
            self,
            count=change(self.count),
            sum=change(self.sum),
            zero_count=change(self.zero_count),
            positive={index: change(count) for index, count in self.positive.items()},
            negative={index: change(count) for index, count in self.negative.items()},
            hint=GAUGE if negative else self.hint,
        )

    def same(self, other: Histogram) -> bool:
        """Equal in data, bit for bit; hints do not count."""
        left = (self.schema, *self.custom, self.zero_threshold)
        right = (other.schema, *other.custom, other.zero_threshold)
        numbers = ((self.count, other.count), (self.sum, other.sum), (self.zero_count, other.zero_count))
        return (
            left == right
            and all(_identical(a, b) for a, b in numbers)
            and _same_buckets(self.positive, other.positive)
            and _same_buckets(self.negative, other.negative)
        )

    def text(self) -> str:
        """As Prometheus prints it: ``{count:4, sum:5, (1,2]:2}``; what ``count_values`` writes into a label."""
        from watchkeeper.promql.result import format_value  # result knows histograms

        parts = [f"count:{format_value(self.count)}", f"sum:{format_value(self.sum)}"]
        for bucket in self.buckets():
            if bucket.count:
                edges = f"{format_value(bucket.lower)},{format_value(bucket.upper)}"
                opening, closing = "(["[bucket.closed_lower], ")]"[bucket.closed_upper]
                parts.append(f"{opening}{edges}{closing}:{format_value(bucket.count)}")
        return "{" + ", ".join(parts) + "}"

    def buckets(self) -> Iterator[Bucket]:
        """All buckets in ascending order, the zero bucket among them; neighbours that overlap it are cut at it."""
        edge = self.zero_threshold
        for index in sorted(self.negative, reverse=True):
            upper = -bound(self, index - 1)
            yield _bucket(-bound(self, index), -edge if 0 > upper > -edge else upper, self.negative[index])
        if self.zero_count > 0 or math.isnan(self.zero_count):
            yield Bucket(-edge, edge, self.zero_count, closed_lower=True, closed_upper=True)
        for index in sorted(self.positive):
            lower = bound(self, index - 1)
            lower = edge if 0 < lower < edge and not self.is_custom else lower
            yield _bucket(lower, bound(self, index), self.positive[index])


def is_native(histograms: Histograms) -> npt.NDArray[np.bool_]:
    """Which cells hold a histogram."""
    found: npt.NDArray[np.bool_] = np.asarray(histograms != None)  # noqa: E711 - element by element
    return found


def only(histograms: Histograms, keep: npt.NDArray[np.bool_]) -> Histograms:
    """The same cells, but None where not kept."""
    answer = histograms.copy()
    answer[~keep] = None
    return answer


def nothing(shape: tuple[int, ...]) -> Histograms:
    """No histogram in any cell."""
    return np.full(shape, None, dtype=object)


def places(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(row, column) of every cell that is marked."""
    return [(row, column) for row, column in np.argwhere(mask).tolist()]


def _bucket(lower: float, upper: float, count: float) -> Bucket:
    return Bucket(lower, upper, count, closed_lower=lower < 0, closed_upper=upper > 0)


def _filled(buckets: Buckets) -> dict[int, float]:
    return {index: count for index, count in buckets.items() if count}


def _by_zero(value: float, divisor: float) -> float:
    if value == 0 or math.isnan(value):
        return math.nan
    return math.copysign(math.inf, value) * math.copysign(1.0, divisor)


def _identical(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


def _same_buckets(left: Buckets, right: Buckets) -> bool:
    return left.keys() == right.keys() and all(_identical(count, right[index]) for index, count in left.items())


def bound(histogram: Histogram, index: int) -> float:
    """The upper edge of a bucket, in absolute terms for exponential schemas."""
    if histogram.is_custom:
        if index < 0:
            return -math.inf
        return histogram.custom[index] if index < len(histogram.custom) else math.inf
    return exponential_bound(histogram.schema, index)


def exponential_bound(schema: int, index: int) -> float:
    """2 to the power of index / 2^schema; the highest finite edge stands for what floats cannot hold."""
    if schema <= 0:
        fraction, exponent = 0.0, index << -schema
    else:
        exponent, rest = index >> schema, index & ((1 << schema) - 1)
        fraction = rest / (1 << schema)
    if exponent >= sys.float_info.max_exp:
        return sys.float_info.max if exponent == sys.float_info.max_exp and fraction == 0 else math.inf
    return math.ldexp(2.0**fraction, exponent)
