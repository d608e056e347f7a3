"""A dual link's providers: how good each is from 0 to 100, what costs it points, and what it costs an hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller
from dashboard.i18n import Words

#: Below these a score is poor, and bad.
POOR, BAD = 90.0, 60.0


def providers(caller: Caller, link: Mapping[str, Any]) -> Any:
    words = caller.words
    if not link["providers"]:
        return widgets.quiet(words("link.not_rated"))
    names = [part["name"] for part in link["providers"][0]["components"]]
    head = [words(f"link.{name}") for name in ("provider", "score", "cost")]
    rows = [
        [provider(words, one), score(words, one), cost(words, link, one["side"])]
        + [part(words, one, each) for each in one["components"]]
        for one in link["providers"]
    ]
    head += [words(f"link.part.{name}") for name in names]
    return html.Div([widgets.table(head, rows, numeric=tuple(range(1, len(head)))), widgets.quiet(words("link.how"))])


def cost(words: Words, link: Mapping[str, Any], side: str) -> str:
    """Money an hour, as declared; nothing declared is not known."""
    found = link["costs"][side]
    return words("link.per_hour", cost=words.number(found)) if any(link["costs"].values()) else words("link.unknown")


def provider(words: Words, one: Mapping[str, Any]) -> Any:
    return html.Div(
        [html.Div(one["provider"], className="wk-strong"), widgets.quiet(words(f"link.side.{one['side']}"))]
    )


def score(words: Words, one: Mapping[str, Any]) -> Any:
    if one["score"] is None:
        return html.Div([widgets.badge(words("link.unknown")), html.Div(missing(words, one), className="wk-line")])
    colour = "teal" if one["score"] >= POOR else "orange" if one["score"] >= BAD else "red"
    worst = words("link.worst", part=words(f"link.part.{one['worst']}")) if one["worst"] else words("link.nothing_lost")
    return html.Div([widgets.badge(words.number(one["score"], 1), colour), html.Div(worst, className="wk-line")])


def missing(words: Words, one: Mapping[str, Any]) -> str:
    """Which parts were not measured."""
    names = [words(f"link.part.{part['name']}") for part in one["components"] if part["score"] is None]
    return words("link.missing", parts=" · ".join(names))


def part(words: Words, one: Mapping[str, Any], each: Mapping[str, Any]) -> Any:
    """The points this part costs, and what was measured."""
    if each["score"] is None:
        return words("link.unknown")
    lost = words("link.lost", points=words.number(each["lost"], 1), most=words.number(100 * each["weight"], 0))
    return html.Div([html.Div(lost), html.Div(measured(words, each["name"], one["observed"]), className="wk-line")])


def measured(words: Words, name: str, seen: Mapping[str, Any]) -> str:
    if name == "success":
        return words("link.seen.success", ratio=words.ratio(seen["success_ratio"]))
    if name == "latency":
        return words("link.seen.latency", took=words.seconds(seen["latency_p95_seconds"]))
    if name == "freshness":
        return words("link.seen.freshness", age=words.seconds(seen["last_good_age_seconds"]))
    errors = sum((seen["errors"] or {}).values())
    return words("link.seen.errors", errors=words.number(errors, 0), probes=words.number(seen["probes"], 0))
