"""A query as text, laid out as Prometheus does, and as the tree its clients draw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from watchkeeper.errors import QueryError
from watchkeeper.promql.parse import at_of, parse, word
from watchkeeper.promql.result import format_value

MS = timedelta(milliseconds=1)
OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
CARDS = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}
#: What makes a value a condition.
CONDITIONS = (">", "<", ">=", "<=", "==", "!=", "and", "unless")
SETS = ("and", "or", "unless")


def format_query(expr: str) -> str:
    """The query with Prometheus's spacing and line breaks. Raises QueryError.

    What only the newest language has stays as it was written.
    """
    parse(expr)
    tree = _native(expr)
    return expr.strip() if tree is None else str(tree.prettify())


def measured(expr: str) -> str:
    """What a rule's condition measures: the left side of its comparisons; the whole where it compares nothing."""
    found = _native(expr)
    while found is not None and type(found).__name__ == "BinaryExpr" and str(found.op) in CONDITIONS:
        found = found.lhs
        while type(found).__name__ == "ParenExpr":
            found = found.expr
    return expr.strip() if found is None else str(found)


def tree(expr: str) -> dict[str, Any]:
    """The query as Prometheus's /api/v1/parse_query shows it. Raises QueryError."""
    parse(expr)
    found = _native(expr)
    if found is None:
        raise QueryError("the tree of anchored, smoothed, duration expressions and empty info() selectors is not drawn")
    return _node(found)


def _native(expr: str) -> Any:
    """The parser's own tree, which keeps brackets; None for constructs that it does not know."""
    import promql_parser  # as heavy as parse() says

    try:
        return promql_parser.parse(expr)
    except ValueError:
        return None


def _node(tree: Any) -> dict[str, Any]:
    write: Callable[[Any], dict[str, Any]] = WRITERS[type(tree).__name__]
    return write(tree)


def _aggregate(tree: Any) -> dict[str, Any]:
    modifier = tree.modifier
    return {
        "type": "aggregation",
        "op": str(tree.op),
        "expr": _node(tree.expr),
        "param": None if tree.param is None else _node(tree.param),
        "grouping": [] if modifier is None else list(modifier.labels),
        "without": modifier is not None and word(modifier.type) == "Without",
    }


def _binary(tree: Any) -> dict[str, Any]:
    modifier = tree.modifier
    return {
        "type": "binaryExpr",
        "op": str(tree.op),
        "lhs": _node(tree.lhs),
        "rhs": _node(tree.rhs),
        "matching": _matching(tree) if _is_vector(tree.lhs) and _is_vector(tree.rhs) else None,
        "bool": modifier is not None and bool(modifier.return_bool),
    }


def _matching(tree: Any) -> dict[str, Any]:
    modifier = tree.modifier
    plain = {"card": CARDS["ManyToMany" if str(tree.op) in SETS else "OneToOne"], "labels": [], "on": False}
    if modifier is None:
        return {**plain, "include": [], "fillValues": {"lhs": None, "rhs": None}}
    labels, fill = modifier.matching, modifier.fill_values
    return {
        "card": plain["card"] if str(tree.op) in SETS else CARDS[word(modifier.card)],
        "labels": [] if labels is None else list(labels.labels),
        "on": labels is not None and word(labels.type) == "Include",
        "include": list(modifier.group_labels or ()),
        "fillValues": {"lhs": fill and fill.lhs, "rhs": fill and fill.rhs},
    }


def _is_vector(tree: Any) -> bool:
    kind = type(tree).__name__
    if kind in ("ParenExpr", "UnaryExpr"):
        return _is_vector(tree.expr)
    if kind == "BinaryExpr":
        return _is_vector(tree.lhs) or _is_vector(tree.rhs)
    if kind == "Call":
        return word(tree.func.return_type) == "Vector"
    return kind in ("VectorSelector", "AggregateExpr")


def _call(tree: Any) -> dict[str, Any]:
    function = tree.func
    about = {
        "name": function.name,
        "argTypes": [word(one).lower() for one in function.arg_types],
        "variadic": function.variadic,
        "returnType": word(function.return_type).lower(),
    }
    return {"type": "call", "func": about, "args": [_node(one) for one in tree.args]}


def _selector(tree: Any) -> dict[str, Any]:
    matchers = [{"name": one.name, "value": one.value, "type": OPS[word(one.op)]} for one in tree.matchers.matchers]
    if tree.name is not None:
        matchers.append({"name": "__name__", "value": tree.name, "type": "="})
    return {
        "type": "vectorSelector",
        "name": tree.name or "",
        "offset": _ms(tree.offset),
        "matchers": matchers,
        **_moment(tree),
        "anchored": False,
        "smoothed": False,
    }


def _matrix(tree: Any) -> dict[str, Any]:
    return {**_selector(tree.vector_selector), "type": "matrixSelector", "range": _ms(tree.range)}


def _subquery(tree: Any) -> dict[str, Any]:
    return {
        "type": "subquery",
        "expr": _node(tree.expr),
        "range": _ms(tree.range),
        "offset": _ms(tree.offset),
        "step": _ms(tree.step),
        **_moment(tree),
    }


def _moment(tree: Any) -> dict[str, Any]:
    at = at_of(tree)
    if at is None:
        return {"timestamp": None, "startOrEnd": None}
    return {
        "timestamp": at.time_ms if at.kind == "at" else None,
        "startOrEnd": None if at.kind == "at" else at.kind,
    }


def _ms(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration / MS)


def _wrapped(kind: str, **more: str) -> Callable[[Any], dict[str, Any]]:
    return lambda tree: {"type": kind, **more, "expr": _node(tree.expr)}


WRITERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
    "Call": _call,
    "MatrixSelector": _matrix,
    "NumberLiteral": lambda tree: {"type": "numberLiteral", "val": format_value(float(tree.val))},
    "ParenExpr": _wrapped("parenExpr"),
    "StringLiteral": lambda tree: {"type": "stringLiteral", "val": tree.val},
    "SubqueryExpr": _subquery,
    "UnaryExpr": _wrapped("unaryExpr", op="-"),
    "VectorSelector": _selector,
}
