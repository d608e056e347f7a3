"""Counter-reset hints: what a store says of its samples, and what reading them in order says."""

from __future__ import annotations

from dataclasses import replace

from watchkeeper.model import Matrix
from watchkeeper.promql.births import HistogramMatrix
from watchkeeper.promql.histograms.model import (
    GAUGE,
    NOT_RESET,
    RESET,
    UNKNOWN,
    Histogram,
    Histograms,
    is_native,
    places,
)
from watchkeeper.promql.histograms.resets import was_reset


def stored(histogram: Histogram, before: Histogram | None) -> Histogram:
    """As Prometheus's store hands it out. ``before`` is the sample before, None when it is no counter histogram.

    Counters that continue share a chunk: all but its first are known not to be reset; the first may be anything.
    """
    if histogram.hint == GAUGE:
        return histogram
    continues = before is not None and before.hint != GAUGE and _same_layout(histogram, before)
    if histogram.hint == RESET or before is None or not continues:
        return histogram.with_hint(UNKNOWN)
    return histogram.with_hint(UNKNOWN if was_reset(histogram.with_hint(UNKNOWN), before) else NOT_RESET)


def _same_layout(now: Histogram, before: Histogram) -> bool:
    return (now.schema, now.zero_threshold, tuple(now.custom)) == (
        before.schema,
        before.zero_threshold,
        tuple(before.custom),
    )


def with_detected(matrix: Matrix) -> Matrix:
    """The matrix as read by a function that looks at counts only: resets are told as they are seen."""
    if isinstance(matrix, HistogramMatrix):
        return replace(matrix, histograms=_detected(matrix.histograms))
    return matrix


def forgotten(histograms: Histograms) -> Histograms:
    """As a subquery hands them on: between its steps lie samples it did not see, so resets must be looked for."""
    answer = histograms.copy()
    for place in places(is_native(histograms)):
        if histograms[place].hint != GAUGE:
            answer[place] = histograms[place].with_hint(UNKNOWN)
    return answer


def _detected(histograms: Histograms) -> Histograms:
    """Each row read in order; [series, time]."""
    answer = histograms.copy()
    for row in answer:
        before: Histogram | None = None
        for place, now in enumerate(row):
            if now is None:
                continue
            if now.hint in ("", UNKNOWN) and before is not None:
                row[place] = now.with_hint(RESET if was_reset(now, before) else NOT_RESET)
            before = now
    return answer
