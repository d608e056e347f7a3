"""Histograms in extended ranges: taken or drawn as a line at the window's edges, as floats are (promql/extended.py)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from watchkeeper.promql import extended
from watchkeeper.promql.block import Block, Windows
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms import remarks
from watchkeeper.promql.histograms.combine import IncompatibleError, add, check_kinds, subtract
from watchkeeper.promql.histograms.model import GAUGE, Histogram, nothing, places
from watchkeeper.promql.histograms.resets import was_reset
from watchkeeper.promql.histograms.sequence import Answer, Sample, Sequence_, transitions
from watchkeeper.promql.histograms.windows import cells, without_histograms


def change(sequence: Sequence_, *, counter: bool, per_second: bool) -> Answer:
    """rate, increase and delta between the edges, without extrapolation (functions.go, extendedHistogramRate)."""
    found = sequence.histograms()
    used, (start, end) = sequence.samples[sequence.first : sequence.last + 1], sequence.edges
    if found is None or not used or used[-1].time <= start or (sequence.smoothed and used[0].time > end):
        return None
    try:
        check_kinds(found[sequence.first : sequence.last + 1])
        answer = _between_edges(sequence, used, counter=counter)
    except IncompatibleError:
        remarks.mixed_kinds(sequence.context, sequence.name, sequence.position)
        return None
    return answer.over((end - start) / 1000 if per_second else 1.0).with_hint(GAUGE).compact()


def _between_edges(sequence: Sequence_, used: list[Sample], *, counter: bool) -> Histogram:
    start, end = sequence.edges
    hints = {_of(one).hint for one in used}
    if counter and GAUGE in hints:
        remarks.not_a(sequence.context, "counter", sequence.series, sequence.position)
    left, right = _of(used[0]), _of(used[-1])
    if sequence.smoothed and used[0].time < start:
        left = line(sequence, sequence.samples[sequence.first : sequence.first + 2], start, counter=counter)
    if sequence.smoothed and used[-1].time > end and sequence.last > 0:
        right = line(sequence, sequence.samples[sequence.last - 1 : sequence.last + 1], end, counter=counter)
    if not counter and not (left.hint == GAUGE and right.hint == GAUGE):
        remarks.not_a(sequence.context, "gauge", sequence.series, sequence.position)
    difference = _minus(sequence, right, left)
    for lost in _lost(sequence, used, left, right) if counter else ():
        difference = _plus(sequence, difference, lost)
    return difference


def _lost(sequence: Sequence_, used: list[Sample], left: Histogram, right: Histogram) -> list[Histogram]:
    """What the counter had reached before each reset that the edges do not account for."""
    inner, before = used[1:-1], left
    spanned = sequence.smoothed and used[0].time < sequence.edges[0] and len(used) > 1
    if spanned and was_reset(_of(used[1]), _of(used[0])):
        if len(used) == 2:
            return []
        inner, before = used[2:-1], _of(used[1])
    if len(used) == 1:
        return []
    chain = [before, *map(_of, inner), right]
    return [old for old, new in pairwise(chain) if was_reset(new, old)]


def line(sequence: Sequence_, pair: list[Sample], moment: int, *, counter: bool) -> Histogram:
    """Between two samples at a moment; a counter that began anew between them came from nothing."""
    (one, other), (first, second) = pair, map(_of, pair)
    if moment in (one.time, other.time):
        return first if moment == one.time else second
    share = (moment - one.time) / (other.time - one.time)
    check_kinds([first, second])
    if counter and was_reset(second, first):
        return second.times(share)
    return _plus(sequence, _minus(sequence, second, first).times(share), first)


def _of(sample: Sample) -> Histogram:
    assert isinstance(sample.value, Histogram)
    return sample.value


def _minus(sequence: Sequence_, left: Histogram, right: Histogram) -> Histogram:
    made = subtract(left, right)
    if made.reconciled:
        remarks.reconciled(sequence.context, "subtraction", sequence.position)
    return made.histogram


def _plus(sequence: Sequence_, left: Histogram, right: Histogram) -> Histogram:
    made = add(left, right)
    if made.reconciled:
        remarks.reconciled(sequence.context, "addition", sequence.position)
    return made.histogram


def happened(sequence: Sequence_, *, resets: bool) -> Answer:
    """resets and changes from the sample before the window on."""
    if sequence.samples[-1].time <= sequence.edges[0]:
        return None
    return transitions(replace(sequence, samples=sequence.samples[sequence.first :]), resets=resets)


def on_line(context: Context, windows: Windows, position: int) -> Block:
    """An instant selector drawn as a line; a window with both kinds of samples answers nothing but a warning."""
    floats, native = without_histograms(windows)
    drawn, told = extended.on_line(floats)
    values, present = np.array(drawn), np.array(told)
    histograms = nothing(values.shape)
    for row, step in places(native > 0):
        sequence = cells(context, windows, (row, step), position)
        histograms[row, step] = _at(sequence)
        present[row, step] = histograms[row, step] is not None
    return Block(windows.series, values, present, windows.drop, histograms)


def _at(sequence: Sequence_) -> Histogram | None:
    moment, at, samples = sequence.edges[1], sequence.last, sequence.samples
    if sequence.histograms() is None or (samples[at].time > moment and at == 0):
        return None
    if samples[at].time <= moment:
        return _of(samples[at])
    pair = samples[at - 1 : at + 1]
    try:
        return line(sequence, pair, moment, counter=not all(_of(one).hint == GAUGE for one in pair))
    except IncompatibleError:
        remarks.mixed_kinds(sequence.context, sequence.name, sequence.position)
        return None
