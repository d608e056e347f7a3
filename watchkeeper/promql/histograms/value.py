"""A native histogram where a number is asked for: worth 0 to rules, as in Prometheus, and carried along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from watchkeeper.model import Labels
from watchkeeper.promql.histograms.model import Histogram
from watchkeeper.promql.result import Vector


class NativeValue(float):
    """0, with the histogram it stands for."""

    histogram: Histogram

    def __new__(cls, histogram: Histogram) -> Self:
        value = super().__new__(cls, 0.0)
        value.histogram = histogram
        return value


def pairs(answer: Vector) -> Sequence[tuple[Labels, float]]:
    """(labels, value) of every sample."""
    values: list[float] = answer.values.tolist()
    if answer.histograms is not None:
        native = answer.histograms.tolist()
        values = [value if one is None else NativeValue(one) for value, one in zip(values, native, strict=True)]
    return list(zip(answer.series, values, strict=True))
