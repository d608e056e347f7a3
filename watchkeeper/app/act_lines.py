"""An action in lines for a terminal, in the reader's language; identifiers stay as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from dashboard.i18n import Words

#: The language in which states, gates and reasons are written: they stay word for word.
WRITTEN = "en"


def words_of(language: str) -> Words:
    from watchkeeper.app.explain import words_of as found  # the pages' words are loaded when somebody asks

    return found(language, ZoneInfo("UTC"))


def line(row: Mapping[str, Any], words: Words) -> str:
    """One action. A class that nobody knows yet, because no target is resolved, is told as ``--``."""
    written = words.language == WRITTEN
    state = f"{row['state']:<18}" if written else words.word("state", row["state"])
    risk = row["risk"] if row["targets"] else "--"
    targets, reason = ", ".join(row["targets"]) or "-", words.why(row["reason"])
    return f"{row['id']:<10} {state} {risk} {words('act.on', rule=row['rule'], targets=targets, reason=reason)}"


def described(row: Mapping[str, Any], words: Words) -> list[str]:
    """The plan, its way back, every gate's answer, who said what, and the hash."""
    plan, written = row["plan"], words.language == WRITTEN
    state = row["state"] if written else words.word("state", row["state"])
    lines = [f"{row['id']}  {state}  {row['risk']}  {row['rule']}", f"  {words('act.why')} {words.why(row['reason'])}"]
    lines += [f"  {words('act.target')} {target['kind']}/{target['name']}" for target in plan["targets"]]
    lines += [
        f"  {words('act.change')} {name}: {plan['before'].get(name)} -> {wanted}"
        for name, wanted in plan["desired"].items()
    ]
    lines += [f"  {words('act.back')} {name}: {was}" for name, was in plan["rollback"].items()]
    lines += [_verdict(one, words) for one in row["verdicts"]]
    for one in row["approvals"]:
        said = words(f"act.{one['verdict']}")
        lines.append(f"  {words('act.by', verdict=said, user=one['user'], at=one['at'])}")
    return [*lines, f"  {words('act.needs')} {row['needs']}", f"  {words('act.plan')} {row['plan_hash']}"]


def _verdict(one: Mapping[str, Any], words: Words) -> str:
    passed = words("act.passed") if one["passed"] else words("act.refused")
    gate = one["gate"] if words.language == WRITTEN else words.gate(one["gate"])
    return f"  {passed}  {gate} {words.why(one['reason'])}".rstrip()
