"""The query as a tree of plain frozen nodes: what the evaluator walks, independent of the parser behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from watchkeeper.model import Matcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    position: int = 1  #: column in the query, from 1: where a warning points


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """The ``@`` modifier: a fixed moment, or the start or end of the query."""

    kind: str  #: at, start or end
    time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Milliseconds, with the parts of a duration expression that only the query's range and step decide."""

    ms: float = 0.0
    expression: str = ""  #: empty for a plain duration; else evaluated per query, see durations.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector(Node):
    matchers: tuple[Matcher, ...]  #: the metric name is the matcher on ``__name__``
    offset: Duration = Duration()
    at: At | None = None
    mode: str = ""  #: empty, anchored or smoothed
    counts_only: bool = False  #: only count and sum of its histograms are asked for, see counts.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Range(Node):
    selector: Selector
    range: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Subquery(Node):
    expr: Node
    range: Duration
    step: Duration | None = None  #: None: the engine's default
    offset: Duration = Duration()
    at: At | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Negate(Node):
    expr: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How the two sides of a binary operator find each other."""

    on: bool = False  #: True: ``labels`` are those compared; False: those ignored
    labels: tuple[str, ...] = ()
    group: str = ""  #: left or right: the "many" side; empty for one to one
    include: tuple[str, ...] = ()  #: labels copied from the "one" side
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Node):
    op: str
    lhs: Node
    rhs: Node
    bool: bool = False  #: comparison answers 0 or 1 instead of filtering
    matching: Matching = field(default_factory=Matching)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(Node):
    op: str
    expr: Node
    param: Node | None = None
    without: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    name: str
    args: tuple[Node, ...]


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order of the text."""
    match node:
        case Range():
            return (node.selector,)
        case Subquery() | Negate():
            return (node.expr,)
        case Binary():
            return (node.lhs, node.rhs)
        case Aggregate():
            return (node.expr,) if node.param is None else (node.param, node.expr)
        case Call():
            return node.args
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)
