"""The contingency plans in force: shipped, in files and in the configuration, checked against all they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from remediation.contingency import load, pack_paths
from remediation.contingency.load import Known
from watchkeeper.config import Loaded
from watchkeeper.config.plans import Plan, Plans
from watchkeeper.errors import ConfigError, QueryError
from watchkeeper.model import RemedyRule
from watchkeeper.promql import parse


def plans_of(loaded: Loaded, remedies: Iterable[RemedyRule]) -> dict[str, Known]:
    """By name, in order. Raises ConfigError for a plan that names what is not there."""
    section = loaded.config.plans
    own = [
        Known.of(plan, loaded.document.file, loaded.document.line(("plans", "items", index)))
        for index, plan in enumerate(section.items)
    ]
    found: dict[str, Known] = {}
    for known in [*load(pack_paths(section.packs)), *load(_files(loaded)), *own]:
        if known.plan.name in found:
            other = found[known.plan.name]
            raise _error(known, f"another plan has this name, in {other.file}:{other.line}; names must differ")
        found[known.plan.name] = known
    _check_channels(loaded)
    names = {rule.name for rule in remedies}
    for known in found.values():
        _check(known, section, names)
    return found


def _files(loaded: Loaded) -> list[Path]:
    """Every *.yaml and *.yml of the configured folders, in order."""
    return [
        path
        for folder in loaded.config.plans.directories
        for path in sorted((loaded.base / folder).glob("*.y*ml"))
        if path.suffix in (".yaml", ".yml")
    ]


def _check_channels(loaded: Loaded) -> None:
    known = {str(row.get("name", "")) for row in loaded.config.notify.channels}
    for index, audience in enumerate(loaded.config.plans.audiences):
        for name in audience.channels:
            if name not in known:
                place = ("plans", "audiences", index, "channels")
                raise loaded.document.error(f"there is no channel {name!r}", place)


def _check(known: Known, section: Plans, rules: set[str]) -> None:
    plan = known.plan
    vendors = {one.name for one in section.vendors}
    audiences = {one.name for one in section.audiences}
    for step in plan.steps:
        if step.rule and step.rule not in rules:
            raise _error(
                known, f"step {step.name}: there is no remediation rule {step.rule!r}; write it in a rule file"
            )
        if step.vendor and step.vendor not in vendors:
            raise _error(known, f"step {step.name}: there is no vendor {step.vendor!r}; add it to plans.vendors")
    for notice in plan.notices:
        if notice.audience not in audiences:
            raise _error(known, f"there is no audience {notice.audience!r}; add it to plans.audiences")
    for place, expr in _expressions(plan).items():
        try:
            parse(expr)
        except QueryError as error:
            raise _error(known, f"{place}: {error}") from None


def _expressions(plan: Plan) -> Mapping[str, str]:
    found = {"recovery.symptom": plan.recovery.symptom}
    found |= {f"step {step.name}: when": step.when for step in plan.steps}
    found |= {f"evidence.queries[{number}]": one.query for number, one in enumerate(plan.evidence.queries)}
    return {place: expr for place, expr in found.items() if expr or place.startswith("evidence")}


def _error(known: Known, message: str) -> ConfigError:
    return ConfigError(f"plan {known.plan.name}: {message}", file=known.file, line=known.line)
