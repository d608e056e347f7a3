"""OTLP's points as samples: numbers, histograms with buckets, summaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    DataPointFlags,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from watchkeeper.model import STALE_NAN
from watchkeeper.promql import format_value
from watchkeeper.wire.errors import WireError

#: (what is put behind the metric's name, a further label or nothing, value)
Sample = tuple[str, tuple[str, str] | None, float]
NOTHING_RECORDED = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


class PointError(WireError):
    """A point that cannot be kept; the others of the request can."""


def number(point: Any) -> Iterator[Sample]:
    if point.flags & NOTHING_RECORDED:
        yield "", None, STALE_NAN
        return
    kind = point.WhichOneof("value")
    if kind is None:
        raise PointError("a point without a value, and without the flag that says so", reason="no_value")
    yield "", None, float(getattr(point, kind))


def histogram(point: Any) -> Iterator[Sample]:
    """Buckets become cumulative; the last one is the count."""
    bounds, counts, gone = point.explicit_bounds, point.bucket_counts, bool(point.flags & NOTHING_RECORDED)
    if any(not before < after for before, after in pairwise(bounds)):
        raise PointError("the bounds of a histogram do not rise", reason="histogram_bounds")
    if len(counts) not in (0, len(bounds) + 1):
        raise PointError("a histogram has another number of buckets than its bounds make", reason="histogram_buckets")
    if point.HasField("sum"):
        yield "_sum", None, STALE_NAN if gone else point.sum
    yield "_count", None, STALE_NAN if gone else float(point.count)
    total = 0
    for bound, count in zip(bounds, counts, strict=False):
        total += count
        yield "_bucket", ("le", format_value(bound)), STALE_NAN if gone else float(total)
    yield "_bucket", ("le", "+Inf"), STALE_NAN if gone else float(point.count)


def summary(point: Any) -> Iterator[Sample]:
    gone = bool(point.flags & NOTHING_RECORDED)
    yield "_sum", None, STALE_NAN if gone else point.sum
    yield "_count", None, STALE_NAN if gone else float(point.count)
    for one in point.quantile_values:
        yield "", ("quantile", format_value(one.quantile)), STALE_NAN if gone else one.value


#: How points of each kind are read, and as what.
KINDS: dict[str, tuple[type[Any], Callable[[Any], Iterator[Sample]]]] = {
    "gauge": (NumberDataPoint, number),
    "sum": (NumberDataPoint, number),
    "histogram": (HistogramDataPoint, histogram),
    "summary": (SummaryDataPoint, summary),
}


def read(kind: type[Any], raw: bytes) -> Any:
    """One point. Raises WireError."""
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise WireError(f"the body is no OTLP message: a {kind.DESCRIPTOR.name} cannot be read") from None
