"""Answers that hold native histograms as Prometheus's JSON. They are few, so this goes sample by sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from watchkeeper.promql.histograms.model import Histogram, Histograms, is_native
from watchkeeper.promql.result import RangeMatrix, Vector, format_value

#: How Prometheus's API names which edges belong to a bucket: (lower, upper) -> rule.
BOUNDARY_RULES = {(False, True): 0, (True, False): 1, (False, False): 2, (True, True): 3}


def encoded(result: Vector | RangeMatrix, histograms: Histograms) -> bytes:
    """The elements of ``result``, without the brackets around them."""
    rows = _vector(result, histograms) if isinstance(result, Vector) else _matrix(result, histograms)
    text = ",".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return text.encode("utf-8", "replace")


def _vector(result: Vector, histograms: Histograms) -> Iterator[dict[str, Any]]:
    moment = _seconds(result.time_ms)
    for series, value, histogram in zip(result.series, result.values.tolist(), histograms.tolist(), strict=True):
        if histogram is None:
            yield {"metric": dict(series), "value": [moment, format_value(value)]}
        else:
            yield {"metric": dict(series), "histogram": [moment, _object(histogram)]}


def _matrix(result: RangeMatrix, histograms: Histograms) -> Iterator[dict[str, Any]]:
    native, times = is_native(histograms), [_seconds(time) for time in result.times.tolist()]
    for i, series in enumerate(result.series):
        row: dict[str, Any] = {"metric": dict(series)}
        floats = np.flatnonzero(result.present[i] & ~native[i]).tolist()
        if floats:
            row["values"] = [[times[k], format_value(float(result.values[i, k]))] for k in floats]
        places = np.flatnonzero(result.present[i] & native[i]).tolist()
        if places:
            row["histograms"] = [[times[k], _object(histograms[i, k])] for k in places]
        yield row


def _seconds(time_ms: int) -> float | int:
    return time_ms / 1000 if time_ms % 1000 else time_ms // 1000


def _object(histogram: Histogram) -> dict[str, Any]:
    """Empty buckets are left out."""
    answer: dict[str, Any] = {"count": format_value(histogram.count), "sum": format_value(histogram.sum)}
    buckets = [
        [
            BOUNDARY_RULES[bucket.closed_lower, bucket.closed_upper],
            format_value(bucket.lower),
            format_value(bucket.upper),
            format_value(bucket.count),
        ]
        for bucket in histogram.buckets()
        if bucket.count
    ]
    return answer | ({"buckets": buckets} if buckets else {})
