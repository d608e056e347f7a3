"""Selectors of which only counts and sums are asked: Prometheus reads those without buckets, telling resets itself."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from watchkeeper.promql import nodes
from watchkeeper.promql.histograms.binary import TRIMS

COUNTS = ("histogram_count", "histogram_sum", "histogram_avg")
#: What needs the buckets below it (engine.go, detectHistogramStatsDecoding).
WHOLE = ("histogram_quantile", "histogram_quantiles", "histogram_fraction")


def marked(node: nodes.Node, *, counts: bool = False) -> nodes.Node:
    """The tree with such selectors marked."""
    if isinstance(node, nodes.Selector):
        return replace(node, counts_only=True) if counts else node
    if isinstance(node, nodes.Subquery) or (isinstance(node, nodes.Binary) and node.op in TRIMS):
        return _below(node, counts=False, fixed=True)
    if isinstance(node, nodes.Call) and node.name in WHOLE:
        return _below(node, counts=False, fixed=True)
    return _below(node, counts=counts or (isinstance(node, nodes.Call) and node.name in COUNTS), fixed=False)


def _below(node: nodes.Node, *, counts: bool, fixed: bool) -> nodes.Node:
    """The node with its children marked; ``fixed`` ends the search, as buckets are needed whatever is below."""
    if fixed:
        return node
    changed: dict[str, Any] = {}
    for one in fields(node):
        value = getattr(node, one.name)
        if isinstance(value, nodes.Node):
            changed[one.name] = marked(value, counts=counts)
        elif one.name == "args":
            changed[one.name] = tuple(marked(arg, counts=counts) for arg in value)
    return replace(node, **changed)


def asks_counts(node: nodes.Node) -> bool:
    return any(isinstance(one, nodes.Call) and one.name in COUNTS for one in nodes.walk(node))
