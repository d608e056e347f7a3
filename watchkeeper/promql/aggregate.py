"""Aggregation operators over groups of series."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels, fingerprint, labels
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Block, concat, empty
from watchkeeper.promql.context import Context
from watchkeeper.promql.functions.label_text import valid_label_name
from watchkeeper.promql.groups import Groups, group
from watchkeeper.promql.histograms.aggregate import COMBINE, combined
from watchkeeper.promql.memo import Memo
from watchkeeper.promql.merge import unite
from watchkeeper.promql.nodes import Aggregate
from watchkeeper.promql.numeric import quantile
from watchkeeper.promql.result import format_plain, format_value

#: Signature of one reduction: (groups, values with 0 where absent, present, count per group) -> [groups, steps].
Reduction = Callable[[Groups, Block, FloatArray], FloatArray]


def _zeroed(block: Block, absent: float = 0.0) -> FloatArray:
    if block.present.all():
        return block.values
    filled: FloatArray = np.where(block.present, block.values, absent)
    return filled


def _sum(groups: Groups, block: Block, _: FloatArray) -> FloatArray:
    return groups.total(_zeroed(block))


def _avg(groups: Groups, block: Block, count: FloatArray) -> FloatArray:
    """The mean; where the sum leaves the range of floats, the sum of the shares."""
    mean = groups.total(_zeroed(block)) / count
    if np.isfinite(mean[count > 0]).all():
        return mean
    widest = count.max()
    shares = groups.total(_zeroed(block) / widest)
    answer: FloatArray = np.where(np.isfinite(mean), mean, shares * (widest / count))
    return answer


def _count(_: Groups, __: Block, count: FloatArray) -> FloatArray:
    return count


def _group(_: Groups, __: Block, count: FloatArray) -> FloatArray:
    return np.ones_like(count)


def _min(groups: Groups, block: Block, _: FloatArray) -> FloatArray:
    return groups.reduce(np.fmin, _zeroed(block, np.nan))


def _max(groups: Groups, block: Block, _: FloatArray) -> FloatArray:
    return groups.reduce(np.fmax, _zeroed(block, np.nan))


def _stdvar(groups: Groups, block: Block, count: FloatArray) -> FloatArray:
    """Variance about the mean, counted from one member of the group so that equal values give exactly 0."""
    row = np.where(block.present, np.arange(len(block), dtype=np.float64)[:, None], np.inf)
    first = groups.reduce(np.minimum, row)
    base = np.take_along_axis(block.values, np.where(np.isfinite(first), first, 0).astype(np.intp), axis=0)
    owner = np.empty(len(block), dtype=np.intp)
    owner[groups.order] = np.repeat(np.arange(len(groups)), groups.sizes)
    apart = np.where(block.present, block.values - base[owner], 0.0)
    mean = groups.total(apart) / count
    apart = np.where(block.present, apart - mean[owner], 0.0)
    return groups.total(apart**2) / count


def _stddev(groups: Groups, block: Block, count: FloatArray) -> FloatArray:
    return np.sqrt(_stdvar(groups, block, count))


REDUCTIONS: dict[str, Reduction] = {
    "sum": _sum,
    "avg": _avg,
    "count": _count,
    "group": _group,
    "min": _min,
    "max": _max,
    "stddev": _stddev,
    "stdvar": _stdvar,
}
CHOICES = ("topk", "bottomk", "limitk", "limit_ratio")


def reduce(context: Context, node: Aggregate, block: Block) -> Block:
    """One row per group: sum, avg, count, min, max, stddev, stdvar, group."""
    groups = group(block, node, context.shared.memo)
    native = block.histograms is not None and node.op in COMBINE
    kept = block.floats() if native else block
    count = groups.count(kept.present)
    values = REDUCTIONS[node.op](groups, kept, count)
    answer = Block(groups.labels, values, count > 0, groups.drop)
    return combined(context, node, block, groups, answer) if native else answer


def quantiles(node: Aggregate, block: Block, memo: Memo, q: FloatArray) -> Block:
    """The q-quantile of each group."""
    groups = group(block, node, memo)
    answer = np.full((len(groups), block.values.shape[1]), np.nan)
    present = np.zeros(answer.shape, bool)
    for chosen, _, values, inside in groups.stacks(block):
        answer[chosen] = quantile(q, np.moveaxis(values, 1, -1), np.moveaxis(inside, 1, -1))
        present[chosen] = inside.any(axis=1)
    return Block(groups.labels, answer, present, groups.drop)


def check_ratio(context: Context, node: Aggregate, param: FloatArray) -> None:
    """Warn about ratios beyond -1 and 1; they are taken as these."""
    assert node.param is not None
    for edge, limit in ((param.max(), 1.0), (param.min(), -1.0)):
        if edge * limit > 1:
            context.warn(
                "ratio value should be between -1 and 1,"
                f" got {format_value(float(edge))}, capping to {format_value(limit)}",
                node.param.position,
            )


def choose(node: Aggregate, block: Block, memo: Memo, param: FloatArray) -> Block:
    """topk, bottomk, limitk, limit_ratio: some rows of each group, unchanged."""
    if np.isnan(param).any():
        kind = "Ratio" if node.op == "limit_ratio" else "Parameter"
        raise QueryError(f"{kind} value is NaN", kind="execution")
    if not len(block):
        return block
    if node.op == "limit_ratio":
        kept = _ratio(block, np.clip(param, -1.0, 1.0))
        return block.where(kept)
    limit = np.trunc(np.clip(param, 0, 2**53))
    kept = np.zeros(block.present.shape, bool)
    groups = group(block, node, memo)
    for _, rows, values, inside in groups.stacks(block):
        kept[rows] = inside & (_ranks(node.op, values, inside) < limit)
    answer = block.where(kept)
    return answer if node.op == "limitk" or block.values.shape[1] > 1 else _ordered(answer, groups, node.op)


def _ranks(op: str, values: FloatArray, inside: BoolArray) -> FloatArray:
    """Place of each row among the present rows of its group, best first; NaN is worse than any number."""
    if op == "limitk":
        key = np.zeros_like(values)
    else:
        key = np.where(np.isnan(values), np.inf, -values if op == "topk" else values)
    nan = np.isnan(values) & (op != "limitk")
    order = np.lexsort((key, nan, ~inside), axis=1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(values.shape[1])[None, :, None], values.shape), axis=1)
    return ranks


def _ordered(block: Block, groups: Groups, op: str) -> Block:
    """An instant answer lists each group's best first."""
    values = block.values[:, 0]
    key = -values if op == "topk" else values
    owner = np.empty(len(block), dtype=np.intp)
    owner[groups.order] = np.repeat(np.arange(len(groups)), groups.sizes)
    order = np.lexsort((np.where(np.isnan(key), 0.0, key), np.isnan(key), owner))
    return block.rows(order[block.present[order, 0]])


