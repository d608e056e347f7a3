"""Functions that answer one number per step, and the bridge between numbers and vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from watchkeeper.model.series import FloatArray
from watchkeeper.promql.block import Block
from watchkeeper.promql.context import Context
from watchkeeper.promql.functions import base
from watchkeeper.promql.nodes import Call


def _constant(value: Callable[[Context], float]) -> base.Handler:
    def handler(_: base.Evaluator, context: Context, __: Call) -> FloatArray:
        return np.full(context.steps, value(context))

    return handler


def _time(_: base.Evaluator, context: Context, __: Call) -> FloatArray:
    return context.seconds()


def _scalar(evaluator: base.Evaluator, context: Context, call: Call) -> FloatArray:
    """The value of a vector with exactly one series, NaN otherwise."""
    block = base.vector(evaluator, context, call).floats()
    if not len(block):
        return np.full(context.steps, np.nan)
    row = np.argmax(block.present, axis=0)
    values: FloatArray = np.where(block.present.sum(axis=0) == 1, block.values[row, np.arange(context.steps)], np.nan)
    return values


def _vector(evaluator: base.Evaluator, context: Context, call: Call) -> Block:
    values = base.scalar(evaluator, context, call, 0)
    return Block(((),), values[None], np.ones((1, context.steps), bool), np.zeros(1, bool))


def _two(function: Callable[[FloatArray, FloatArray], FloatArray]) -> base.Handler:
    def handler(evaluator: base.Evaluator, context: Context, call: Call) -> FloatArray:
        return function(base.scalar(evaluator, context, call, 0), base.scalar(evaluator, context, call, 1))

    return handler


SCALAR: dict[str, base.Handler] = {
    "time": _time,
    "pi": _constant(lambda _: np.pi),
    "step": _constant(lambda context: context.query_step_ms / 1000),
    "range": _constant(lambda context: (context.end_ms - context.start_ms) / 1000),
    "start": _constant(lambda context: context.start_ms / 1000),
    "end": _constant(lambda context: context.end_ms / 1000),
    "scalar": _scalar,
    "vector": _vector,
    "min_of": _two(np.minimum),
    "max_of": _two(np.maximum),
}
