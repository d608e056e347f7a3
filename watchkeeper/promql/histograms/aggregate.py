"""Aggregations over blocks that hold histograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from watchkeeper.model import metric_name
from watchkeeper.promql.block import Block
from watchkeeper.promql.context import Context
from watchkeeper.promql.groups import Groups
from watchkeeper.promql.histograms import remarks
from watchkeeper.promql.histograms.combine import Combined, mean, total
from watchkeeper.promql.histograms.model import Histogram, nothing
from watchkeeper.promql.nodes import Aggregate

#: These have no meaning for histograms, which are left out with a remark.
FLOATS_ONLY = ("min", "max", "stddev", "stdvar", "quantile", "topk", "bottomk")
COMBINE: dict[str, Callable[[Sequence[Histogram]], Combined]] = {"sum": total, "avg": mean}


def floats_of(context: Context, node: Aggregate, block: Block) -> Block:
    """The block as an aggregation of floats sees it."""
    if block.histograms is None or node.op not in FLOATS_ONLY:
        return block
    if (block.present & ~block.is_float()).any():
        whole = node.op in ("topk", "bottomk")
        remarks.ignored_in_aggregation(context, node.op, node.position if whole else node.expr.position)
    return block.floats()


def combined(context: Context, node: Aggregate, block: Block, groups: Groups, reduced: Block) -> Block:
    """Sums and averages of the groups that hold histograms, in place of what was made of their floats."""
    native = block.present & ~block.is_float()
    counts = groups.count(native)
    values, present = reduced.values.copy(), reduced.present.copy()
    histograms = nothing(values.shape)
    for group, step in np.argwhere(counts > 0).tolist():
        context.check()
        rows = groups.order[groups.starts[group] : groups.starts[group] + groups.sizes[group]]
        rows = rows[block.present[rows, step]]
        histograms[group, step] = _one(context, node, block, rows.tolist(), step)
        present[group, step] = histograms[group, step] is not None
    return Block(reduced.series, values, present, reduced.drop, histograms)


def _one(context: Context, node: Aggregate, block: Block, rows: list[int], step: int) -> Histogram | None:
    """What one group is together; None, and a warning, when its members do not fit."""
    assert block.histograms is not None
    cells: list[Histogram | None] = [block.histograms[row, step] for row in rows]
    at = node.expr.position
    odd = _of_another_kind(cells)
    if odd is not None:
        remarks.mixed_kinds(context, metric_name(block.series[rows[odd]]), at)
    found = [one for one in cells[:odd] if one is not None]
    if len(found) < len(cells[:odd]):
        remarks.mixed_aggregation(context, at)
        return None
    if odd is not None:
        return None
    made = COMBINE[node.op](found)
    remarks.combined(context, made, "aggregation", at)
    return made.histogram.compact()


def _of_another_kind(cells: Sequence[Histogram | None]) -> int | None:
    """The first histogram that cannot be added to the first of all; nobody adds to a float."""
    first = cells[0]
    if first is None:
        return None
    kinds = enumerate(cells)
    return next((place for place, one in kinds if one is not None and one.is_custom != first.is_custom), None)
