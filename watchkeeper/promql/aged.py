"""Steps that look at times without samples are answered from long-term aggregates, and the answer says so.

A query's steps fall in two: those whose samples are all there are answered as ever, exactly; the older ones from the
aggregate that fits the function. Buckets are as wide as step and range allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from watchkeeper.model import Matcher
from watchkeeper.model.series import BoolArray, IntArray
from watchkeeper.promql import nodes
from watchkeeper.promql.block import Block
from watchkeeper.promql.context import Context
from watchkeeper.promql.durations import milliseconds
from watchkeeper.promql.extended import SAFE

if TYPE_CHECKING:
    from watchkeeper.ports import AgedSamples

#: What answers for a function: the aggregate it reads, and the function that is right over that aggregate.
VIEWS = {
    "min_over_time": ("min", "min_over_time"),
    "max_over_time": ("max", "max_over_time"),
    "sum_over_time": ("sum", "sum_over_time"),
    "count_over_time": ("count", "sum_over_time"),
    "rate": ("counter", "rate"),
    "increase": ("counter", "increase"),
}
#: Functions whose answer does not grow with the range: a range narrower than a bucket is widened to one.
WIDENED = {
    "min_over_time",
    "max_over_time",
    "avg_over_time",
    "last_over_time",
    "quantile_over_time",
    "present_over_time",
}

Run = Callable[[Context, nodes.Node], Block]


def instant(context: Context, node: nodes.Selector, run: Run) -> Block | None:
    """The selector's block where aggregates have a part in it; None for the ordinary way."""
    if node.mode or not hasattr(context.reader, "aged"):
        return None
    ends = context.moments(milliseconds(node.offset, context), node.at)
    starts = ends - context.lookback_ms + 1
    aged = _find(context, node.matchers, starts, ends, context.step_ms)
    if aged is None:
        return None
    _say(context, aged, node)
    return _halves(context, starts < aged.until_ms, node, run, lambda older: run(_on(older, aged, "last"), node))


def call(context: Context, node: nodes.Call, run: Run) -> Block | None:
    """A function of a range, likewise."""
    place = next((place for place, arg in enumerate(node.args) if isinstance(arg, nodes.Range)), -1)
    if place < 0 or not hasattr(context.reader, "aged"):
        return None
    argument = node.args[place]
    assert isinstance(argument, nodes.Range)
    if argument.selector.mode:
        return None
    ends = context.moments(milliseconds(argument.selector.offset, context), argument.selector.at)
    width = milliseconds(argument.range, context, positive=True)
    starts = ends - width + 1
    aged = _find(context, argument.selector.matchers, starts, ends, min(context.step_ms or width, width))
    if aged is None:
        return None
    _say(context, aged, node)

    def old(older: Context) -> Block:
        if node.name == "avg_over_time":
            total, count = (_over(older, aged, node, place, name, run) for name in ("sum_over_time", "count_over_time"))
            with np.errstate(all="ignore"):
                return total.with_values(total.values / count.values)
        return _over(older, aged, node, place, node.name, run)

    return _halves(context, starts < aged.until_ms, node, run, old)


def _over(context: Context, aged: AgedSamples, node: nodes.Call, place: int, name: str, run: Run) -> Block:
    """The function over the aggregate that stands for its samples."""
    view, function = VIEWS.get(name, ("last", name))
    argument = node.args[place]
    assert isinstance(argument, nodes.Range)
    selector = replace(argument.selector, mode="smoothed") if name in SAFE["smoothed"] else argument.selector
    width = argument.range
    if node.name in WIDENED:
        width = nodes.Duration(ms=max(milliseconds(width, context), aged.resolution_ms))
    args = list(node.args)
    args[place] = replace(argument, selector=selector, range=width)
    return run(_on(context, aged, view), replace(node, name=function, args=tuple(args)))


def _find(
    context: Context, matchers: Sequence[Matcher], starts: IntArray, ends: IntArray, fitting_ms: int
) -> AgedSamples | None:
    context.check()
    found: AgedSamples | None = context.reader.aged(matchers, int(starts.min()), int(ends.max()), fitting_ms)  # type: ignore[attr-defined]  # asked for before
    return found if found is not None and bool((starts < found.until_ms).any()) else None


def _on(context: Context, aged: AgedSamples, view: str) -> Context:
    """The same steps over one view; a bucket's time may be a whole bucket back."""
    return replace(context, reader=aged.reader(view), lookback_ms=context.lookback_ms + aged.resolution_ms)


def _halves(context: Context, old: BoolArray, node: nodes.Node, run: Run, run_old: Callable[[Context], Block]) -> Block:
    """Older steps by ``run_old``, the others as ever, side by side."""
    if old.all():
        return run_old(context)
    parts = [
        (run_old(context.at_times(context.times[old], context.step_ms)), np.flatnonzero(old)),
        (run(context.at_times(context.times[~old], context.step_ms), node), np.flatnonzero(~old)),
    ]
    rows = {series: row for row, series in enumerate(dict.fromkeys(one for block, _ in parts for one in block.series))}
    context.afford(len(rows) * context.steps)
    values, present = np.zeros((len(rows), context.steps)), np.zeros((len(rows), context.steps), bool)
    drop = np.zeros(len(rows), bool)
    for block, steps in parts:
        places = np.array([rows[series] for series in block.series], dtype=np.intp)
        values[places[:, None], steps], present[places[:, None], steps] = block.values, block.present
        drop[places] |= block.drop
    return Block(tuple(rows), values, present, drop)


def _say(context: Context, aged: AgedSamples, node: nodes.Node) -> None:
    minutes = aged.resolution_ms // 60_000
    width = f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
    until = min(aged.until_ms, int(context.end_ms) + 1)
    before = datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    context.inform(
        f"samples before {before} are no longer kept: {width} aggregates of them (min, max, sum, count, last) answer",
        node.position,
    )
