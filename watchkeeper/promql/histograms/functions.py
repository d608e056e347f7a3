"""Functions of instant vectors that read histograms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from watchkeeper.model import Labels, metric_name
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Block
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms.estimate import Doubt, fraction, quantile, variance
from watchkeeper.promql.histograms.model import Histogram, nothing, places


def _average(histogram: Histogram) -> float:
    return histogram.sum / histogram.count if histogram.count else math.nan


#: One number of one histogram.
NUMBERS: dict[str, Callable[[Histogram], float]] = {
    "histogram_count": lambda one: one.count,
    "histogram_sum": lambda one: one.sum,
    "histogram_avg": _average,
    "histogram_stdvar": variance,
    "histogram_stddev": lambda one: math.sqrt(spread) if (spread := variance(one)) >= 0 else math.nan,
}


def negated(block: Block) -> Block:
    """Unary minus."""
    answer = block.with_values(-block.values)
    if block.histograms is None:
        return answer
    histograms = nothing(block.values.shape)
    for place in places(block.present & ~block.is_float()):
        histograms[place] = block.histograms[place].times(-1.0).compact()
    return Block(block.series, answer.values, block.present, answer.drop, histograms)


def number(block: Block, name: str) -> Block:
    """A number of every histogram; floats are left out."""
    return _each(block, lambda histogram, _: NUMBERS[name](histogram))


def _each(block: Block, compute: Callable[[Histogram, tuple[int, int]], float]) -> Block:
    values, present = np.zeros(block.values.shape), np.zeros(block.values.shape, bool)
    if block.histograms is not None:
        for place in places(block.present & ~block.is_float()):
            values[place] = compute(block.histograms[place], place)
            present[place] = True
    return Block(block.series, values, present, np.ones(len(block), bool))


def quantiles(context: Context, block: Block, q: FloatArray, position: int) -> Block:
    """The q-quantile of every histogram."""
    return _doubted(context, block, "histogram_quantile", position, lambda one, step: quantile(float(q[step]), one))


def fractions(context: Context, block: Block, edges: tuple[FloatArray, FloatArray], position: int) -> Block:
    """The share between two values of every histogram."""
    lower, upper = edges
    return _doubted(
        context,
        block,
        "histogram_fraction",
        position,
        lambda one, step: fraction(float(lower[step]), float(upper[step]), one),
    )


def _doubted(
    context: Context,
    block: Block,
    name: str,
    position: int,
    compute: Callable[[Histogram, int], tuple[float, Doubt]],
) -> Block:
    def one(histogram: Histogram, place: tuple[int, int]) -> float:
        answer, doubt = compute(histogram, place[1])
        if doubt is not Doubt.NONE:
            metric = metric_name(block.series[place[0]])
            of = f' for metric name "{metric}"' if metric else ""
            context.inform(f"input to {name} {doubt.value}{of}", position)
        return answer

    return _each(block, one)


def apart(context: Context, block: Block, position: int) -> tuple[Block, Block]:
    """The floats, which may be classic buckets, and the histograms; where both tell of one thing neither does."""
    floats = block.floats()
    if block.histograms is None:
        return floats, Block((), np.zeros((0, context.steps)), np.zeros((0, context.steps), bool), np.zeros(0, bool))
    native = block.present & ~block.is_float()
    classic: dict[Labels, BoolArray] = {}
    for row, series in enumerate(block.series):
        if any(name == "le" for name, _ in series):
            key = _thing(series)
            classic[key] = classic.get(key, np.zeros(context.steps, bool)) | floats.present[row]
    histograms = Block(block.series, block.values, native, block.drop, block.histograms)
    clash: dict[Labels, BoolArray] = {}
    for row, series in enumerate(block.series):
        both = native[row] & classic.get(_thing(series), np.zeros(context.steps, bool))
        if both.any():
            clash[_thing(series)] = both
            _warn_mixed(context, series, position)
    if clash:
        silent = np.array([clash.get(_thing(series), np.zeros(context.steps, bool)) for series in block.series])
        histograms.present, floats.present = native & ~silent, floats.present & ~silent
    return floats, histograms


def _thing(series: Labels) -> Labels:
    """What classic buckets and a native histogram of the same thing share."""
    return tuple(pair for pair in series if pair[0] != "le")


def _warn_mixed(context: Context, series: Labels, position: int) -> None:
    name = metric_name(series)
    of = f' for metric name "{name}"' if name else ""
    context.warn(f"vector contains a mix of classic and native histograms{of}", position)
