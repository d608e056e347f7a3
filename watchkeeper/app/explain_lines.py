"""What stands before the chain of ``explain``: where it began, what was odd as a whole, which changes came before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboard.i18n import Words


def cause_line(words: Words, place: int, one: Mapping[str, Any]) -> str:
    """A candidate with what speaks for it."""
    seen = [evidence_line(words, each) for each in one["evidence"]]
    seen += [f"{words.word('changes.kind', each['kind'])} {each['title']}" for each in one["changes"]]
    head = words("explain.cause", place=place, service=one["service"], score=words.number(one["score"]))
    if one["explained_by"]:
        share = words.ratio(one["explained"], 0)
        head += f" ({words('incident.causes.explained', share=share, service=one['explained_by'])})"
    return f"{head}: {'; '.join(seen)}"


def evidence_line(words: Words, each: Mapping[str, Any]) -> str:
    """``rate(errors_total) 0 → 3.2``: usual level and the worst of the incident."""
    if each["kind"] == "alert":
        return words("incident.causes.alert", name=each["metric"])
    return f"{each['metric']} {words.number(each['before'])} → {words.number(each['during'])}"


def group_line(words: Words, one: Mapping[str, Any]) -> str:
    """A group that was odd as a whole."""
    seen = [f"{each['metric']} {words.ratio(each['share'], 0)}" for each in one["metrics"]]
    scope = words(f"detection.scope.{one['scope']}")
    head = words("explain.group", scope=scope, name=one["name"], score=words.number(one["score"]))
    return f"{head}: {'; '.join(seen)}"


def change_line(words: Words, change: Mapping[str, Any]) -> str:
    """A change before the incident."""
    version = f" {change['version']}" if change["version"] else ""
    kind = words.word("changes.kind", change["kind"])
    return f"{words.moment(change['start'])}  {kind} {change['id']}  {change['service']}{version}: {change['title']}"
