"""Functions of instant vectors."""

from __future__ import annotations

import numpy as np

from watchkeeper.model import METRIC_NAME, Labels, MatchOp, labels
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql import select
from watchkeeper.promql.block import Block, concat, empty
from watchkeeper.promql.context import Context
from watchkeeper.promql.functions import base, dates, elementwise, histogram, label_text
from watchkeeper.promql.histograms import functions as native
from watchkeeper.promql.nodes import Call, Node, Range, Selector
from watchkeeper.promql.result import format_plain


def _plain(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    block = base.vector(evaluator, context, call)
    return block.with_values(elementwise.PLAIN[call.name](block.values))


def _round(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    block = base.vector(evaluator, context, call)
    nearest = base.scalar(evaluator, context, call, 1) if len(call.args) > 1 else np.ones(context.steps)
    return block.with_values(elementwise.rounded(block.values, nearest))


def _clamp(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    block = base.vector(evaluator, context, call)
    edge = base.scalar(evaluator, context, call, 1)
    low = np.full(context.steps, -np.inf) if call.name == "clamp_max" else edge
    high = np.full(context.steps, np.inf) if call.name == "clamp_min" else edge
    if call.name == "clamp":
        high = base.scalar(evaluator, context, call, 2)
    answer = block.with_values(elementwise.clamped(block.values, low, high))
    answer.present = answer.present & ~elementwise.clamp_empty(low, high)
    return answer


def _date(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    if call.args:
        block = base.vector(evaluator, context, call)
    else:
        block = Block(((),), context.seconds()[None], np.ones((1, context.steps), bool), np.zeros(1, bool))
    return block.with_values(dates.part_of_date(call.name, block.values))


def _timestamp(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    if isinstance(call.args[0], Selector):
        return select.timestamps(context, call.args[0])
    block = base.vector(evaluator, context, call)
    seconds = np.broadcast_to(context.seconds(), block.values.shape)
    return Block(block.series, seconds, block.present, np.ones(len(block), bool))


def _start_timestamp(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    """Only samples themselves know when their counter began; an expression answers nothing."""
    if isinstance(call.args[0], Selector):
        return select.start_timestamps(context, call.args[0])
    base.vector(evaluator, context, call)
    return empty(context.steps)


def labels_of(node: Node) -> Labels:
    """The labels an absent series would have had: those the selector fixes by equality, each named once."""
    selector = node.selector if isinstance(node, Range) else node
    if not isinstance(selector, Selector):
        return ()
    fixed: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op is MatchOp.EQUAL and matcher.name not in seen:
            fixed[matcher.name] = matcher.value
        else:
            fixed.pop(matcher.name, None)
        seen.add(matcher.name)
    return labels(None, fixed)


def absence(node: Node, anything: BoolArray) -> Block:
    """1 at the steps where nothing was there."""
    missing = ~anything
    if not missing.any():
        return empty(len(missing))
    return Block((labels_of(node),), np.ones((1, len(missing))), missing[None], np.zeros(1, bool))


def _absent(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    block = base.vector(evaluator, context, call)
    return absence(call.args[0], np.logical_or.reduce(block.present, axis=0))


def _sort(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    block = base.vector(evaluator, context, call)
    if context.query_step_ms:
        context.warn("sort is ineffective for range queries since results are always ordered by labels", call.position)
        return block
    if call.name.startswith("sort_by_label"):
        names = [base.text(evaluator, context, call, i) for i in range(1, len(call.args))]
        order = label_text.order_by_label(block.series, names, descending=call.name.endswith("desc"))
        return block.rows(np.array(order, dtype=np.intp))
    block = block.floats()
    if not len(block):
        return block
    values = block.values[:, 0]
    key = -values if call.name == "sort_desc" else values
    return block.rows(np.argsort(key, kind="stable"))  # NaN comes last both ways


def _label_join(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    block = base.vector(evaluator, context, call)
    target, separator, *sources = (base.text(evaluator, context, call, i) for i in range(1, len(call.args)))
    return label_text.label_join(block, target, separator, sources)


def _label_replace(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    block = base.vector(evaluator, context, call)
    target, replacement, source, pattern = (base.text(evaluator, context, call, i) for i in range(1, 5))
    return label_text.label_replace(block, target, replacement, source, pattern)


def _histogram_quantile(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    q = base.scalar(evaluator, context, call, 0)
    block = base.vector(evaluator, context, call, 1)
    base.check_quantile(context, q, call.args[0].position)
    return _quantile_of(context, block, q, call.args[1].position)


def _quantile_of(context: Context, block: Block, q: FloatArray, at: int) -> Block:
    classic, whole = native.apart(context, block, at)
    answer = histogram.evaluate(
        context, classic, at, lambda one: histogram.bucket_quantile(q, one.bounds, one.counts), "histogram_quantile"
    )
    return concat([answer, native.quantiles(context, whole, q, at)], context.steps)


def _histogram_quantiles(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    """One row per histogram and quantile, told apart by a label."""
    block, name = base.vector(evaluator, context, call), base.text(evaluator, context, call, 1)
    blocks = []
    for i in range(2, len(call.args)):
        q = base.scalar(evaluator, context, call, i)
        base.check_quantile(context, q, call.args[i].position)
        answer = _quantile_of(context, block, q, call.args[0].position)
        text = format_plain(float(q[0]))
        answer.series = [labels(None, {**dict(series), name: text}) for series in answer.series]
        blocks.append(answer)
    return concat(blocks, context.steps)


def _histogram_fraction(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    lower, upper = (base.scalar(evaluator, context, call, i) for i in (0, 1))
    at = call.args[2].position
    classic, whole = native.apart(context, base.vector(evaluator, context, call, 2), at)
    answer = histogram.evaluate(
        context,
        classic,
        at,
        lambda one: histogram.bucket_fraction(lower, upper, one.bounds, one.counts),
        "histogram_fraction",
    )
    return concat([answer, native.fractions(context, whole, (lower, upper), at)], context.steps)


def _native_only(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    """Answers for native histograms only: floats are left out, as in Prometheus."""
    return native.number(base.vector(evaluator, context, call), call.name)


VECTOR: dict[str, base.Handler] = {
    **dict.fromkeys(elementwise.PLAIN, _plain),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _clamp),
    **dict.fromkeys(dates.NAMES, _date),
    **dict.fromkeys(("sort", "sort_desc", "sort_by_label", "sort_by_label_desc"), _sort),
    **dict.fromkeys(native.NUMBERS, _native_only),
    "round": _round,
    "timestamp": _timestamp,
    "start_timestamp": _start_timestamp,
    "absent": _absent,
    "label_join": _label_join,
    "label_replace": _label_replace,
    "histogram_quantile": _histogram_quantile,
    "histogram_quantiles": _histogram_quantiles,
    "histogram_fraction": _histogram_fraction,
}
