"""Shapes of expressions that lint looks for, and the text of the better form."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from watchkeeper.model import METRIC_NAME, Matcher, MatchOp, format_series, labels
from watchkeeper.promql import format_value, nodes

from .text import promql_text

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
RATES = frozenset({"rate", "irate", "increase"})
#: Functions that never go below zero for counters or by definition.
NEVER_NEGATIVE = RATES | {"abs", "sqrt", "count_over_time", "stddev_over_time", "absent", "time", "timestamp"}
#: Labels that name a kind of outcome; without them a selector counts everything.
OUTCOME_LABELS = ("status", "code", "status_code", "result", "outcome", "grpc_code")


def comparison(node: nodes.Node) -> tuple[nodes.Node, str, float] | None:
    """(expression, operator, limit) of ``expr > 5`` or ``5 < expr``; None for anything else."""
    if not isinstance(node, nodes.Binary) or node.op not in COMPARISONS:
        return None
    right, left = constant(node.rhs), constant(node.lhs)
    if right is not None and left is None:
        return node.lhs, node.op, right
    if left is not None and right is None:
        return node.rhs, FLIPPED[node.op], left
    return None


def constant(node: nodes.Node) -> float | None:
    """The value of a number, or of a negated one."""
    if isinstance(node, nodes.Number):
        return node.value
    if isinstance(node, nodes.Negate):
        inner = constant(node.expr)
        return None if inner is None else -inner
    return None


def is_rate(node: nodes.Node) -> bool:
    """A rate, or a sum of rates."""
    if isinstance(node, nodes.Aggregate) and node.op in ("sum", "avg", "max"):
        return is_rate(node.expr)
    return isinstance(node, nodes.Call) and node.name in ("rate", "irate")


def number(value: float) -> str:
    return format_value(value)


def short(node: nodes.Node) -> str:
    return promql_text(node)


def as_ratio(rate: nodes.Node, operator: str, limit: float) -> str:
    """The share of the chosen outcome among all: same selector without the label that chooses it."""
    inner = rate.expr if isinstance(rate, nodes.Aggregate) else rate
    by = rate.labels if isinstance(rate, nodes.Aggregate) and not rate.without else ()
    part = nodes.Aggregate(op="sum", expr=inner, labels=by)
    whole = nodes.Aggregate(op="sum", expr=_without_outcome(inner), labels=by)
    if part == whole:
        return ""
    return f"{promql_text(part)} / {promql_text(whole)} {operator} {number(limit)}"


def _without_outcome(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Selector):
        kept = tuple(one for one in node.matchers if one.name not in OUTCOME_LABELS)
        return replace(node, matchers=kept)
    if isinstance(node, nodes.Range):
        selector = _without_outcome(node.selector)
        assert isinstance(selector, nodes.Selector)
        return replace(node, selector=selector)
    return replace(node, args=tuple(map(_without_outcome, node.args))) if isinstance(node, nodes.Call) else node


def with_sum_by_le(root: nodes.Node, call: nodes.Call) -> str:
    better = replace(call, args=(call.args[0], nodes.Aggregate(op="sum", expr=call.args[1], labels=("le",))))
    return promql_text(swap(root, call, better))


def guarded(root: nodes.Node, ratio: nodes.Binary) -> str:
    """The same alert, only while there is at least a little traffic."""
    return f"{promql_text(root)} and {promql_text(ratio.rhs)} > 0.1"


def swap(node: nodes.Node, old: nodes.Node, new: nodes.Node) -> nodes.Node:
    """The tree with one node exchanged."""
    if node is old:
        return new
    changed: dict[str, Any] = {}
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, nodes.Node):
            changed[item.name] = swap(value, old, new)
        elif isinstance(value, tuple) and value and isinstance(value[0], nodes.Node):
            changed[item.name] = tuple(swap(one, old, new) for one in value)
    return replace(node, **changed)


def unplaced(node: nodes.Node) -> nodes.Node:
    """The tree without its positions in the text: equal when the meaning is written the same way."""
    changed: dict[str, Any] = {"position": 1}
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, nodes.Node):
            changed[item.name] = unplaced(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], nodes.Node):
            changed[item.name] = tuple(unplaced(one) for one in value)
    return replace(node, **changed)


def verdict(node: nodes.Binary) -> str:
    """never_fires or always_fires when the comparison needs no data to be decided, else empty."""
    compared = comparison(node)
    if compared is None:
        return ""
    left, operator, limit = compared
    if not (isinstance(left, nodes.Call) and left.name in NEVER_NEGATIVE):
        return ""
    if limit < 0 or (limit == 0 and operator in ("<", ">=")):
        return {"<": "never_fires", "<=": "never_fires", "==": "never_fires"}.get(operator, "always_fires")
    return ""


def series_text(selector: nodes.Selector) -> str:
    """The selector as a name for people."""
    name = next((one.value for one in selector.matchers if one.name == METRIC_NAME and one.op is MatchOp.EQUAL), "")
    rest: tuple[Matcher, ...] = tuple(one for one in selector.matchers if one.name != METRIC_NAME)
    return format_series(labels(name)) if not rest else promql_text(selector)
