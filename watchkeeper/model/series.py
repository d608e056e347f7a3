"""Series, ticks and matrices: the shapes in which samples move and rest.

A *tick* is what one target said at one moment: a dense vector over a *layout* (its series, in order).
A *matrix* is what a store answers: series x time with a presence mask. A sample that is absent is marked
by Prometheus's staleness NaN in a tick and by ``present == False`` in a matrix; an ordinary NaN is a value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

#: Sorted by label name, metric name under ``__name__``; hashable, so a series is its own key.
Labels = tuple[tuple[str, str], ...]

METRIC_NAME = "__name__"

#: The bit pattern Prometheus writes for "this series has no sample now" (model/value/value.go, StaleNaN).
STALE_BITS = 0x7FF0000000000002
STALE_NAN = float(np.array([STALE_BITS], dtype=np.uint64).view(np.float64)[0])
_STALE_BYTES, _FEW = np.array([STALE_BITS], dtype=np.uint64).tobytes(), 64


def is_stale(values: FloatArray) -> BoolArray:
    """True where a value is the staleness marker, False for every other value, ordinary NaN included."""
    stale: BoolArray = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64) == np.uint64(STALE_BITS)
    return stale


def count_stale(values: FloatArray) -> int:
    """How many values are the staleness marker. Of few values, none of which is, a third of what ``is_stale`` costs."""
    if values.size <= _FEW and _STALE_BYTES not in values.tobytes():
        return 0
    return int(np.count_nonzero(is_stale(values)))


def labels(name: str | None = None, pairs: Mapping[str, str] | None = None, /, **more: str) -> Labels:
    """Sorted label pairs; empty values are left out, as an empty label is no label in Prometheus."""
    merged = {**(pairs or {}), **more}
    if name is not None:
        merged[METRIC_NAME] = name
    return tuple(sorted((key, value) for key, value in merged.items() if value != ""))


def label(series: Labels, key: str) -> str:
    """The value of one label, empty when it is absent."""
    for name, value in series:
        if name == key:
            return value
    return ""


def metric_name(series: Labels) -> str:
    return label(series, METRIC_NAME)


def fingerprint(series: Labels) -> str:
    """A short stable id of a label set (first 16 hex digits of SHA-256 over the sorted pairs)."""
    raw = "\xff".join(f"{key}\xfe{value}" for key, value in series)
    return hashlib.sha256(raw.encode()).hexdigest()[:16]


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def format_series(series: Labels) -> str:
    """The series as Prometheus writes it: ``name{label="value",...}``."""
    pairs = ",".join(f'{key}="{_escape(value)}"' for key, value in series if key != METRIC_NAME)
    name = metric_name(series)
    return f"{name}{{{pairs}}}" if pairs or not name else name


class MatchOp(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher. Regexes are RE2 and anchored at both ends, as in Prometheus."""

    name: str
    op: MatchOp
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The columns of one target, in order. Identity is the cheap test for "nothing changed"."""

    series: tuple[Labels, ...]

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tick:
    """What one target said at one moment: ``values[i]`` belongs to ``layout.series[i]``."""

    target: str  #: stable name of the source; ticks of one target come in time order
    time_ms: int  #: milliseconds since the epoch, UTC
    layout: Layout
    values: FloatArray  #: shape [series]; STALE_NAN where a series has no sample now


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matrix:
    """Series x time. All series share one time column; where a series has no sample, ``present`` is False."""

    series: tuple[Labels, ...]
    times: IntArray  #: shape [time], milliseconds since the epoch, strictly increasing
    values: FloatArray  #: shape [series, time]; NaN where not present
    present: BoolArray  #: shape [series, time]

    @property
    def whole(self) -> bool:
        """Known at a glance that no sample is absent: ``present`` is an ``everywhere``. False where it takes a look."""
        return self.present.strides == (0, 0) and bool(self.present[:1, :1].all())


@lru_cache(maxsize=1024)
def everywhere(series: int, time: int) -> BoolArray:
    """A ``present`` of nothing but True, shape [series, time], read-only: one byte, seen at every place."""
    whole: BoolArray = np.broadcast_to(np.True_, (series, time))
    return whole
