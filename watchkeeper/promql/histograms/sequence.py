"""The samples of one window in order, some of them histograms, and what a few functions make of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from watchkeeper.model import Labels, metric_name
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms import remarks
from watchkeeper.promql.histograms.combine import Combined, IncompatibleError, mean, total
from watchkeeper.promql.histograms.model import Histogram
from watchkeeper.promql.histograms.resets import was_reset

#: None: the function says nothing of this window.
Answer = float | Histogram | None


@dataclass(frozen=True, slots=True)
class Sample:
    time: int  #: milliseconds
    value: float | Histogram
    start: int  #: when its counter began, milliseconds; 0 unknown


@dataclass(frozen=True, slots=True)
class Sequence_:  # noqa: N801 - "Sequence" is taken by collections
    """One window: at least one of its samples is a histogram."""

    context: Context
    series: Labels
    position: int
    samples: list[Sample]
    edges: tuple[int, int]  #: start and end of the window, milliseconds
    first: int = 0  #: for extended ranges: the places among the samples where the window's edges lie
    last: int = 0
    mode: str = ""  #: empty, anchored or smoothed

    @property
    def smoothed(self) -> bool:
        return self.mode == "smoothed"

    @property
    def name(self) -> str:
        return metric_name(self.series)

    def histograms(self) -> list[Histogram] | None:
        """All samples, when all are histograms; else None, and a warning."""
        found = [one.value for one in self.samples if isinstance(one.value, Histogram)]
        if len(found) == len(self.samples):
            return found
        remarks.mixed_range(self.context, self.series, self.position)
        return None


def began_anew(before: Sample, now: Sample) -> bool:
    """The start times say that the counter began between the two."""
    if now.start == 0 or now.start >= now.time or now.start < before.time:
        return False
    return now.start > before.time or 0 < before.start < before.time


def reset_between(before: Sample, now: Sample) -> bool:
    """The same, or the counts say so. Both are histograms."""
    assert isinstance(before.value, Histogram)
    assert isinstance(now.value, Histogram)
    return began_anew(before, now) or was_reset(now.value, before.value)


def sum_of(sequence: Sequence_) -> Answer:
    return _together(sequence, total)


def mean_of(sequence: Sequence_) -> Answer:
    return _together(sequence, mean)


def _together(sequence: Sequence_, combine: Callable[[list[Histogram]], Combined]) -> Answer:
    found = sequence.histograms()
    if found is None:
        return None
    try:
        made = combine(found)
    except IncompatibleError:
        remarks.mixed_kinds(sequence.context, sequence.name, sequence.position)
        return None
    remarks.combined(sequence.context, made, "aggregation", sequence.position)
    return made.histogram


def transitions(sequence: Sequence_, *, resets: bool) -> float:
    """resets or changes between neighbours; a float beside a histogram is always one."""
    happened = _reset if resets else _changed
    return float(sum(happened(before, now) for before, now in pairwise(sequence.samples)))


def _reset(before: Sample, now: Sample) -> bool:
    old, new = before.value, now.value
    if isinstance(old, Histogram) and isinstance(new, Histogram):
        return reset_between(before, now)
    if isinstance(old, Histogram) or isinstance(new, Histogram):
        return True
    return new < old or began_anew(before, now)


def _changed(before: Sample, now: Sample) -> bool:
    old, new = before.value, now.value
    if isinstance(old, Histogram) and isinstance(new, Histogram):
        return not new.same(old)
    if isinstance(old, Histogram) or isinstance(new, Histogram):
        return True
    return new != old and not (math.isnan(new) and math.isnan(old))
