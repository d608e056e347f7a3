"""Prometheus rule files as they stand, plus our keys ``remediations`` and ``ladders``, read whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from watchkeeper.config.yaml import AsWritten, Document, parse, read
from watchkeeper.model import Ladder, RemedyRule

from .book import DEFAULT_INTERVAL, AlertRule, Group, RecordRule, Rule, RuleBook
from .fields import Fields
from .ladders import read_ladder
from .remedies import read_remedy

METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
GROUP_KEYS = ("name", "interval", "limit", "query_offset", "labels", "rules", "partial_response_strategy")
ALERT_KEYS = ("alert", "expr", "for", "keep_firing_for", "labels", "annotations")
RECORD_KEYS = ("record", "expr", "labels")
PACKS = Path(__file__).parent / "packs"


def pack_paths(names: Iterable[str]) -> list[Path]:
    """Files of the shipped packs by name: default, host, signals, self."""
    return [PACKS / f"{name}.yaml" for name in names]


def load(paths: Iterable[Path], *, interval: timedelta = DEFAULT_INTERVAL) -> RuleBook:
    """All files as one book. Any mistake raises ConfigError with its place, and the caller keeps the old book."""
    return assemble([read(path, environment=AsWritten()) for path in paths], interval=interval)


def load_text(text: str, file: str = "rules.yaml", *, interval: timedelta = DEFAULT_INTERVAL) -> RuleBook:
    """As ``load``, from text: what a page or a test holds in its hands."""
    return assemble([parse(text.encode(), file, environment=AsWritten())], interval=interval)


def assemble(documents: Iterable[Document], *, interval: timedelta) -> RuleBook:
    groups: list[Group] = []
    remedies: list[RemedyRule] = []
    ladders: list[Ladder] = []
    files: list[str] = []
    for document in documents:
        files.append(document.file)
        if document.data is None:
            continue
        root = Fields(document, document.data, ())
        root.known("groups", "remediations", "ladders")
        groups += _groups(root, interval, {group.name for group in groups})
        own, steps = _remedies(root, {remedy.name for remedy in remedies})
        remedies += steps
        ladders += own
    return RuleBook(groups=tuple(groups), remedies=tuple(remedies), ladders=tuple(ladders), files=tuple(files))


def _groups(root: Fields, interval: timedelta, elsewhere: set[str]) -> list[Group]:
    found: list[Group] = []
    seen: set[str] = set()
    for index, data in enumerate(root.items("groups")):
        fields = Fields(root.document, data, ("groups", index))
        fields.known(*GROUP_KEYS)
        name = fields.text("name")
        if not name or name in seen:
            raise fields.error("a group needs a name of its own in this file", "name")
        seen.add(name)
        # Prometheus allows the same group name in two files; keys must still differ
        found.append(_group(fields, name, interval, qualify=name in elsewhere))
    return found


def _group(fields: Fields, name: str, interval: timedelta, *, qualify: bool) -> Group:
    chosen = fields.duration("interval", interval) or interval
    shared = fields.labels("labels", templates=False)
    prefix = f"{Path(fields.document.file).name}:{name}" if qualify else name
    counts: dict[str, int] = {}
    rules: list[Rule] = []
    for index, data in enumerate(fields.items("rules")):
        rule = Fields(fields.document, data, (*fields.path, "rules", index))
        own = rule.text("alert", "") or rule.text("record", "")
        counts[own] = counts.get(own, 0) + 1
        key = f"{prefix}/{own}" + (f"#{counts[own]}" if counts[own] > 1 else "")
        rules.append(_rule(rule, key, shared))
    return Group(
        name=prefix,
        file=fields.document.file,
        rules=tuple(rules),
        interval=chosen,
        limit=fields.number("limit"),
        query_offset=fields.duration("query_offset"),
        labels=shared,
        line=fields.line,
    )


def _rule(fields: Fields, key: str, shared: dict[str, str]) -> Rule:
    is_alert, is_record = "alert" in fields.data, "record" in fields.data
    if is_alert == is_record:
        raise fields.error("a rule has either 'alert' or 'record'; write exactly one of them")
    if is_alert:
        fields.known(*ALERT_KEYS)
        return AlertRule(
            name=fields.text("alert"),
            expr=fields.promql("expr"),
            hold=fields.duration("for"),
            keep_firing_for=fields.duration("keep_firing_for"),
            labels={**shared, **fields.labels("labels", templates=True)},
            annotations=fields.templates("annotations"),
            key=key,
            line=fields.line,
        )
    for name in ("for", "keep_firing_for", "annotations"):
        if name in fields.data:
            raise fields.error("belongs to alerting rules only; remove it", name)
    fields.known(*RECORD_KEYS)
    metric = fields.text("record")
    if not METRIC.fullmatch(metric):
        raise fields.error(f"{metric!r} is not a metric name; use letters, digits, _ and :", "record")
    return RecordRule(
        name=metric,
        expr=fields.promql("expr"),
        labels={**shared, **fields.labels("labels", templates=False)},
        key=key,
        line=fields.line,
    )


def _remedies(root: Fields, elsewhere: set[str]) -> tuple[list[Ladder], list[RemedyRule]]:
    found: list[RemedyRule] = []
    found_ladders: list[Ladder] = []
    for index, data in enumerate(root.items("remediations")):
        remedy = read_remedy(Fields(root.document, data, ("remediations", index)))
        if remedy.name in elsewhere:
            raise root.error("another remediation has this name; names must differ", "remediations", index, "name")
        elsewhere.add(remedy.name)
        found.append(remedy)
    for index, data in enumerate(root.items("ladders")):
        ladder, steps = read_ladder(Fields(root.document, data, ("ladders", index)))
        if elsewhere & {step.name for step in steps}:
            raise root.error("another remediation has this name; names must differ", "ladders", index, "name")
        elsewhere |= {step.name for step in steps}
        found += steps
        found_ladders.append(ladder)
    return found_ladders, found
