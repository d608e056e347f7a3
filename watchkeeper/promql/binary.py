"""Binary operators: arithmetic and comparison with vector matching, and the set operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, Labels
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.block import Block, concat, empty
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms.binary import TRIMS, Operands, apply
from watchkeeper.promql.merge import METADATA, describe, unite
from watchkeeper.promql.nodes import Binary, Matching

Operator = Callable[[FloatArray, FloatArray], FloatArray]

ARITHMETIC: dict[str, Operator] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISON: dict[str, Callable[[FloatArray, FloatArray], BoolArray]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SET = ("and", "or", "unless")

Index = npt.NDArray[np.intp]


def scalars(node: Binary, lhs: FloatArray, rhs: FloatArray) -> FloatArray:
    """Number with number; comparisons answer 0 or 1 (the grammar asks for ``bool``)."""
    if node.op in COMPARISON:
        return COMPARISON[node.op](lhs, rhs).astype(np.float64)
    return ARITHMETIC[node.op](lhs, rhs)


def with_scalar(context: Context, node: Binary, block: Block, number: FloatArray, *, vector_left: bool) -> Block:
    """Vector with number, either way round; a comparison keeps the vector's value."""
    if block.histograms is not None or node.op in TRIMS:
        return _native_with_scalar(context, node, block, number, vector_left=vector_left)
    return _float_with_scalar(node, block, number, vector_left=vector_left)


def _native_with_scalar(
    context: Context, node: Binary, block: Block, number: FloatArray, *, vector_left: bool
) -> Block:
    other = np.broadcast_to(number, block.values.shape)
    sides = Operands(block.values, other, block.histograms, None)
    if not vector_left:
        sides = Operands(other, block.values, None, block.histograms)
    floats = block.floats()
    plain = floats
    if node.op not in TRIMS:
        plain = _float_with_scalar(node, floats, number, vector_left=vector_left)
    answer = apply(context, node, sides, (plain.values, plain.present), block.present)
    drop = plain.drop if not keeps_name(node) else block.drop
    return Block(block.series, answer.values, answer.present, drop, answer.histograms)


def _float_with_scalar(node: Binary, block: Block, number: FloatArray, *, vector_left: bool) -> Block:
    left, right = (block.values, number) if vector_left else (number, block.values)
    if node.op in ARITHMETIC:
        return block.with_values(ARITHMETIC[node.op](left, right))
    true = COMPARISON[node.op](left, right)
    if node.bool:
        return block.with_values(true.astype(np.float64))
    return Block(block.series, block.values, block.present & true, block.drop)


def signature(series: Labels, matching: Matching) -> Labels:
    """The labels two series must share to match."""
    if matching.on:
        return tuple(pair for pair in series if pair[0] in matching.labels)
    return tuple(pair for pair in series if pair[0] != METRIC_NAME and pair[0] not in matching.labels)


def _ids(block: Block, matching: Matching, known: dict[Labels, int]) -> Index:
    """The number of each row's signature; new signatures are added to ``known``."""
    ids = (known.setdefault(signature(series, matching), len(known)) for series in block.series)
    return np.fromiter(ids, np.intp, len(block))


def _any(present: BoolArray, ids: Index, count: int) -> BoolArray:
    """Per signature and step: is any row there?"""
    found = np.zeros((count, present.shape[1]), bool)
    np.logical_or.at(found, ids, present)
    return found


def sets(node: Binary, lhs: Block, rhs: Block) -> Block:
    """and, or, unless."""
    steps = lhs.values.shape[1]
    known: dict[Labels, int] = {}
    left, right = _ids(lhs, node.matching, known), _ids(rhs, node.matching, known)
    if node.op == "or":
        taken = _any(lhs.present, left, len(known))
        extra = rhs.where(~taken[right])
        return unite(concat([lhs, extra], steps), "vector cannot contain metrics with the same labelset")
    other = _any(rhs.present, right, len(known))[left]
    return lhs.where(other if node.op == "and" else ~other)


@dataclass(slots=True)
class _Sides:
    """The operands as "many" and "one"; ``swapped`` when the right operand is the many side."""

    many: Block
    one: Block
    swapped: bool
    many_ids: Index
    one_ids: Index
    signatures: int


def vectors(context: Context, node: Binary, lhs: Block, rhs: Block) -> Block:
    """Vector with vector, rows matched by their labels."""
    matching = node.matching
    swapped = matching.group == "right"
    many, one = (rhs, lhs) if swapped else (lhs, rhs)
    known: dict[Labels, int] = {}
    many_ids = _ids(many, matching, known)
    one_ids = _ids(one, matching, known)
    sides = _Sides(many, one, swapped, many_ids, one_ids, len(known))
    _check_one_side(sides, list(known))
    pairs = _pairs(sides)
    parts = [_combine(context, node, sides, *pairs)]
    parts += _filled(context, node, sides, list(known))
    answer = concat(parts, lhs.values.shape[1])
    if not matching.group:
        _check_many_side(answer, node)
    message = "multiple matches for labels: grouping labels must ensure unique matches"
    return unite(answer, message)


def _pairs(sides: _Sides) -> tuple[Index, Index]:
    """Row numbers of every (many, one) pair with the same signature."""
    order = np.argsort(sides.one_ids, kind="stable")
    sorted_ids = sides.one_ids[order]
    lo = np.searchsorted(sorted_ids, sides.many_ids, side="left")
    hi = np.searchsorted(sorted_ids, sides.many_ids, side="right")
    count = hi - lo
    many = np.repeat(np.arange(len(sides.many), dtype=np.intp), count)
    offset = np.arange(len(many), dtype=np.intp) - np.repeat(np.cumsum(count) - count, count)
    return many, order[np.repeat(lo, count) + offset]


