"""The shape of a function and the ways to read its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from watchkeeper.errors import QueryError
from watchkeeper.model.series import FloatArray
from watchkeeper.promql.block import Block, Windows
from watchkeeper.promql.context import Context
from watchkeeper.promql.nodes import Call, Node
from watchkeeper.promql.result import format_value

#: What an expression is worth: an instant vector, a scalar per step, or a string.
Value = Block | FloatArray | str


class Evaluator(Protocol):
    """The way back from a function to the evaluation of its arguments."""

    def evaluate(self, context: Context, node: Node) -> Value: ...

    def windows(self, context: Context, node: Node) -> list[Windows]: ...


Handler = Callable[[Evaluator, Context, Call], Value]


def vector(evaluator: Evaluator, context: Context, call: Call, index: int = 0) -> Block:
    """The argument as an instant vector."""
    value = evaluator.evaluate(context, call.args[index])
    if not isinstance(value, Block):
        raise QueryError(f"expected type instant vector in call to function {call.name!r}")
    return value


def scalar(evaluator: Evaluator, context: Context, call: Call, index: int) -> FloatArray:
    """The argument as one number per step."""
    value = evaluator.evaluate(context, call.args[index])
    if not isinstance(value, np.ndarray):
        raise QueryError(f"expected type scalar in call to function {call.name!r}")
    return value


def text(evaluator: Evaluator, context: Context, call: Call, index: int) -> str:
    """The argument as a string."""
    value = evaluator.evaluate(context, call.args[index])
    if not isinstance(value, str):
        raise QueryError(f"expected type string in call to function {call.name!r}")
    return value


def check_quantile(context: Context, q: FloatArray, position: int) -> None:
    """Warn about quantiles that are none: NaN, the largest above 1, the smallest below 0."""
    wrong = [math.nan] if np.isnan(q).any() else []
    known = q[~np.isnan(q)]
    if len(known):
        wrong += [float(edge) for edge in (known.max(), known.min()) if not 0 <= edge <= 1]
    for value in dict.fromkeys(wrong):
        context.warn(f"quantile value should be between 0 and 1, got {format_value(value)}", position)