def _ratio(block: Block, ratio: FloatArray) -> BoolArray:
    """A stable sample of the series: those whose hash falls under the ratio; a negative one takes the complement."""
    place = np.array([int(fingerprint(series), 16) / 2**64 for series in block.series])[:, None]
    kept: BoolArray = np.where(ratio >= 0, place < ratio, place >= 1.0 + ratio)
    return kept


def count_values(node: Aggregate, block: Block, memo: Memo, name: str, afford: Callable[[int], None]) -> Block:
    """How many rows of each group have which value; the value becomes label ``name``.

    ``afford`` refuses more samples than the query may hold; every value may be a row of its own.
    """
    if not valid_label_name(name):
        raise QueryError(f'invalid label name "{_escaped(name)}"', kind="execution")
    if node.without and name in node.labels:  # the label is made, and taken away again
        groups = group(block, node, memo)
        count = groups.count(block.present)
        return Block(groups.labels, count, count > 0, groups.drop)
    by = (*node.labels, name) if node.without else tuple(one for one in node.labels if one != name)
    groups = group(block, Aggregate(op=node.op, expr=node.expr, without=node.without, labels=by), memo)
    steps = block.values.shape[1]
    blocks, made = [], 0
    for g, key in enumerate(groups.labels):
        rows = groups.order[groups.starts[g] : groups.starts[g] + groups.sizes[g]]
        own = block.rows(rows)
        floats = own.floats()
        made += len(np.unique(floats.values[floats.present])) * steps
        afford(made)
        blocks += [_counted(key, name, floats.values, floats.present), _counted_histograms(key, name, own)]
    if not blocks:
        return empty(steps)
    return unite(concat(blocks, steps), "vector cannot contain metrics with the same labelset")


def _escaped(name: str) -> str:
    """Bytes that are no UTF-8 as Go writes them."""
    return "".join(f"\\x{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else letter for letter in name)


def _counted_histograms(key: Labels, name: str, block: Block) -> Block:
    if block.histograms is None:
        return empty(block.values.shape[1])
    counts: dict[str, FloatArray] = {}
    for row, step in np.argwhere(block.present & ~block.is_float()).tolist():
        text = block.histograms[row, step].text()
        counts.setdefault(text, np.zeros(block.values.shape[1]))[step] += 1
    series = [labels(None, {**dict(key), name: text}) for text in counts]
    values = np.array(list(counts.values())).reshape(len(counts), block.values.shape[1])
    return Block(series, values, values > 0, np.zeros(len(series), bool))


def _counted(key: Labels, name: str, values: FloatArray, present: BoolArray) -> Block:
    """By bits: 0 and -0 are two values, every NaN is one."""
    texts: dict[str, FloatArray] = {}
    bits = np.ascontiguousarray(values).view(np.uint64)
    for one in np.unique(bits[present]):
        text = format_plain(float(one.view(np.float64)))
        count = ((bits == one) & present).sum(axis=0).astype(np.float64)
        texts[text] = texts[text] + count if text in texts else count
    if not texts:
        return empty(values.shape[1])
    series = [labels(None, {**dict(key), name: text}) for text in texts]
    counts = np.array(list(texts.values()))
    return Block(series, counts, counts > 0, np.zeros(len(series), bool))
