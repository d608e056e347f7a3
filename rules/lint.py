"""Rules that are valid and still wrong: a rate sold as a percentage, a quantile per instance, an alert nobody owns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from watchkeeper.promql import metric_names, nodes, parse

from . import shapes
from .alerts import DEFAULT_SEVERITIES
from .book import AlertRule, Group, RuleBook
from .findings import Finding, Level
from .ladder import ladders
from .lint_remedies import remediation

Found = Iterator[tuple[Level, str, dict[str, str], str]]  #: level, code, parameters, proposal
#: Functions that count happenings in a window.
EVENTS = frozenset({"increase", "delta", "changes", "resets"})

Check = Callable[[AlertRule, nodes.Node], Found]


def lint(
    book: RuleBook, *, known_metrics: Collection[str] | None = None, severities: Collection[str] = ()
) -> list[Finding]:
    """All findings, in the order of the files. ``known_metrics``: names there are, to find rules that see nothing."""
    found: list[Finding] = []
    for group, rule in book.rules():
        node = parse(rule.expr)
        if isinstance(rule, AlertRule):
            for check in CHECKS:
                found += [_finding(group, rule, *one) for one in check(rule, node)]
            found += [_finding(group, rule, *one) for one in _severity(rule, severities)]
        if known_metrics is not None:
            written = {one.name for _, one in book.rules()} | {"ALERTS", "ALERTS_FOR_STATE"}
            missing = [name for name in metric_names(rule.expr) if name not in known_metrics and name not in written]
            found += [_plain(group.file, rule.key, rule.line, "absent_metric", metric=name) for name in missing]
    found += _duplicates(book)
    found += ladders(book)
    for remedy in book.remedies:
        found += list(remediation(remedy))
    return found


def _finding(
    group: Group, rule: AlertRule, level: Level, code: str, parameters: dict[str, str], proposal: str
) -> Finding:
    return Finding(
        rule=rule.key, level=level, code=code, parameters=parameters, proposal=proposal, file=group.file, line=rule.line
    )


def _plain(file: str, rule: str, line: int, code: str, level: Level = Level.WARNING, **parameters: str) -> Finding:
    return Finding(rule=rule, level=level, code=code, parameters=parameters, file=file, line=line)


# --- one alerting rule ---------------------------------------------------------------------------------------------


def _rate_as_percentage(rule: AlertRule, node: nodes.Node) -> Found:
    if not any(mark in text for text in rule.annotations.values() for mark in ("%", "百分", "percent")):
        return
    compared = shapes.comparison(node)
    if compared is None or compared[1] not in (">", ">=") or not 0 < compared[2] < 1:
        return
    left, operator, limit = compared
    if shapes.is_rate(left):
        parameters = {"limit": shapes.number(limit), "seconds": shapes.number(round(1 / limit, 3))}
        yield Level.WARNING, "rate_as_percentage", parameters, shapes.as_ratio(left, operator, limit)


def _quantile_without_le(_rule: AlertRule, node: nodes.Node) -> Found:
    for call in nodes.walk(node):
        if isinstance(call, nodes.Call) and call.name == "histogram_quantile" and len(call.args) == 2:
            inner = call.args[1]
            if isinstance(inner, nodes.Call) and inner.name in shapes.RATES:
                yield Level.WARNING, "quantile_without_le", {}, shapes.with_sum_by_le(node, call)
                return


def _ratio_without_guard(_rule: AlertRule, node: nodes.Node) -> Found:
    compared = shapes.comparison(node)
    if compared is None or not isinstance(compared[0], nodes.Binary) or compared[0].op != "/":
        return
    ratio = compared[0]
    if shapes.is_rate(ratio.lhs) and shapes.is_rate(ratio.rhs):
        yield Level.WARNING, "ratio_without_traffic_guard", {}, shapes.guarded(node, ratio)


def _annotations(rule: AlertRule, _node: nodes.Node) -> Found:
    if not rule.annotations.get("runbook_url"):
        yield Level.WARNING, "no_runbook", {}, ""
    if not rule.annotations.get("summary"):
        yield Level.WARNING, "no_summary", {}, ""


def _severity(rule: AlertRule, severities: Collection[str]) -> Found:
    word = rule.labels.get("severity", "")
    known = {"P0", "P1", "P2", "P3", *DEFAULT_SEVERITIES, *severities}
    if not word:
        yield Level.WARNING, "no_severity", {}, ""
    elif "{{" not in word and word not in known and word.lower() not in known:
        yield Level.WARNING, "unknown_severity", {"severity": word}, ""


def _no_for(rule: AlertRule, node: nodes.Node) -> Found:
    compared = shapes.comparison(node)
    if rule.hold or compared is None or compared[1] in ("==", "!="):
        return
    if compared[2] == 0 and any(isinstance(one, nodes.Call) and one.name in EVENTS for one in nodes.walk(node)):
        return  # something happened or it did not: nothing to wait for
    if not any(isinstance(one, nodes.Call) and one.name.endswith("_over_time") for one in nodes.walk(node)):
        yield Level.WARNING, "no_for", {}, "for: 2m"


def _constant(_rule: AlertRule, node: nodes.Node) -> Found:
    for part in nodes.walk(node):
        if isinstance(part, nodes.Binary) and part.op in shapes.COMPARISONS and not part.bool:
            verdict = shapes.verdict(part)
            if verdict:
                yield Level.ERROR, verdict, {"comparison": shapes.short(part)}, ""


CHECKS: tuple[Check, ...] = (
    _rate_as_percentage,
    _quantile_without_le,
    _ratio_without_guard,
    _annotations,
    _no_for,
    _constant,
)


# --- across rules --------------------------------------------------------------------------------


def _duplicates(book: RuleBook) -> list[Finding]:
    seen: dict[tuple[str, nodes.Node, tuple[tuple[str, str], ...]], str] = {}
    found: list[Finding] = []
    for group, rule in book.alert_rules():
        same = (rule.name, shapes.unplaced(parse(rule.expr)), tuple(sorted(rule.labels.items())))
        if same in seen:
            found.append(_plain(group.file, rule.key, rule.line, "duplicate", other=seen[same]))
        seen.setdefault(same, rule.key)
    return found