def _check_one_side(sides: _Sides, signatures: Sequence[Labels]) -> None:
    """Two rows of the "one" side with the same signature at the same step cannot be told apart."""
    if len(np.unique(sides.one_ids)) == len(sides.one_ids):
        return
    count = np.zeros((sides.signatures, sides.one.present.shape[1]), dtype=np.int64)
    np.add.at(count, sides.one_ids, sides.one.present)
    clash = np.argwhere((count > 1) & sides.many.present.any(axis=0))
    if not len(clash):
        return
    group, step = clash[0]
    first, second = np.flatnonzero((sides.one_ids == group) & sides.one.present[:, step])[:2].tolist()
    side = "left" if sides.swapped else "right"
    raise QueryError(
        f"found duplicate series for the match group {describe(signatures[group])} on the {side} hand-side of the"
        f" operation: [{describe(sides.one.series[second])}, {describe(sides.one.series[first])}];"
        "many-to-many matching not allowed: matching labels must be unique on one side",
        kind="execution",
    )


def _check_many_side(answer: Block, node: Binary) -> None:
    """One to one means one: two answers of one signature at one step need group_left or group_right."""
    known: dict[Labels, int] = {}
    ids = _ids(answer, node.matching, known)
    if len(known) == len(ids):
        return
    count = np.zeros((len(known), answer.present.shape[1]), dtype=np.int64)
    np.add.at(count, ids, answer.present)
    if (count > 1).any():
        raise QueryError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            kind="execution",
        )


def _combine(context: Context, node: Binary, sides: _Sides, many: Index, one: Index) -> Block:
    """The operator over matched rows."""
    if not len(many):
        return empty(sides.many.values.shape[1])
    present = sides.many.present[many] & sides.one.present[one]
    series = [
        _result_labels(node, sides.many.series[m], sides.one.series[o])
        for m, o in zip(many.tolist(), one.tolist(), strict=True)
    ]
    pair = Operands(
        sides.many.values[many],
        sides.one.values[one],
        None if sides.many.histograms is None else sides.many.histograms[many],
        None if sides.one.histograms is None else sides.one.histograms[one],
    )
    return _apply(context, node, series, pair, present, sides.many.drop[many], swapped=sides.swapped)


def _apply(
    context: Context,
    node: Binary,
    series: Sequence[Labels],
    sides: Operands,
    present: BoolArray,
    drop: BoolArray,
    *,
    swapped: bool,
) -> Block:
    """The operator over two sides, the "many" side left unless ``swapped``."""
    if swapped:
        sides = Operands(sides.right, sides.left, sides.right_histograms, sides.left_histograms)
    if node.op in TRIMS:
        plain = Block(series, sides.left, present, drop)
    else:
        plain = _apply_floats(node, series, sides.left, sides.right, present, drop)
    if node.op not in TRIMS and sides.left_histograms is None and sides.right_histograms is None:
        return plain
    answer = apply(context, node, sides, (plain.values, plain.present), present)
    return Block(series, answer.values, answer.present, plain.drop, answer.histograms)


def _apply_floats(
    node: Binary,
    series: Sequence[Labels],
    left: FloatArray,
    right: FloatArray,
    present: BoolArray,
    drop: BoolArray,
) -> Block:
    if node.op in ARITHMETIC:
        return Block(series, ARITHMETIC[node.op](left, right), present, np.ones(len(series), bool))
    true = COMPARISON[node.op](left, right)
    if node.bool:
        return Block(series, true.astype(np.float64), present, np.ones(len(series), bool))
    return Block(series, left, present & true, drop)


def keeps_name(node: Binary) -> bool:
    """Comparisons that filter hand on samples, name included."""
    return (node.op in COMPARISON or node.op in TRIMS) and not node.bool


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    """The labels of one answer (engine.go, resultMetric)."""
    matching = node.matching
    kept: Sequence[tuple[str, str]] = many
    if not matching.group:
        if matching.on:
            kept = [pair for pair in many if pair[0] in matching.labels]
        else:
            kept = [pair for pair in many if pair[0] not in matching.labels]
    if not keeps_name(node):
        kept = [pair for pair in kept if pair[0] not in METADATA]
    if matching.include:
        from_one = {name: value for name, value in one if name in matching.include}
        kept = sorted([*(pair for pair in kept if pair[0] not in matching.include), *from_one.items()])
    return tuple(kept)


def _filled(context: Context, node: Binary, sides: _Sides, signatures: Sequence[Labels]) -> list[Block]:
    """Answers for samples without a partner, where the query says which value the partner would have had."""
    matching = node.matching
    many_fill, one_fill = matching.fill_left, matching.fill_right  # group_right swaps the sides before filling
    blocks = []
    if one_fill is not None and len(sides.many):
        alone = sides.many.present & ~_any(sides.one.present, sides.one_ids, sides.signatures)[sides.many_ids]
        series = [_result_labels(node, one, ()) for one in sides.many.series]
        other = np.full(sides.many.values.shape, one_fill)
        pair = Operands(sides.many.values, other, sides.many.histograms, None)
        blocks.append(_apply(context, node, series, pair, alone, sides.many.drop, swapped=sides.swapped))
    if many_fill is not None and len(sides.one):
        alone = sides.one.present & ~_any(sides.many.present, sides.many_ids, sides.signatures)[sides.one_ids]
        series = [
            _result_labels(node, signatures[i], one)
            for i, one in zip(sides.one_ids.tolist(), sides.one.series, strict=True)
        ]
        other = np.full(sides.one.values.shape, many_fill)
        pair = Operands(other, sides.one.values, None, sides.one.histograms)
        blocks.append(_apply(context, node, series, pair, alone, sides.one.drop, swapped=sides.swapped))
    return blocks
