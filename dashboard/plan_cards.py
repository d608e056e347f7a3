"""A plan as people decide on it: what changes from what to what, what it predicts, what speaks against it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller


def difference(caller: Caller, plan: Mapping[str, Any]) -> Any:
    """Every part that changes: as it is, as it will be, and as the way back leaves it."""
    words = caller.words
    before, desired, back = (flat(plan.get(part) or {}) for part in ("before", "desired", "rollback"))
    names = sorted({*desired, *back})
    if not names:
        return widgets.quiet(words("plan.nothing"))
    return widgets.table(
        [words(f"plan.{name}") for name in ("part", "before", "after", "back")],
        [
            [html.Span(name, className="wk-strong"), *(shown(part.get(name)) for part in (before, desired, back))]
            for name in names
        ],
    )


def flat(state: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested states by dotted names."""
    found: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def prediction(caller: Caller, row: Mapping[str, Any]) -> Any:
    """What the plan says will be, beside what was measured afterwards where it was carried out."""
    words = caller.words
    said = dict(row["plan"].get("evidence") or {}).get("prediction")
    if not said:
        return None
    happened = dict(row["progress"]).get("happened") or {}
    measured = {one["metric"]: one for one in happened.get("metrics") or []}
    facts = [
        (words("plan.touched"), ", ".join(said["touched"]) or words("plan.nobody")),
        (words("plan.healthy"), healthy(caller, said, happened)),
        (words("plan.cost"), money(caller, said["cost"])),
        *[(one["metric"], figure(caller, one, measured.get(one["metric"]))) for one in said["metrics"]],
    ]
    if became := row["progress"].get("became"):
        facts.append((words("plan.became"), words(f"plan.became.{became}")))
    elif happened:
        facts.append((words("plan.outcome"), outcome(caller, row["progress"])))
    return html.Div([html.Div(words("plan.prediction"), className="wk-strong"), widgets.facts(facts)])


def healthy(caller: Caller, said: Mapping[str, Any], happened: Mapping[str, Any]) -> str:
    words = caller.words
    expected = words.number(said["healthy_after"], 0)
    if unchecked := said.get("unchecked_after"):
        expected = words("plan.unchecked", known=expected, count=words.number(unchecked, 0))
    found = happened.get("healthy")
    return expected if found is None else words("plan.was", said=expected, found=words.number(found, 0))


def money(caller: Caller, cost: Mapping[str, Any] | None) -> str:
    words = caller.words
    if cost is None:
        return words("plan.cost_unknown")
    change = f"{'+' if cost['change'] >= 0 else '−'}{words.number(abs(cost['change']))}"
    if "before" not in cost:
        return words("plan.cost_change", change=change)
    before, after = words.number(cost["before"]), words.number(cost["after"])
    return words("plan.cost_value", before=before, after=after, change=change)


def figure(caller: Caller, said: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    words = caller.words
    wanted = words(f"plan.sense.{said['sense']}", value=words.number(said["value"]))
    text = words("plan.figure", before=words.number(said["before"]), wanted=wanted)
    if found is None:
        return text
    error = words.ratio(found["error"])
    return f"{text} · {words('plan.measured', value=words.number(found['value']), error=error)}"


def outcome(caller: Caller, progress: Mapping[str, Any]) -> Any:
    words = caller.words
    if "as_predicted" not in progress:
        return words("link.unknown")
    key, colour = ("as_predicted", "teal") if progress["as_predicted"] else ("otherwise", "red")
    return widgets.badge(words(f"safety.{key}"), colour)


def objections(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Everything that speaks against it, not the first alone."""
    if not rows:
        return None
    words = caller.words
    said = [
        html.Li(
            [html.Span(words.gate(row["gate"]), className="wk-strong"), html.Span(f" {words.why(row['reason'])}")],
            className="wk-gate wk-gate-refused",
        )
        for row in rows
    ]
    return html.Div([html.Div(words("plan.objections"), className="wk-strong"), html.Ul(said, className="wk-gates")])


def summary(caller: Caller, row: Mapping[str, Any]) -> Any:
    """The rest of a finished action, unfolded by a click."""
    words = caller.words
    inside = [
        difference(caller, row["plan"]),
        prediction(caller, row),
        objections(caller, dict(row["progress"]).get("objections") or []),
    ]
    parts = [one for one in inside if one is not None]
    return widgets.folded(f"summary {row['id']}", words("plan.details"), *parts)
