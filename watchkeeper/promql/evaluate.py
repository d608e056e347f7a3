"""The walk over a query's tree: every node becomes a block, a number per step, or a string."""

from __future__ import annotations

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model import Matrix
from watchkeeper.model.series import IntArray
from watchkeeper.promql import aged, aggregate, binary, extended, nodes, select
from watchkeeper.promql.births import HistogramMatrix
from watchkeeper.promql.block import Block, Windows, empty
from watchkeeper.promql.context import DEFAULT_SUBQUERY_STEP_MS, Context
from watchkeeper.promql.durations import milliseconds
from watchkeeper.promql.functions import FUNCTIONS
from watchkeeper.promql.functions.base import Value, check_quantile
from watchkeeper.promql.histograms import aggregate as native
from watchkeeper.promql.histograms.functions import negated
from watchkeeper.promql.histograms.hints import forgotten


class Evaluation:
    """Stateless: everything that changes lives in the context."""

    def evaluate(self, context: Context, node: nodes.Node) -> Value:
        """What the node is worth at every step."""
        context.check()
        value = self._value(context, node)
        if isinstance(value, Block):
            context.spend(value.values.size)
        return value

    def _value(self, context: Context, node: nodes.Node) -> Value:
        match node:
            case nodes.Number():
                return np.full(context.steps, node.value)
            case nodes.Text():
                return node.value
            case nodes.Selector():
                found = aged.instant(context, node, self._block)
                return select.instant(context, node) if found is None else found
            case nodes.Negate():
                return self._negate(context, node)
            case nodes.Binary():
                return self._binary(context, node)
            case nodes.Aggregate():
                return self._aggregate(context, node)
            case nodes.Call():
                return self._call(context, node)
        raise QueryError(f"a range vector has no value at a step: {type(node).__name__.lower()}", kind="execution")

    def _call(self, context: Context, node: nodes.Call) -> Value:
        handler = FUNCTIONS.get(node.name)
        if handler is None:
            raise QueryError(f"function {node.name!r} is not supported", kind="execution")
        extended.check_call(node)
        found = aged.call(context, node, self._block)
        return handler(self, context, node) if found is None else found

    def _block(self, context: Context, node: nodes.Node) -> Block:
        """As ``evaluate`` of what is known to be an instant vector."""
        value = self.evaluate(context, node)
        assert isinstance(value, Block)
        return value

    def _negate(self, context: Context, node: nodes.Negate) -> Value:
        value = self.evaluate(context, node.expr)
        if isinstance(value, Block):
            return negated(value)
        if isinstance(value, str):
            raise QueryError("unary expression only allowed on expressions of type scalar or instant vector")
        return -value

    def _binary(self, context: Context, node: nodes.Binary) -> Value:
        lhs, rhs = self.evaluate(context, node.lhs), self.evaluate(context, node.rhs)
        if isinstance(lhs, str) or isinstance(rhs, str):
            raise QueryError("binary expression must contain only scalar and instant vector types")
        if isinstance(lhs, Block) and isinstance(rhs, Block):
            return binary.sets(node, lhs, rhs) if node.op in binary.SET else binary.vectors(context, node, lhs, rhs)
        if isinstance(lhs, Block):
            assert isinstance(rhs, np.ndarray)
            return binary.with_scalar(context, node, lhs, rhs, vector_left=True)
        if isinstance(rhs, Block):
            return binary.with_scalar(context, node, rhs, lhs, vector_left=False)
        return binary.scalars(node, lhs, rhs)

    def _aggregate(self, context: Context, node: nodes.Aggregate) -> Block:
        param = None if node.param is None else self.evaluate(context, node.param)
        block = self.evaluate(context, node.expr)
        if not isinstance(block, Block):
            raise QueryError(f"expected type instant vector in aggregation expression, got {node.op}")
        block = native.floats_of(context, node, block)
        if isinstance(param, np.ndarray) and node.op in aggregate.CHOICES:
            if node.op == "limit_ratio":
                aggregate.check_ratio(context, node, param)
            return aggregate.choose(node, block, context.shared.memo, param)
        if not len(block):
            return empty(context.steps)
        if isinstance(param, str):
            return aggregate.count_values(node, block, context.shared.memo, param, context.afford)
        if isinstance(param, np.ndarray):
            assert node.param is not None
            check_quantile(context, param, node.param.position)
            return aggregate.quantiles(node, block, context.shared.memo, param)
        return aggregate.reduce(context, node, block)

    def windows(self, context: Context, node: nodes.Node) -> list[Windows]:
        """The samples below a range selector or subquery, windowed by step."""
        if isinstance(node, nodes.Range):
            return select.ranges(context, node)
        if isinstance(node, nodes.Subquery):
            return self._subquery(context, node)
        raise QueryError("expected type range vector")

    def _subquery(self, context: Context, node: nodes.Subquery) -> list[Windows]:
        """The inner query on its own grid, aligned to its step, seen through windows."""
        ends = context.moments(milliseconds(node.offset, context), node.at)
        starts = ends - milliseconds(node.range, context, positive=True)
        step = DEFAULT_SUBQUERY_STEP_MS if node.step is None else milliseconds(node.step, context, positive=True)
        begin, end = int(starts.min()), int(ends.max())
        first = step * int(begin / step)  # towards zero, as Go divides
        if first <= begin:
            first += step
        if first > end:
            return []
        context.afford((end - first) // step + 1)
        grid = np.arange(first, end + 1, step, dtype=np.int64)
        block = self.evaluate(context.at_times(grid, step), node.expr)
        if not isinstance(block, Block) or not len(block):
            return []
        return select.windows(_matrix(block, grid), starts, ends, block.drop)


def _matrix(block: Block, times: IntArray) -> Matrix:
    series = tuple(block.series)
    if block.histograms is None:
        return Matrix(series=series, times=times, values=block.values, present=block.present)
    return HistogramMatrix(
        series=series, times=times, values=block.values, present=block.present, histograms=forgotten(block.histograms)
    )
