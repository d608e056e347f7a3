"""What a query answers, and how Prometheus writes its values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from watchkeeper.model import Labels
from watchkeeper.model.series import BoolArray, FloatArray, IntArray
from watchkeeper.promql.histograms.model import Histograms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vector:
    """One value per series at one moment."""

    series: tuple[Labels, ...]
    values: FloatArray  #: shape [series]
    time_ms: int
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    histograms: Histograms | None = None  #: shape [series]; None where the sample is a float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scalar:
    value: float
    time_ms: int
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StringValue:
    value: str
    time_ms: int
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RangeMatrix:
    """Series x time. Times are steps, or the samples' own for a range selector asked as an instant query."""

    series: tuple[Labels, ...]
    times: IntArray  #: shape [time], milliseconds
    values: FloatArray  #: shape [series, time]; NaN where not present
    present: BoolArray  #: shape [series, time]
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    histograms: Histograms | None = None  #: shape [series, time]; None where the sample is a float


Result = Vector | Scalar | StringValue | RangeMatrix


def format_value(value: float) -> str:
    """The shortest text that reads back as the same float, as Prometheus writes it: NaN, +Inf, 1e+100."""
    size = abs(value)
    if 1e-4 <= size < 1e16:  # nearly all there are, and Python writes them as Go does but for ".0"
        text = repr(float(value))
        return text[:-2] if text.endswith(".0") else text
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0 or 1e-6 <= size < 1e21:
        return format_plain(value)
    mantissa, _, exponent = repr(float(value)).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}"


def format_plain(value: float) -> str:
    """As ``format_value`` but never with an exponent: what ``count_values`` writes into a label."""
    if math.isnan(value) or math.isinf(value):
        return format_value(value)
    if abs(value) < 1e15 and value == int(value):
        return f"{value:.0f}"
    return np.format_float_positional(value, trim="-")
