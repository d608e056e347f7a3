"""Trees back to PromQL, for proposals."""

from __future__ import annotations

from datetime import timedelta

from watchkeeper.model import METRIC_NAME, MatchOp
from watchkeeper.promql import format_duration, format_value, nodes

#: Binding strength of binary operators, weakest first.
STRENGTH = {"or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, ">": 3, "<": 3, ">=": 3, "<=": 3, "+": 4, "-": 4,
            "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6}  # fmt: skip


def promql_text(node: nodes.Node) -> str:
    """The expression as one would write it."""
    match node:
        case nodes.Number():
            return format_value(node.value)
        case nodes.Text():
            return '"' + node.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case nodes.Selector():
            return _selector(node, "")
        case nodes.Range():
            return _selector(node.selector, f"[{_span(node.range)}]")
        case nodes.Subquery():
            step = "" if node.step is None else _span(node.step)
            return f"{_wrapped(node.expr)}[{_span(node.range)}:{step}]{_moved(node.offset, node.at)}"
        case nodes.Negate():
            return f"-{_wrapped(node.expr)}"
        case nodes.Binary():
            return _binary(node)
        case nodes.Aggregate():
            return _aggregate(node)
        case nodes.Call():
            return f"{node.name}({', '.join(map(promql_text, node.args))})"
    raise TypeError(f"{type(node).__name__} has no text")


def _span(duration: nodes.Duration) -> str:
    return duration.expression or format_duration(timedelta(milliseconds=duration.ms))


def _moved(offset: nodes.Duration, at: nodes.At | None) -> str:
    text = ""
    if at is not None:
        text += f" @ {at.time_ms / 1000:.3f}" if at.kind == "at" else f" @ {at.kind}()"
    if offset.ms or offset.expression:
        text += f" offset {_span(offset)}"
    return text


def _selector(node: nodes.Selector, window: str) -> str:
    name, pairs = "", []
    for one in node.matchers:
        if one.name == METRIC_NAME and one.op is MatchOp.EQUAL and not name:
            name = one.value
        else:
            value = one.value.replace("\\", "\\\\").replace('"', '\\"')
            pairs.append(f'{one.name}{one.op}"{value}"')
    braces = "{" + ",".join(pairs) + "}" if pairs or not name else ""
    return f"{name}{braces}{window}{_moved(node.offset, node.at)}"


def _wrapped(node: nodes.Node) -> str:
    text = promql_text(node)
    return f"({text})" if isinstance(node, nodes.Binary | nodes.Negate) else text


def _binary(node: nodes.Binary) -> str:
    own = STRENGTH.get(node.op, 3)

    def side(child: nodes.Node, *, right: bool) -> str:
        weak = isinstance(child, nodes.Binary) and STRENGTH.get(child.op, 3) < own + right
        return f"({promql_text(child)})" if weak else promql_text(child)

    words = [node.op]
    if node.bool:
        words.append("bool")
    matching = node.matching
    if matching.on or matching.labels:
        words.append(f"{'on' if matching.on else 'ignoring'} ({', '.join(matching.labels)})")
    if matching.group:
        words.append(f"group_{matching.group} ({', '.join(matching.include)})")
    return f"{side(node.lhs, right=False)} {' '.join(words)} {side(node.rhs, right=True)}"


def _aggregate(node: nodes.Aggregate) -> str:
    inner = promql_text(node.expr) if node.param is None else f"{promql_text(node.param)}, {promql_text(node.expr)}"
    if not node.labels and not node.without:
        return f"{node.op}({inner})"
    return f"{node.op} {'without' if node.without else 'by'} ({', '.join(node.labels)}) ({inner})"
