"""Whether a histogram began anew: a count that fell, or a layout that only a new beginning explains."""

from __future__ import annotations

from watchkeeper.promql.histograms.model import NOT_RESET, RESET, Buckets, Histogram
from watchkeeper.promql.histograms.reconcile import common_bounds, rebounded, reduced, widened, zero_count


def was_reset(now: Histogram, before: Histogram) -> bool:
    """By the hint where it says so, else by comparing every count (FloatHistogram.DetectReset)."""
    if now.hint in (RESET, NOT_RESET):
        return now.hint == RESET
    if now.count < before.count:
        return True
    if now.is_custom:
        return not before.is_custom or _custom_fell(now, before)
    return now.schema > before.schema or _fell(now, before)


def _custom_fell(now: Histogram, before: Histogram) -> bool:
    bounds = common_bounds((now, before))
    return _any_less(rebounded(now, bounds).positive, rebounded(before, bounds).positive)


def _fell(now: Histogram, before: Histogram) -> bool:
    if before.is_custom:
        return _any_less(now.positive, before.positive)
    if now.zero_threshold < before.zero_threshold:
        return True
    zeros, threshold = zero_count(before, now.zero_threshold)
    if threshold != now.zero_threshold or now.zero_count < zeros:
        return True
    was = reduced(widened(before, threshold), now.schema)
    return _any_less(now.positive, was.positive) or _any_less(now.negative, was.negative)


def _any_less(now: Buckets, before: Buckets) -> bool:
    return any(now.get(index, 0.0) < count for index, count in before.items() if count)
