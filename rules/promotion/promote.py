"""What a rule file says for one environment, written for the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rules.fields import as_text
from watchkeeper.config.yaml import Document, Path_
from watchkeeper.errors import QueryError
from watchkeeper.model.action import Mode

from .expression import LABEL, belongs, moved
from .step import Step

#: Where PromQL stands in a rule, a remediation or a ladder; None is any name or place in a list.
PROMQL: tuple[tuple[str | None, ...], ...] = (
    ("expr",), ("when",), ("verify",), ("observers", None), ("guards", None), ("expect", "metric"),
    ("scale", "load"), ("scale", "forecast"), ("scale", "cost", "guard"),
    ("level",), ("levels", None, "enter"), ("levels", None, "leave"),
)  # fmt: skip
#: What is named anew, or told in a note of its own.
NAMES: tuple[Path_, ...] = (("name",), ("target",))
ACTING = ("remediations", "ladders")


@dataclass(slots=True)
class Promotion:
    """``data``: as a rule file has it; ``notes``: what a person has to know or to do."""

    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left: int = 0  #: rules that are not of the environment

    def __len__(self) -> int:
        groups = sum(len(group["rules"]) for group in self.data.get("groups", []))
        return groups + sum(len(self.data.get(key, [])) for key in ACTING)


def promote(document: Document, step: Step, *, group: str = "", targets: Mapping[str, str] | None = None) -> Promotion:
    """Everything of ``step.source`` in a file that loads; ``group``: of this group alone.

    ``targets``: names of targets there by their names here. Raises ConfigError with the place of what has no certain
    counterpart, and when nothing is of that environment.
    """
    found = Promotion()
    groups = [one for one in _groups(document, step, group, found) if one["rules"]]
    if groups:
        found.data["groups"] = groups
    for key in ACTING if not group else ():
        acting = [*_acting(document, step, key, targets or {}, found)]
        if acting:
            found.data[key] = acting
    if not found.data:
        where = f"no rule of group {group}" if group else "no rule"
        signs = f'the label {LABEL}: {step.source} or a matcher {LABEL}="{step.source}"'
        raise document.error(f"{where} is of {step.source}: none has {signs}", ())
    return found


def _groups(document: Document, step: Step, wanted: str, found: Promotion) -> Iterator[dict[str, Any]]:
    for place, group in enumerate((document.data or {}).get("groups") or []):
        if wanted and as_text(group["name"]) != wanted:
            continue
        shared = (group.get("labels") or {}).get(LABEL)
        rules = []
        for index, rule in enumerate(group.get("rules") or []):
            path = ("groups", place, "rules", index)
            if shared == step.source or _is_of(rule, step.source):
                rules.append(_moved(document, rule, path, step, found))
            else:
                found.left += 1
        head = {key: value for key, value in group.items() if key != "rules"}
        if rules:
            head = _moved(document, head, ("groups", place), step, found)
        yield {**head, "name": step.renamed(as_text(group["name"])), "rules": rules}


def _acting(
    document: Document, step: Step, key: str, targets: Mapping[str, str], found: Promotion
) -> Iterator[dict[str, Any]]:
    for place, rule in enumerate((document.data or {}).get(key) or []):
        if not _is_of(rule, step.source):
            found.left += 1
            continue
        moved_rule = _moved(document, rule, (key, place), step, found)
        before, name = rule.get("mode", Mode.DRY_RUN), step.renamed(as_text(rule["name"]))
        target = as_text(rule.get("target") or "")
        moved_rule |= {"name": name, "mode": str(Mode.DRY_RUN)}
        if target in targets:
            moved_rule["target"] = targets[target]
        elif target:
            found.notes.append(
                f"{name}: target {target} stays; is it {step.target}'s? Else write --target {target}=NAME"
            )
        found.notes.append(
            f"{name}: promoted as mode dry_run (in {step.source}: {before}); it only proposes until raised"
        )
        yield moved_rule


def _is_of(rule: Mapping[str, Any], environment: str) -> bool:
    return (rule.get("labels") or {}).get(LABEL) == environment or any(
        belongs(text, environment) for _, text in _promql(rule)
    )


def _moved(document: Document, rule: Mapping[str, Any], base: Path_, step: Step, found: Promotion) -> dict[str, Any]:
    """The rule with its matchers and its label exchanged."""
    seen = [*_promql(rule)]

    def change(path: Path_, value: Any) -> Any:
        if path == ("labels", LABEL):
            return _label(document, as_text(value), (*base, *path), step)
        if _is_promql(path):
            try:
                return moved(as_text(value), step)
            except QueryError as error:
                raise document.error(str(error), (*base, *path)) from None
        if isinstance(value, str) and path not in NAMES and step.mentioned(value):
            found.notes.append(f"{_title(rule)}: {'.'.join(map(str, path))} still says {step.source}; read it again")
        return value

    if seen and not any(belongs(text, step.source) for _, text in seen):
        found.notes.append(
            f"{_title(rule)}: no selector names {LABEL}; it looks at all series of the engine that has it"
        )
    changed: dict[str, Any] = _walked(rule, (), change)
    return changed


def _label(document: Document, value: str, path: Path_, step: Step) -> str:
    if value != step.source and "{{" not in value:
        raise document.error(f"says {value}, but the rule asks for {step.source}; which of the two is it of?", path)
    return step.target if value == step.source else value


def _title(rule: Mapping[str, Any]) -> str:
    return as_text(next(rule[key] for key in ("alert", "record", "name") if key in rule))


def _promql(rule: Mapping[str, Any]) -> Iterator[tuple[Path_, str]]:
    found: list[tuple[Path_, str]] = []

    def take(path: Path_, value: Any) -> Any:
        if _is_promql(path) and value not in (None, ""):
            found.append((path, as_text(value)))
        return value

    _walked(rule, (), take)
    yield from found


def _is_promql(path: Path_) -> bool:
    return any(
        len(path) == len(one) and all(there is None or there == here for there, here in zip(one, path, strict=True))
        for one in PROMQL
    )


def _walked(value: Any, path: Path_, change: Callable[[Path_, Any], Any]) -> Any:
    """A copy in which every scalar is what ``change`` makes of it."""
    if isinstance(value, dict):
        return {key: _walked(item, (*path, key), change) for key, item in value.items()}
    if isinstance(value, list):
        return [_walked(item, (*path, place), change) for place, item in enumerate(value)]
    return change(path, value)
