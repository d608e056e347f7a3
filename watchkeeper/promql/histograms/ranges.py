"""Range functions over windows that hold histograms, alone or among floats: row by row, step by step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Block, Windows
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms import extended, remarks
from watchkeeper.promql.histograms.model import Histogram, nothing, places
from watchkeeper.promql.histograms.rates import delta, idelta, increase, irate, rate
from watchkeeper.promql.histograms.sequence import Answer, Sequence_, mean_of, sum_of, transitions
from watchkeeper.promql.histograms.windows import cells, size, without_histograms
from watchkeeper.promql.nodes import Call

Compute = Callable[[Windows], tuple[FloatArray, BoolArray]]


def over(context: Context, call: Call, windows: Windows, compute: Compute, drop: BoolArray) -> Block:
    """As ``compute`` does where a window holds floats only; histograms are taken or left out as the function does."""
    assert windows.histograms is not None
    floats, native = without_histograms(windows)
    values, present = compute(floats)
    values, present = np.array(values), np.array(present)
    histograms = nothing(values.shape)
    position = call.args[-1 if call.name == "quantile_over_time" else 0].position
    taken = (TAKEN if windows.edges is None else EXTENDED).get(call.name)
    for row, step in places(native > 0):
        context.check()
        if taken is None:
            if native[row, step] < size(windows, row, step):
                remarks.ignored_in_range(context, windows.series[row], position)
            continue
        answer = taken(cells(context, windows, (row, step), position))
        present[row, step] = answer is not None
        if isinstance(answer, Histogram):
            histograms[row, step] = answer
        elif answer is not None:
            values[row, step] = answer
    return Block(windows.series, values, present, drop, histograms)


EXTENDED: dict[str, Callable[[Sequence_], Answer]] = {
    "rate": partial(extended.change, counter=True, per_second=True),
    "increase": partial(extended.change, counter=True, per_second=False),
    "delta": partial(extended.change, counter=False, per_second=False),
    "resets": partial(extended.happened, resets=True),
    "changes": partial(extended.happened, resets=False),
}
TAKEN: dict[str, Callable[[Sequence_], Answer]] = {
    "sum_over_time": sum_of,
    "avg_over_time": mean_of,
    "count_over_time": lambda one: float(len(one.samples)),
    "present_over_time": lambda _: 1.0,
    "last_over_time": lambda one: one.samples[-1].value,
    "first_over_time": lambda one: one.samples[0].value,
    "ts_of_last_over_time": lambda one: one.samples[-1].time / 1000,
    "ts_of_first_over_time": lambda one: one.samples[0].time / 1000,
    "rate": rate,
    "increase": increase,
    "delta": delta,
    "irate": irate,
    "idelta": idelta,
    "resets": lambda one: transitions(one, resets=True),
    "changes": lambda one: transitions(one, resets=False),
}
