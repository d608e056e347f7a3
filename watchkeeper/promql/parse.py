"""PromQL text to nodes. promql-parser checks grammar and types; this file turns its answer into our own tree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, Matcher, MatchOp
from watchkeeper.promql import nodes
from watchkeeper.promql.arithmetic import evaluate, is_constant
from watchkeeper.promql.histograms.binary import TRIMS
from watchkeeper.promql.histograms.counts import asks_counts, marked
from watchkeeper.promql.matching import matches
from watchkeeper.promql.positions import Positions
from watchkeeper.promql.rewrite import EMPTY_LABEL, MODE_LABEL, Rewritten, rewrite
from watchkeeper.promql.strings import broken_strings

#: Distinct queries kept parsed. Rules and dashboards repeat a few hundred.
CACHE_SIZE = 4096
MATCH_OPS = {
    "Equal": MatchOp.EQUAL,
    "NotEqual": MatchOp.NOT_EQUAL,
    "Re": MatchOp.REGEX,
    "NotRe": MatchOp.NOT_REGEX,
}
BEFORE_1970 = re.compile(r"@\s*-")
COMPARISONS = ("==", "!=", "<", ">", "<=", ">=")
#: A query longer than this, or with more brackets and operators, is refused. The parser overflows the stack of a
#: thread from some 3,000 nested operators on; what people and rule files write has below a hundred.
MOST_CHARACTERS, MOST_NESTED = 1 << 20, 1500
TOO_DEEP = 'invalid parameter "query": the expression is too long or too deeply nested'
STRING = re.compile(r"""\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*""")  # and comments
NESTS = re.compile(r"[(\[+\-*/%^=<>!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
MS = timedelta(milliseconds=1)
#: What the parser says of a selector that could match every series.
NEEDS_MATCHER = "vector selector must contain at least one non-empty matcher"


@lru_cache(maxsize=CACHE_SIZE)
def parse(expr: str) -> nodes.Node:
    """The query as a tree. Raises QueryError (bad_data) naming what is wrong."""
    import promql_parser  # loaded with the first query, so that importing this package stays light

    _check_size(expr)
    try:
        if BEFORE_1970.search(STRING.sub("", expr)):
            return _parse_newer(expr, "a time before 1970")
        try:
            tree = promql_parser.parse(expr)
        except ValueError as error:
            return _parse_newer(expr, str(error))
        return _marked(_Converter(expr, Rewritten(expr)).convert(tree))
    except RecursionError:
        raise QueryError(TOO_DEEP) from None


def is_newer(expr: str) -> bool:
    """The query is right, and uses a construct that promql-parser does not know."""
    import promql_parser  # see parse()

    try:
        parse(expr)
    except QueryError:
        return False
    try:
        promql_parser.parse(expr)
    except ValueError:
        return True
    return False


def _check_size(expr: str) -> None:
    """The parser is recursive and native: too deep a query would end the whole process, not raise an error."""
    if len(expr) > MOST_CHARACTERS or sum(1 for _ in NESTS.finditer(STRING.sub("", expr))) > MOST_NESTED:
        raise QueryError(TOO_DEEP)


def _parse_newer(expr: str, said: str) -> nodes.Node:
    """A query the parser refuses may use constructs it does not know yet."""
    import promql_parser  # see parse()

    rewritten = rewrite(expr, empty=NEEDS_MATCHER in said)
    try:
        tree = promql_parser.parse(rewritten.text)
    except ValueError:
        raise QueryError(f'invalid parameter "query": parse error: {said}') from None
    node = _Converter(expr, rewritten).convert(tree)
    _check_matchers(node)
    return _marked(node)


def _marked(node: nodes.Node) -> nodes.Node:
    return marked(node) if asks_counts(node) else node


def _check_matchers(node: nodes.Node) -> None:
    """Only the second argument of info() may select by nothing."""
    free = {
        call.args[1]
        for call in nodes.walk(node)
        if isinstance(call, nodes.Call) and call.name == "info" and call.args[1:]
    }
    for selector in nodes.walk(node):
        if isinstance(selector, nodes.Selector) and selector not in free and all(_accepts_empty(selector.matchers)):
            raise QueryError(f'invalid parameter "query": parse error: {NEEDS_MATCHER}')


def _accepts_empty(matchers: Sequence[Matcher]) -> list[bool]:
    return [matches(matcher, [""])[0] for matcher in matchers]


def selectors(expr: str) -> list[tuple[tuple[Matcher, ...], timedelta, timedelta]]:
    """(matchers, range, offset) of every selector in the query; range is 0 for an instant selector.

    A subquery adds its own range and offset to those of what it holds.
    """
    found = []
    for matchers, window, offset in _selectors(parse(expr), 0.0, 0.0):
        found.append((matchers, timedelta(milliseconds=window), timedelta(milliseconds=offset)))
    return found


def reach(expr: str) -> timedelta:
    """How far back the answer looks: the longest range and offset in the query. 0 for instant selectors."""
    return max((window + offset for _, window, offset in selectors(expr)), default=timedelta())


def metric_names(expr: str) -> list[str]:
    """Metric names the query asks for by equality, sorted, each once."""
    names = {
        matcher.value
        for node in nodes.walk(parse(expr))
        if isinstance(node, nodes.Selector)
        for matcher in node.matchers
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL
    }
    return sorted(names)


def _selectors(node: nodes.Node, window: float, offset: float) -> list[tuple[tuple[Matcher, ...], float, float]]:
    if isinstance(node, nodes.Selector):
        return [(node.matchers, window, offset + node.offset.ms)]
    if isinstance(node, nodes.Range):
        return _selectors(node.selector, window + node.range.ms, offset)
    if isinstance(node, nodes.Subquery):
        return _selectors(node.expr, window + node.range.ms, offset + node.offset.ms)
    return [found for child in nodes.children(node) for found in _selectors(child, window, offset)]


class _Converter:
    """One walk over the parser's tree, in the order of the text, so that calls meet their positions."""

    def __init__(self, expr: str, rewritten: Rewritten) -> None:
        self._positions, self._expressions = Positions(expr), rewritten.expressions
        self._comparisons, self._moments = iter(rewritten.comparisons), rewritten.moments
        self._broken = broken_strings(expr)

    def convert(self, tree: Any) -> nodes.Node:
        convert = getattr(self, f"_{type(tree).__name__.lower()}")
        node: nodes.Node = convert(tree)
        return node

    def _parenexpr(self, tree: Any) -> nodes.Node:
        return self.convert(tree.expr)

    def _numberliteral(self, tree: Any) -> nodes.Node:
        value, position = float(tree.val), self._positions.number()
        return nodes.Number(value=value, position=self._positions.sign(position) if value < 0 else position)

    def _stringliteral(self, tree: Any) -> nodes.Node:
        return nodes.Text(value=self._broken.get(tree.val, tree.val))

    def _unaryexpr(self, tree: Any) -> nodes.Node:
        inner = self.convert(tree.expr)
        return nodes.Negate(expr=inner, position=self._positions.sign(inner.position))

    def _vectorselector(self, tree: Any) -> nodes.Selector:
        if tree.matchers.or_matchers:
            raise QueryError('"or" between label matchers is not PromQL; use a regular expression')
        matchers = [Matcher(one.name, MATCH_OPS[word(one.op)], one.value) for one in tree.matchers.matchers]
        mode = next((matcher.value for matcher in matchers if matcher.name == MODE_LABEL), "")
        matchers = [matcher for matcher in matchers if matcher.name not in (MODE_LABEL, EMPTY_LABEL)]
        if tree.name is not None:
            matchers.insert(0, Matcher(METRIC_NAME, MatchOp.EQUAL, tree.name))
        position = self._positions.selector(tree.name)
        return nodes.Selector(
            matchers=tuple(matchers),
            offset=self._duration(tree.offset),
            at=self._at(tree),
            position=position,
            mode=mode,
        )

    def _matrixselector(self, tree: Any) -> nodes.Node:
        selector = self._vectorselector(tree.vector_selector)
        window = self._duration(tree.range)
        if window.ms <= 0 and not window.expression:
            raise QueryError("duration must be greater than 0")
        return nodes.Range(selector=selector, range=window, position=selector.position)

    def _subqueryexpr(self, tree: Any) -> nodes.Node:
        expr = self.convert(tree.expr)
        step = None if not tree.step else self._duration(tree.step)
        return nodes.Subquery(
            expr=expr,
            range=self._duration(tree.range),
            step=step,
            offset=self._duration(tree.offset),
            at=self._at(tree),
            position=expr.position,
        )

    def _binaryexpr(self, tree: Any) -> nodes.Node:
        lhs, modifier = self.convert(tree.lhs), tree.modifier
        op = str(tree.op)
        if op in COMPARISONS:
            op = next(self._comparisons, "") or op
        rhs = self.convert(tree.rhs)
        if op in TRIMS and isinstance(lhs, nodes.Number) and isinstance(rhs, nodes.Number):
            raise QueryError(f'operator "{op}" is not defined between two numbers')
        return nodes.Binary(
            op=op,
            lhs=lhs,
            rhs=rhs,
            bool=modifier is not None and modifier.return_bool,
            matching=_matching(modifier),
            position=lhs.position,
        )

    def _aggregateexpr(self, tree: Any) -> nodes.Node:
        position = self._positions.call(str(tree.op))
        param = None if tree.param is None else self.convert(tree.param)
        modifier = tree.modifier
        return nodes.Aggregate(
            op=str(tree.op),
            expr=self.convert(tree.expr),
            param=param,
            without=modifier is not None and word(modifier.type) == "Without",
            labels=() if modifier is None else tuple(modifier.labels),
            position=position,
        )

    def _call(self, tree: Any) -> nodes.Node:
        position = self._positions.call(tree.func.name)
        return nodes.Call(name=tree.func.name, args=self._arguments(tree.args), position=position)

    def _duration(self, value: timedelta | None) -> nodes.Duration:
        ms = 0.0 if value is None else value / MS
        expression = self._expressions.get(round(abs(ms)))
        if expression is None:
            return nodes.Duration(ms=ms)
        if is_constant(expression):
            return nodes.Duration(ms=evaluate(expression, {}) * 1000)
        return nodes.Duration(expression=expression)

    def _at(self, tree: Any) -> nodes.At | None:
        at = at_of(tree)
        if at is None or at.time_ms not in self._moments:
            return at
        return nodes.At(kind="at", time_ms=self._moments[at.time_ms])

    def _arguments(self, args: Sequence[Any]) -> tuple[nodes.Node, ...]:
        return tuple(self.convert(arg) for arg in args)


def word(value: Any) -> str:
    """The bare name of one of the parser's enumeration values."""
    return str(value).rpartition(".")[2]


def at_of(tree: Any) -> nodes.At | None:
    try:
        value = tree.at
        if value is None:
            return None
        if word(value.type) != "At":
            return nodes.At(kind=word(value.type).lower())
        return nodes.At(kind="at", time_ms=round(value.at.timestamp() * 1000))
    except (ValueError, OverflowError):
        pass
    except BaseException as error:  # the native parser panics before 1970, which no handler of Exception sees
        if type(error).__name__ != "PanicException":
            raise
    raise QueryError("the time of the @ modifier must be between 1970 and the year 9999")


def _matching(modifier: Any) -> nodes.Matching:
    if modifier is None:
        return nodes.Matching()
    groups = {"ManyToOne": "left", "OneToMany": "right"}
    fill = modifier.fill_values
    return nodes.Matching(
        on=modifier.matching is not None and word(modifier.matching.type) == "Include",
        labels=() if modifier.matching is None else tuple(modifier.matching.labels),
        group=groups.get(word(modifier.card), ""),
        include=tuple(modifier.group_labels or ()),
        fill_left=None if fill is None else fill.lhs,
        fill_right=None if fill is None else fill.rhs,
    )
