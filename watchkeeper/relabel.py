"""Prometheus's relabelling: rules over a set of labels, in order; None when a rule does not want it.

The meaning is Prometheus 3's (``model/relabel``): expressions are RE2 and anchored at both ends, ``$1`` and ``${name}``
are Go's, an empty value is no label, ``hashmod`` takes the last eight bytes of MD5.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict
from pydantic.dataclasses import dataclass

from watchkeeper.errors import QueryError
from watchkeeper.model import Labels
from watchkeeper.promql.functions.label_text import replace
from watchkeeper.promql.matching import fullmatch

ANYTHING, WHOLE, SEPARATOR = "(.*)", "$1", ";"
#: Texts whose answer of one expression is remembered; pages repeat the same values a thousand times.
REMEMBERED = 65_536

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_TEMPLATE = re.compile(r"(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+\Z", re.ASCII)

Action = Literal[
    "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase",
    "uppercase",
]  # fmt: skip
#: YAML reads 9100 as a number where a text is meant.
Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]


def _small(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Rule:
    """One entry of ``relabel_configs``."""

    source_labels: list[str] = field(default_factory=list)
    separator: Text = SEPARATOR
    regex: Text = ANYTHING
    modulus: int = 0
    target_label: str = ""
    replacement: Text = WHOLE
    action: Annotated[Action, BeforeValidator(_small)] = "replace"

    def __post_init__(self) -> None:
        action, target = self.action, self.target_label
        if action == "hashmod" and self.modulus <= 0:
            raise ValueError("action hashmod needs a modulus above 0")
        if action in ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"):
            pattern = _TEMPLATE if action == "replace" and "$" in target else _NAME
            if not target:
                raise ValueError(f"action {action} needs target_label")
            if not pattern.match(target):
                raise ValueError(f"{target!r} is no target_label for action {action}")
        if action == "labelmap" and not _TEMPLATE.match(self.replacement):
            raise ValueError(f"{self.replacement!r} is no replacement for action labelmap")
        self._check_needless()
        try:
            _matches(self.regex, "")
        except QueryError as error:
            raise ValueError(f"regex {self.regex!r}: {error}") from None

    def _check_needless(self) -> None:
        """Fields that an action would not look at are a mistake of its author."""
        plain = (self.modulus, self.separator, self.replacement) == (0, SEPARATOR, WHOLE)
        if self.action in ("lowercase", "uppercase") and self.replacement != WHOLE:
            raise ValueError(f"action {self.action} takes no replacement")
        if self.action in ("keepequal", "dropequal") and not (plain and self.regex == ANYTHING):
            raise ValueError(f"action {self.action} takes only source_labels and target_label")
        if self.action in ("labeldrop", "labelkeep") and not (
            plain and not self.source_labels and not self.target_label
        ):
            raise ValueError(f"action {self.action} takes only regex")


def relabel(series: Labels, rules: Iterable[Rule]) -> Labels | None:
    """The labels after all rules, sorted; None when one of them dropped the series."""
    found = relabel_map(dict(series), rules)
    return None if found is None else tuple(sorted(found.items()))


def relabel_map(labels: Mapping[str, str], rules: Iterable[Rule]) -> dict[str, str] | None:
    """As ``relabel``, over a mapping."""
    current = {name: value for name, value in labels.items() if value}
    for rule in rules:
        if not _apply(rule, current):
            return None
    return current


def _apply(rule: Rule, labels: dict[str, str]) -> bool:
    """Change the labels; False when they are not wanted."""
    if rule.action in ("labelmap", "labeldrop", "labelkeep"):
        _over_names(rule, labels)
        return True
    text = rule.separator.join([labels.get(name, "") for name in rule.source_labels])
    if rule.action in ("keep", "drop"):
        return _matches(rule.regex, text) is (rule.action == "keep")
    if rule.action in ("keepequal", "dropequal"):
        return (labels.get(rule.target_label, "") == text) is (rule.action == "keepequal")
    if rule.action == "replace":
        _replace(rule, labels, text)
    else:
        _set(labels, rule.target_label, _changed(rule, text))
    return True


def _changed(rule: Rule, text: str) -> str:
    if rule.action == "hashmod":
        digest = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
        return str(int.from_bytes(digest[8:], "big") % rule.modulus)
    return text.lower() if rule.action == "lowercase" else text.upper()


def _replace(rule: Rule, labels: dict[str, str], text: str) -> None:
    if not _matches(rule.regex, text):
        return
    target = _expand(rule.regex, text, rule.target_label)
    if _NAME.match(target):
        _set(labels, target, _expand(rule.regex, text, rule.replacement))


def _over_names(rule: Rule, labels: dict[str, str]) -> None:
    hits = {name: _matches(rule.regex, name) for name in labels}
    for name, value in list(labels.items()):
        if rule.action == "labelmap" and hits[name]:
            _set(labels, _expand(rule.regex, name, rule.replacement), value)
        elif rule.action != "labelmap" and hits[name] is (rule.action == "labeldrop"):
            del labels[name]


def _set(labels: dict[str, str], name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


@lru_cache(maxsize=REMEMBERED)
def _matches(pattern: str, text: str) -> bool:
    return pattern == ANYTHING or fullmatch(pattern, [text])[0]


@lru_cache(maxsize=REMEMBERED)
def _expand(pattern: str, text: str, template: str) -> str:
    if "$" not in template:
        return template
    if pattern == ANYTHING and template == WHOLE:
        return text
    return replace([text], pattern, template)[0] or ""
