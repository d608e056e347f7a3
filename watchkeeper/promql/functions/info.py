"""info(): the data labels of info metrics joined to a vector by ``instance`` and ``job``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.errors import QueryError
from watchkeeper.model import METRIC_NAME, Labels, Matcher, MatchOp, format_series, label, metric_name
from watchkeeper.model.series import BoolArray, FloatArray
from watchkeeper.promql import nodes, select
from watchkeeper.promql.block import Block, concat
from watchkeeper.promql.context import Context
from watchkeeper.promql.functions import base
from watchkeeper.promql.matching import matches
from watchkeeper.promql.merge import SAME_LABELSET, unite

#: The labels an info series shares with the series it describes (info.go).
IDENTIFYING = ("instance", "job")
DEFAULT_NAME = Matcher(METRIC_NAME, MatchOp.EQUAL, "target_info")
#: What a selector with only negative name matchers chooses from.
ANY_INFO = Matcher(METRIC_NAME, MatchOp.REGEX, ".+_info")

Key = tuple[str, ...]
Winners = npt.NDArray[np.intp]


def _info(evaluator: base.Evaluator, context: Context, call: nodes.Call) -> Block:
    block = base.vector(evaluator, context, call)
    wanted = call.args[1].matchers if len(call.args) > 1 and isinstance(call.args[1], nodes.Selector) else ()
    names = [matcher for matcher in wanted if matcher.name == METRIC_NAME] or [DEFAULT_NAME]
    if all(matcher.op in (MatchOp.NOT_EQUAL, MatchOp.NOT_REGEX) for matcher in names):
        names.append(ANY_INFO)
    data = [matcher for matcher in wanted if matcher.name != METRIC_NAME]
    own = _matching_names(names, block.series)
    plain, rest = block.rows(np.flatnonzero(own)), block.rows(np.flatnonzero(~own))
    infos, times = _fetch(context, reference(call.args[0]), rest, [*names, *data])
    winners = _winners(infos, times)
    enriched = [_enriched(rest.rows(np.array([i])), infos, winners, data) for i in range(len(rest))]
    return unite(concat([plain, *enriched], context.steps), SAME_LABELSET)


def _matching_names(matchers: Sequence[Matcher], series: Sequence[Labels]) -> BoolArray:
    """Which series are info series themselves."""
    values = sorted({metric_name(one) for one in series})
    fits = dict.fromkeys(values, True)
    for matcher in matchers:
        for value, fit in zip(values, matches(matcher, values), strict=True):
            fits[value] = fits[value] and fit
    return np.array([fits[metric_name(one)] for one in series], dtype=np.bool_)


def reference(node: nodes.Node) -> nodes.Selector:
    """A selector without matchers that looks where the first selector of the argument looks."""
    offset, at = 0.0, None
    while True:
        inner = node.selector if isinstance(node, nodes.Range) else node
        if isinstance(inner, nodes.Selector | nodes.Subquery):
            offset, at = (inner.offset.ms, inner.at) if inner.at else (offset + inner.offset.ms, at)
        below = nodes.children(inner)
        found = next(
            (child for child in below if any(isinstance(one, nodes.Selector) for one in nodes.walk(child))), None
        )
        if found is None:
            return nodes.Selector(matchers=(), offset=nodes.Duration(ms=offset), at=at)
        node = found


def _fetch(
    context: Context, where: nodes.Selector, block: Block, matchers: Sequence[Matcher]
) -> tuple[Block, FloatArray]:
    """The info series that may belong to the block's series, with the times of their samples."""
    identity = []
    for name in IDENTIFYING:
        values = sorted({label(series, name) for series in block.series} - {""})
        if values:
            identity.append(Matcher(name, MatchOp.REGEX, "|".join(re.escape(value) for value in values)))
    if not identity:
        return Block((), np.empty((0, context.steps)), np.empty((0, context.steps), bool), np.empty(0, bool)), np.empty(
            (0, context.steps)
        )
    node = nodes.Selector(matchers=(*matchers, *identity), offset=where.offset, at=where.at)
    infos, times = select.lookup(context, node)
    if infos.histograms is not None and (infos.present & ~infos.is_float()).any():
        raise QueryError("this should be an info metric, with float samples", kind="execution")
    return infos, times


def _key(series: Labels) -> Key:
    return tuple(label(series, name) for name in IDENTIFYING)


def _winners(infos: Block, times: FloatArray) -> dict[Key, list[Winners]]:
    """For each identity and each info metric: the row with the newest sample per step, -1 where there is none."""
    rows: dict[tuple[Key, str], list[int]] = {}
    for i, series in enumerate(infos.series):
        rows.setdefault((_key(series), metric_name(series)), []).append(i)
    found: dict[Key, list[Winners]] = {}
    for (key, _), members in rows.items():
        seen = np.where(infos.present[members], times[members], -np.inf)
        best = seen.max(axis=0)
        tied = ((seen == best) & np.isfinite(best)).sum(axis=0) > 1
        if tied.any():
            step = int(np.argmax(tied))
            pair = [
                format_series(infos.series[m]) for m, t in zip(members, seen[:, step], strict=True) if t == best[step]
            ]
            raise QueryError(f"found duplicate series for info metric: {pair[0]}, {pair[1]}", kind="execution")
        winner = np.array(members, dtype=np.intp)[np.argmax(seen, axis=0)]
        found.setdefault(key, []).append(np.where(np.isfinite(best), winner, -1))
    return found


def _enriched(row: Block, infos: Block, winners: dict[Key, list[Winners]], data: Sequence[Matcher]) -> Block:
    """One series with the labels its info series give it; one row for each set of labels over time."""
    series, steps = row.series[0], row.values.shape[1]
    mine = winners.get(_key(series), [])
    chosen = np.array(mine, dtype=np.intp).reshape(len(mine), steps)
    needed = not all(matches(matcher, [""])[0] for matcher in data)
    names = frozenset(matcher.name for matcher in data)
    blocks = []
    for combination in np.unique(chosen, axis=1).T if len(mine) else [np.empty(0, np.intp)]:
        here = row.present & (chosen == combination[:, None]).all(axis=0)
        rows = [int(i) for i in combination if i >= 0]
        if not here.any() or (needed and not rows):
            continue
        labels = _with_data(series, [infos.series[i] for i in rows], names)
        blocks.append(Block([labels], row.values, here, row.drop, row.histograms))
    return concat(blocks, steps)


def _with_data(series: Labels, infos: Sequence[Labels], names: frozenset[str]) -> Labels:
    """The series with the info labels it does not have yet; all of them when no names are given."""
    added: dict[str, str] = {}
    for info in infos:
        for name, value in info:
            if name == METRIC_NAME or (names and name not in names):
                continue
            if added.get(name, value) != value:
                raise QueryError(f"conflicting label: {name}", kind="execution")
            if not label(series, name):
                added[name] = value
    return tuple(sorted([*series, *added.items()]))


INFO: dict[str, base.Handler] = {"info": _info}
