"""PromQL of one environment as PromQL of another: label matchers alone are rewritten, and the tree proves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from rules.shapes import unplaced
from watchkeeper.errors import QueryError
from watchkeeper.model import Matcher, MatchOp
from watchkeeper.promql import nodes, parse
from watchkeeper.promql.positions import TOKEN

from .step import Step

LABEL = "environment"
#: Functions that can write the label, by what no matcher says.
WRITERS = ("label_replace", "label_join")


def belongs(expr: str, environment: str) -> bool:
    """A selector asks for series of this environment and of no other."""
    return any(_only(matcher, environment) for matcher in _matchers(parse(expr)))


def moved(expr: str, step: Step) -> str:
    """The same expression for the environment promoted to; layout and comments stay.

    Raises QueryError when a matcher or a function speaks of environments in a way that has no certain counterpart.
    """
    tree = parse(expr)
    for matcher in _matchers(tree):
        if not _only(matcher, step.source):
            raise QueryError(
                f'{LABEL}{matcher.op}"{matcher.value}" is not {LABEL}="{step.source}" alone: what it means in '
                f"{step.target} is for a person to say; write that rule by hand"
            )
    for call in nodes.walk(tree):
        if isinstance(call, nodes.Call) and call.name in WRITERS and nodes.Text(value=LABEL) in map(_bare, call.args):
            raise QueryError(f"{call.name} of {LABEL} cannot be promoted by itself; write that rule by hand")
    text = "".join(_pieces(expr, step))
    if unplaced(parse(text)) != unplaced(_for(tree, step)):
        raise QueryError("cannot be rewritten with certainty; write that rule by hand")
    return text


def _bare(node: nodes.Node) -> nodes.Node:
    return replace(node, position=1)


def _matchers(tree: nodes.Node) -> Iterator[Matcher]:
    for node in nodes.walk(tree):
        if isinstance(node, nodes.Selector):
            yield from (matcher for matcher in node.matchers if matcher.name == LABEL)


def _only(matcher: Matcher, environment: str) -> bool:
    """Names of environments are plain words: as a pattern each means itself."""
    return matcher.op in (MatchOp.EQUAL, MatchOp.REGEX) and matcher.value == environment


def _pieces(expr: str, step: Step) -> Iterator[str]:
    """The text in pieces, with the value of every matcher of the environment exchanged."""
    before: list[str] = []  # of the selector that is open: its words, without blanks and comments
    depth = 0
    for token in TOKEN.finditer(expr):
        piece = token.group()
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if token["string"] and depth and _names_environment(before):
            yield f"{piece[0]}{step.target}{piece[-1]}"
        else:
            yield piece
        if not depth or piece in "{,":
            before = []
        elif piece.strip() and not token["comment"]:
            before.append(piece)


def _names_environment(before: list[str]) -> bool:
    """``environment =`` or ``"environment" = ~`` stands before a value."""
    return len(before) > 1 and before[0].strip("\"'`") == LABEL and before[1:] in (["="], ["=", "~"])


def _for(node: nodes.Node, step: Step) -> nodes.Node:
    """The tree that the rewritten text must have."""
    changed: dict[str, Any] = {}
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, nodes.Node):
            changed[item.name] = _for(value, step)
        elif isinstance(value, tuple) and value and isinstance(value[0], nodes.Node):
            changed[item.name] = tuple(_for(one, step) for one in value)
    if isinstance(node, nodes.Selector):
        changed["matchers"] = tuple(
            replace(one, value=step.target) if one.name == LABEL else one for one in node.matchers
        )
    return replace(node, **changed)
