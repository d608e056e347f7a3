"""Several levels of one quantity are one ladder (table P row 3): a worse level must not have the milder severity."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from watchkeeper.model import Severity
from watchkeeper.promql import nodes, parse

from . import shapes
from .alerts import severity_of
from .book import AlertRule, RuleBook
from .findings import Finding, Level
from .text import promql_text


@dataclass(frozen=True, slots=True)
class _Rung:
    rule: AlertRule
    file: str
    limit: float
    severity: Severity


def ladders(book: RuleBook) -> list[Finding]:
    """A finding for each rung that contradicts another, and a hint where several files judge one quantity."""
    rungs: dict[tuple[nodes.Node, bool], list[_Rung]] = defaultdict(list)
    for group, rule in book.alert_rules():
        compared = shapes.comparison(parse(rule.expr))
        if compared is not None and compared[1] in (">", ">=", "<", "<="):
            left, operator, limit = compared
            rung = _Rung(rule, group.file, limit, severity_of(rule.labels, {}))
            rungs[shapes.unplaced(left), operator[0] == ">"].append(rung)
    found: list[Finding] = []
    for (quantity, rising), steps in rungs.items():
        if len({step.limit for step in steps}) > 1:
            found += _judge(
                promql_text(quantity), sorted(steps, key=lambda step: step.limit if rising else -step.limit)
            )
    return found


def _judge(quantity: str, steps: list[_Rung]) -> list[Finding]:
    found: list[Finding] = []
    for milder, worse in pairwise(steps):
        if worse.limit != milder.limit and worse.severity.rank > milder.severity.rank:
            parameters = {
                "metric": quantity,
                "level": shapes.number(worse.limit),
                "severity": worse.severity.value,
                "other_level": shapes.number(milder.limit),
                "other_severity": milder.severity.value,
            }
            found.append(_finding(worse, Level.ERROR, "ladder_inverted", parameters))
    if len({step.file for step in steps}) > 1:
        levels = ", ".join(f"{shapes.number(step.limit)} {step.severity.value}" for step in steps)
        found.append(_finding(steps[0], Level.WARNING, "same_metric_ladder", {"metric": quantity, "levels": levels}))
    return found


def _finding(step: _Rung, level: Level, code: str, parameters: dict[str, str]) -> Finding:
    return Finding(
        rule=step.rule.key, level=level, code=code, parameters=parameters, file=step.file, line=step.rule.line
    )
