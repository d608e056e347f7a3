"""rate, increase, delta, irate and idelta of native histograms (functions.go, histogramRate and instantValue)."""

from __future__ import annotations

from itertools import pairwise

from watchkeeper.promql.histograms import remarks
from watchkeeper.promql.histograms.combine import IncompatibleError, add, check_kinds, subtract
from watchkeeper.promql.histograms.model import GAUGE, Histogram
from watchkeeper.promql.histograms.reconcile import reduced
from watchkeeper.promql.histograms.sequence import Answer, Sample, Sequence_, reset_between

#: Extrapolate to the window's edge when it is nearer than this many average sample distances.
EXTRAPOLATION_THRESHOLD = 1.1


def rate(sequence: Sequence_) -> Answer:
    return _extrapolated(sequence, counter=True, per_second=True)


def increase(sequence: Sequence_) -> Answer:
    return _extrapolated(sequence, counter=True, per_second=False)


def delta(sequence: Sequence_) -> Answer:
    return _extrapolated(sequence, counter=False, per_second=False)


def _extrapolated(sequence: Sequence_, *, counter: bool, per_second: bool) -> Answer:
    found, samples = sequence.histograms(), sequence.samples
    born = _born_inside(sequence) if counter else 0
    if found is None or (len(found) < 2 and not born):
        return None
    try:
        change = _change(sequence, found, counter=counter)
    except IncompatibleError:
        remarks.mixed_kinds(sequence.context, sequence.name, sequence.position)
        return None
    if born:
        change = add(change, found[0]).histogram.with_hint(GAUGE)
    factor = _factor(sequence, change.count, found[0].count, counter=counter, born=born)
    if per_second:
        factor /= (sequence.edges[1] - sequence.edges[0]) / 1000
    assert samples
    return change.compact().times(factor)


def _born_inside(sequence: Sequence_) -> int:
    """When the counter of the first sample began, if that is known to be inside the window; else 0."""
    first = sequence.samples[0]
    return first.start if first.start and sequence.edges[0] < first.start < first.time else 0


def _change(sequence: Sequence_, found: list[Histogram], *, counter: bool) -> Histogram:
    """Last minus first, and what resets took away. Raises IncompatibleError."""
    samples = sequence.samples
    _remark_kind(sequence, found, counter=counter)
    first = found[0]
    if len(found) == 1:
        return Histogram(schema=first.schema, custom=first.custom, hint=GAUGE)
    if counter and reset_between(samples[0], samples[1]):  # the first is not needed, whatever its layout
        first = Histogram(schema=found[1].schema, custom=found[1].custom)
    check_kinds([first, *found[1:]] if counter else [first, found[-1]])
    relevant = [first, *found[1:]] if counter else [first, found[-1]]
    made = subtract(reduced(found[-1], min(one.schema for one in relevant)), first)
    if made.reconciled:
        remarks.reconciled(sequence.context, "subtraction", sequence.position)
    change = made.histogram
    if counter:
        change = _with_resets(sequence, change, first)
    return change.with_hint(GAUGE)


def _with_resets(sequence: Sequence_, change: Histogram, first: Histogram) -> Histogram:
    samples = [Sample(sequence.samples[0].time, first, sequence.samples[0].start), *sequence.samples[1:]]
    for before, now in pairwise(samples):
        if reset_between(before, now):
            assert isinstance(before.value, Histogram)
            made = add(change, before.value)
            if made.reconciled:
                remarks.reconciled(sequence.context, "addition", sequence.position)
            change = made.histogram
    return change


def _remark_kind(sequence: Sequence_, found: list[Histogram], *, counter: bool) -> None:
    if counter and any(one.hint == GAUGE for one in found):
        remarks.not_a(sequence.context, "counter", sequence.series, sequence.position)
    if not counter and not (found[0].hint == GAUGE and found[-1].hint == GAUGE):
        remarks.not_a(sequence.context, "gauge", sequence.series, sequence.position)


def _factor(sequence: Sequence_, change: float, first: float, *, counter: bool, born: int) -> float:
    """How much more than between the samples happened in the window."""
    samples, (start, end) = sequence.samples, sequence.edges
    sampled = (samples[-1].time - samples[0].time) / 1000
    average = sampled / (len(samples) - 1) if len(samples) > 1 else 0.0
    to_start, to_end = (samples[0].time - start) / 1000, (end - samples[-1].time) / 1000
    threshold = average * EXTRAPOLATION_THRESHOLD
    to_start = average / 2 if to_start >= threshold else to_start
    to_end = average / 2 if to_end >= threshold else to_end
    if born:
        to_start, sampled = 0.0, (samples[-1].time - born) / 1000
    elif counter and change > 0 and first >= 0:
        to_start = min(to_start, sampled * (first / change))
    return (sampled + to_start + to_end) / sampled


def irate(sequence: Sequence_) -> Answer:
    return _last_two(sequence, counter=True)


def idelta(sequence: Sequence_) -> Answer:
    return _last_two(sequence, counter=False)


def _last_two(sequence: Sequence_, *, counter: bool) -> Answer:
    if len(sequence.samples) < 2:
        return None
    before, now = sequence.samples[-2:]
    seconds = (now.time - before.time) / 1000
    old, new = before.value, now.value
    if isinstance(old, Histogram) and isinstance(new, Histogram):
        change = _instant_change(sequence, before, now, counter=counter)
        return None if change is None else change.over(seconds if counter else 1.0)
    if isinstance(old, Histogram) or isinstance(new, Histogram):
        remarks.mixed_range(sequence.context, sequence.series, sequence.position)
        return None
    fell = counter and new < old
    return (new if fell else new - old) / (seconds if counter else 1.0)


def _instant_change(sequence: Sequence_, before: Sample, now: Sample, *, counter: bool) -> Histogram | None:
    assert isinstance(before.value, Histogram)
    assert isinstance(now.value, Histogram)
    _remark_kind(sequence, [before.value, now.value], counter=counter)
    change = now.value
    if not counter or not reset_between(before, now):
        try:
            made = subtract(now.value, before.value)
        except IncompatibleError:
            remarks.mixed_kinds(sequence.context, sequence.name, sequence.position)
            return None
        if made.reconciled:
            remarks.reconciled(sequence.context, "subtraction", sequence.position)
        change = made.histogram
    return change.with_hint(GAUGE).compact()
