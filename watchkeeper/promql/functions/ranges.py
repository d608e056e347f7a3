"""Functions of range vectors: windows in, one value per step out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from watchkeeper.model import METRIC_NAME, MatchOp, metric_name
from watchkeeper.promql import births
from watchkeeper.promql.block import Block, Windows, concat
from watchkeeper.promql.context import Context
from watchkeeper.promql.functions import base, counters, over_time, trends
from watchkeeper.promql.functions.vectors import absence
from watchkeeper.promql.histograms import ranges as native
from watchkeeper.promql.nodes import Call, Node, Range, Subquery

#: Endings that say "counter" (Prometheus's possible-non-counter remark).
COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")

Compute = Callable[[Windows], over_time.Answer]


def over(evaluator: base.Evaluator, context: Context, call: Call, compute: Compute, *, place: int = 0) -> Block:
    """One row per series with what ``compute`` says about its windows; ``place`` is that of the range."""
    blocks, keep = [], call.name in over_time.KEEPS_NAME
    for windows in evaluator.windows(context, call.args[place]):
        context.afford(len(windows.series) * context.steps)
        windows.tick = context.check
        drop = windows.drop if keep else np.ones(len(windows.series), bool)
        if windows.histograms is not None:
            blocks.append(native.over(context, call, windows, compute, drop))
            continue
        values, present = compute(windows)
        blocks.append(Block(windows.series, values, present, drop))
    return concat(blocks, context.steps, context.shared.memo)


def steady(evaluator: base.Evaluator, context: Context, call: Call, compute: Compute) -> Block:
    """As ``over`` where only the window matters: one that ``@`` fixes is computed once for all steps."""
    node = call.args[0]
    at = node.selector.at if isinstance(node, Range) else node.at if isinstance(node, Subquery) else None
    if at is None or context.steps == 1:
        return over(evaluator, context, call, compute)
    once = over(evaluator, context.at_times(context.times[:1], context.step_ms), call, compute)
    shape = (len(once), context.steps)
    return Block(
        once.series,
        np.broadcast_to(once.values, shape),
        np.broadcast_to(once.present, shape),
        once.drop,
        None if once.histograms is None else np.broadcast_to(once.histograms, shape),
    )


def _simple(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    return steady(evaluator, context, call, over_time.OVER_TIME[call.name])


CHANGES: dict[str, Compute] = {
    "rate": partial(counters.extrapolated, counter=True, per_second=True),
    "increase": partial(counters.extrapolated, counter=True, per_second=False),
    "delta": partial(counters.extrapolated, counter=False, per_second=False),
    "irate": partial(counters.instant_change, rate=True),
    "idelta": partial(counters.instant_change, rate=False),
    "resets": partial(counters.transitions, resets=True),
    "changes": partial(counters.transitions, resets=False),
    "deriv": trends.deriv,
}


def _change(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    compute = CHANGES[call.name]
    if call.name in ("rate", "increase"):
        compute = partial(_warned, compute, context, call)
    block = steady(evaluator, context, call, compute)
    if call.name in ("rate", "increase"):
        _remark_gauges(context, block.floats(), call)
    return block


def _warned(compute: Compute, context: Context, call: Call, windows: Windows) -> over_time.Answer:
    """As ``compute``, with a warning about start times that cannot be."""
    for row in np.flatnonzero(births.overlaps(windows)).tolist() if windows.born is not None else ():
        context.warn(
            "sample has start time that overlaps with previous sample timestamp for metric"
            f' "{metric_name(windows.series[row])}"',
            call.args[0].position,
        )
    return compute(windows)


def _remark_gauges(context: Context, block: Block, call: Call) -> None:
    """Remark on metrics that may not be counters by their name; only those that have an answer."""
    gauges = _gauges(context, block, call.args[0])
    if not gauges:
        return
    answered = np.logical_or.reduce(block.present, axis=1)
    for name in sorted(gauges):
        if not any(answered[i] for i, series in enumerate(block.series) if metric_name(series) == name):
            continue
        context.inform(
            f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{name}"',
            call.args[0].position,
        )


def _gauges(context: Context, block: Block, node: Node) -> set[str]:
    """Metric names that do not end like a counter's; told by the selector itself where it names its metric."""
    if isinstance(node, Range):
        for matcher in node.selector.matchers:
            if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL and matcher.value.endswith(COUNTER_ENDINGS):
                return set()
    names = context.shared.memo.get("names", [block.series], lambda: {metric_name(series) for series in block.series})
    return {name for name in names if name and not name.endswith(COUNTER_ENDINGS)}


def _quantile_over_time(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    q = base.scalar(evaluator, context, call, 0)
    block = over(evaluator, context, call, partial(over_time.quantile_over_time, q=q), place=1)
    if len(block):
        base.check_quantile(context, q, call.args[0].position)
    return block


def _predict_linear(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    ahead = base.scalar(evaluator, context, call, 1)
    return over(evaluator, context, call, partial(trends.predict_linear, now=context.seconds(), ahead=ahead))


def _smoothing(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    factors = [base.scalar(evaluator, context, call, i) for i in (1, 2)]
    return over(
        evaluator,
        context,
        call,
        partial(trends.double_exponential_smoothing, smoothing=factors[0], trend=factors[1]),
    )


def _absent_over_time(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    anything = np.zeros(context.steps, bool)
    for windows in evaluator.windows(context, call.args[0]):
        anything |= windows.present().any(axis=0)
    return absence(call.args[0], anything)


RANGE: dict[str, base.Handler] = {
    **dict.fromkeys(over_time.OVER_TIME, _simple),
    **dict.fromkeys(CHANGES, _change),
    "quantile_over_time": _quantile_over_time,
    "predict_linear": _predict_linear,
    "double_exponential_smoothing": _smoothing,
    "absent_over_time": _absent_over_time,
}
