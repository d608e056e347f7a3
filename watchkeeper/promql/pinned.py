"""A query pinned to one moment by ``@``: asked at any other time it must answer the same."""

from __future__ import annotations

from dataclasses import replace

from watchkeeper.promql import nodes

#: Functions whose answer changes with the time of asking even when what they are given does not (functions.go).
UNSAFE = frozenset(
    {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year",
        "predict_linear", "time", "timestamp", "start", "end", "step", "range",
    }
)  # fmt: skip


def pinned(node: nodes.Node, at_ms: int) -> nodes.Node | None:
    """The query with every selector that has no ``@`` of its own fixed at a moment; None when it cannot be."""
    if any(isinstance(one, nodes.Call) and one.name in UNSAFE for one in nodes.walk(node)):
        return None
    return _pin(node, nodes.At(kind="at", time_ms=at_ms))


def _pin(node: nodes.Node, at: nodes.At) -> nodes.Node:
    match node:
        case nodes.Selector() | nodes.Subquery():  # what a pinned subquery asks inside keeps its own times
            return node if node.at else replace(node, at=at)
        case nodes.Range():
            return node if node.selector.at else replace(node, selector=replace(node.selector, at=at))
        case nodes.Negate():
            return replace(node, expr=_pin(node.expr, at))
        case nodes.Binary():
            return replace(node, lhs=_pin(node.lhs, at), rhs=_pin(node.rhs, at))
        case nodes.Aggregate():
            param = None if node.param is None else _pin(node.param, at)
            return replace(node, expr=_pin(node.expr, at), param=param)
        case nodes.Call(name="info"):  # its second argument only names labels
            return replace(node, args=(_pin(node.args[0], at), *node.args[1:]))
        case nodes.Call():
            return replace(node, args=tuple(_pin(arg, at) for arg in node.args))
    return node


def other_times(at_ms: int) -> list[int]:
    """Moments at which a pinned query is asked, as upstream chooses them."""
    return [-1000, 0, 1000] if at_ms == 0 else [-10 * at_ms, 0, at_ms // 5, at_ms, 10 * at_ms]
