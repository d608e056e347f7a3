"""Binary operators where at least one side holds a histogram (engine.go, vectorElemBinop)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms import remarks
from watchkeeper.promql.histograms.combine import Combined, IncompatibleError, add, subtract
from watchkeeper.promql.histograms.model import GAUGE, Histogram, Histograms, is_native, nothing, places
from watchkeeper.promql.histograms.trim import trimmed
from watchkeeper.promql.nodes import Binary

#: Keep what is at or below a value, keep what is above it.
TRIM_UPPER, TRIM_LOWER = "</", ">/"
TRIMS = (TRIM_UPPER, TRIM_LOWER)

Cell = float | Histogram


@dataclass(slots=True)
class Operands:
    """Two sides of one shape [series, steps]; cells that are histograms have no value."""

    left: FloatArray
    right: FloatArray
    left_histograms: Histograms | None
    right_histograms: Histograms | None

    def cell(self, place: tuple[int, int]) -> tuple[Cell, Cell]:
        return (
            _cell(self.left, self.left_histograms, place),
            _cell(self.right, self.right_histograms, place),
        )

    def native(self) -> BoolArray:
        """Where either side is a histogram."""
        found = np.zeros(self.left.shape, bool)
        for side in (self.left_histograms, self.right_histograms):
            if side is not None:
                found |= is_native(side)
        return found


def _cell(values: FloatArray, histograms: Histograms | None, place: tuple[int, int]) -> Cell:
    histogram = None if histograms is None else histograms[place]
    return float(values[place]) if histogram is None else histogram


@dataclass(slots=True)
class Outcome:
    """What an operator over floats said, with the cells of histograms put right."""

    values: FloatArray
    present: BoolArray
    histograms: Histograms


def apply(
    context: Context, node: Binary, sides: Operands, outcome: tuple[FloatArray, BoolArray], present: BoolArray
) -> Outcome:
    """``outcome`` is right wherever both sides are floats; ``present`` is where both sides are."""
    values, found = np.array(outcome[0]), np.array(outcome[1])
    histograms = nothing(values.shape)
    for place in places(present if node.op in TRIMS else present & sides.native()):
        answer = element(context, node, *sides.cell(place))
        found[place] = answer is not None
        if isinstance(answer, Histogram):
            histograms[place] = answer
        elif answer is not None:
            values[place] = answer
    return Outcome(values, found, histograms)


def element(context: Context, node: Binary, left: Cell, right: Cell) -> Cell | None:
    """One pair, at least one of which is a histogram. None where nothing comes of it."""
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        return _two(context, node, left, right)
    if isinstance(left, Histogram) and not isinstance(right, Histogram):
        operator = WITH_FLOAT.get(node.op)
        if operator is not None:
            return operator(left, right)
    elif isinstance(right, Histogram) and not isinstance(left, Histogram) and node.op == "*":
        return right.times(left).compact()
    _refused(context, node, left, right)
    return None


WITH_FLOAT: dict[str, Callable[[Histogram, float], Histogram]] = {
    "*": lambda histogram, value: histogram.times(value).compact(),
    "/": lambda histogram, value: histogram.over(value).compact(),
    TRIM_UPPER: lambda histogram, value: trimmed(histogram, value, upper=True),
    TRIM_LOWER: lambda histogram, value: trimmed(histogram, value, upper=False),
}


def _two(context: Context, node: Binary, left: Histogram, right: Histogram) -> Cell | None:
    if node.op in ("==", "!="):
        true = left.same(right) == (node.op == "==")
        return float(true) if node.bool else left if true else None
    if node.op not in ("+", "-"):
        _refused(context, node, left, right)
        return None
    try:
        made = add(left, right) if node.op == "+" else subtract(left, right)
    except IncompatibleError:
        remarks.incompatible_layout(context, node.op, node.position)
        return None
    return _sum(context, node, made)


def _sum(context: Context, node: Binary, made: Combined) -> Histogram | None:
    remarks.combined(context, made, "addition" if node.op == "+" else "subtraction", node.position)
    if made.collision:
        return None
    answer = made.histogram.compact()
    return answer if node.op == "+" else answer.with_hint(GAUGE)


def _refused(context: Context, node: Binary, left: Cell, right: Cell) -> None:
    kinds = ["histogram" if isinstance(side, Histogram) else "float" for side in (left, right)]
    remarks.incompatible_types(context, node.op, kinds, node.position)
