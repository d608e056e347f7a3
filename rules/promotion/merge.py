"""Promoted rules put into what a file has already; nothing different is overwritten unasked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rules.fields import as_text

from .promote import ACTING

Rows = list[dict[str, Any]]


@dataclass(slots=True)
class Merge:
    data: dict[str, Any]
    conflicts: list[str] = field(default_factory=list)  #: rules there that differ; ``data`` has them replaced


def merge(there: Mapping[str, Any] | None, promoted: Mapping[str, Any]) -> Merge:
    """``there``: the file's content, which is not changed. What it has alone stays, in its order."""
    answer = Merge({**(there or {})})
    if "groups" in promoted:
        answer.data["groups"] = _groups(answer.data.get("groups") or [], promoted["groups"], answer.conflicts)
    for key in ACTING:
        if key in promoted:
            answer.data[key] = _acting(answer.data.get(key) or [], promoted[key], answer.conflicts)
    return answer


def _groups(there: Rows, promoted: Rows, conflicts: list[str]) -> Rows:
    found = {as_text(group["name"]): group for group in there}
    for group in promoted:
        before = found.get(group["name"])
        found[group["name"]] = group if before is None else _group(before, group, conflicts)
    return [*found.values()]


def _group(before: Mapping[str, Any], group: dict[str, Any], conflicts: list[str]) -> dict[str, Any]:
    name = group["name"]
    heads = [{key: value for key, value in one.items() if key != "rules"} for one in (before, group)]
    if heads[0] != heads[1]:
        conflicts.append(f"group {name} (interval, labels and the like)")
    rules = dict(_keyed(before.get("rules") or []))
    for key, rule in _keyed(group["rules"]):
        if rules.get(key, rule) != rule:
            conflicts.append(f"{key[1]} in group {name}")
        rules[key] = rule
    return {**heads[1], "rules": [*rules.values()]}


def _keyed(rules: Rows) -> Iterator[tuple[tuple[str, str, int], dict[str, Any]]]:
    """Rules by kind, name and which of that name it is, as their keys in the engine have it."""
    counts: dict[tuple[str, str], int] = {}
    for rule in rules:
        kind = "alert" if "alert" in rule else "record"
        named = (kind, as_text(rule[kind]))
        counts[named] = counts.get(named, 0) + 1
        yield (*named, counts[named]), rule


def _acting(there: Rows, promoted: Rows, conflicts: list[str]) -> Rows:
    """A rule that differs by its mode alone keeps the mode that a person gave it there."""
    found = {as_text(rule["name"]): rule for rule in there}
    for rule in promoted:
        before = found.get(rule["name"])
        if before is not None and {**before, "mode": ""} == {**rule, "mode": ""}:
            continue
        if before is not None:
            conflicts.append(as_text(rule["name"]))
        found[rule["name"]] = rule
    return [*found.values()]
