"""Remediations that are valid and still cannot be trusted: one witness only, a symptom that cannot go, no way back."""

from __future__ import annotations

from collections.abc import Iterator

from watchkeeper.model import RemedyRule
from watchkeeper.model.action import Mode
from watchkeeper.promql import nodes, parse

from . import shapes
from .findings import Finding, Level

Reason = tuple[str, Level, dict[str, str]]  #: code, level, parameters
#: Words of parameters that take traffic away from somebody who stays as he is.
LEADS_AWAY = frozenset({"drain", "maint", "away_from"})
#: Aggregates whose value is that of the worst of their series.
WORST_OF = frozenset({"min", "max", "topk", "bottomk"})
#: How names begin that replicas alone tell, by the action that makes a primary of one: then nobody tells them.
OF_REPLICAS = {
    "redis_sentinel": ("redis_master_", "redis_slave_"),
    "mysql": ("mysql_slave_status_",),
}


def remediation(rule: RemedyRule) -> Iterator[Finding]:
    """What is to be said of one rule, in the order of a reader."""
    for check in (_whole, _witnesses, _symptom, _silence, _size, _way_back):
        for code, level, parameters in check(rule):
            yield Finding(rule=rule.name, level=level, code=code, parameters=parameters, file=rule.file, line=rule.line)


def _whole(rule: RemedyRule) -> Iterator[Reason]:
    if not rule.verify:
        yield "remedy_no_verify", Level.ERROR, {}
    if not rule.owner:
        yield "remedy_no_owner", Level.WARNING, {}
    if not rule.target:
        yield "remedy_no_target", Level.ERROR, {}


def _witnesses(rule: RemedyRule) -> Iterator[Reason]:
    """Why the rule and its observers are not two that can be believed."""
    if not rule.observers and not rule.link:
        yield "remedy_no_observer", Level.WARNING, {}
    asked = shapes.unplaced(parse(rule.when))
    for name, expr in rule.observers.items():
        if shapes.unplaced(parse(expr)) == asked:
            yield "remedy_same_observer", Level.WARNING, {"observer": name}
    if _anybody(rule.when) and any(map(_anybody, rule.observers.values())):
        yield "remedy_any_target", Level.WARNING, {}


def _anybody(expr: str) -> bool:
    """True when series of any target count: job and instance alone are set by us, whatever a target says."""
    return any(not {matcher.name for matcher in part.matchers} & {"job", "instance"} for part in _selectors(expr))


def _selectors(expr: str) -> list[nodes.Selector]:
    return [part for part in nodes.walk(parse(expr)) if isinstance(part, nodes.Selector)]


def _symptom(rule: RemedyRule) -> Iterator[Reason]:
    """Who is led away from stays as bad as he was: a symptom that asks about him too cannot go."""
    if not rule.verify or not (rule.link or LEADS_AWAY & rule.parameters.keys()):
        return
    for asked in _one_by_one(parse(rule.verify)):
        if any(set(asked.matchers) < set(bad.matchers) for bad in _selectors(rule.when)):
            yield "remedy_verify_stays", Level.WARNING, {"selector": shapes.short(shapes.unplaced(asked))}


def _silence(rule: RemedyRule) -> Iterator[Reason]:
    """What falls silent by the action never proves that the symptom is gone."""
    for asked in _selectors(rule.verify) if rule.verify else ():
        names = [each.value for each in asked.matchers if each.name == "__name__"]
        if any(name.startswith(OF_REPLICAS.get(rule.action, ())) for name in names):
            yield "remedy_verify_silent", Level.WARNING, {"selector": shapes.short(shapes.unplaced(asked))}


def _one_by_one(node: nodes.Node) -> Iterator[nodes.Selector]:
    """Selectors of which a single bad series makes the whole bad."""
    if isinstance(node, nodes.Selector):
        yield node
    if isinstance(node, nodes.Aggregate) and node.op not in WORST_OF:
        return
    for child in nodes.children(node):
        yield from _one_by_one(child)


def _size(rule: RemedyRule) -> Iterator[Reason]:
    """Two members at once are more than a tenth of most pools."""
    if not rule.link and "ready" in rule.parameters and LEADS_AWAY & rule.parameters.keys():
        yield "remedy_switch_no_link", Level.WARNING, {}


def _way_back(rule: RemedyRule) -> Iterator[Reason]:
    if rule.rollback == "none":
        yield "remedy_no_rollback", Level.WARNING, {}
    if rule.mode is Mode.AUTO:
        yield "remedy_auto", Level.WARNING, {}
