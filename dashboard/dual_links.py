"""Dual links: which side carries the load, how good both providers are from 0 to 100, and what costs them points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller
from dashboard.i18n import Words

#: Below these a score is poor, and bad.
POOR, BAD = 90.0, 60.0


def cards(caller: Caller, links: Sequence[Mapping[str, Any]]) -> list[Any]:
    """A card for each link; none without links."""
    return [card(caller, link) for link in links]


def card(caller: Caller, link: Mapping[str, Any]) -> Any:
    words = caller.words
    names = [part["name"] for part in link["providers"][0]["components"]] if link["providers"] else []
    head = [words(f"link.{name}") for name in ("provider", "score")] + [words(f"link.part.{name}") for name in names]
    rows = [
        [provider(words, one), score(words, one), *(part(words, one, each) for each in one["components"])]
        for one in link["providers"]
    ]
    inside = (
        widgets.table(head, rows, numeric=tuple(range(1, len(head))))
        if rows
        else widgets.quiet(words("link.not_rated"))
    )
    side = widgets.badge(words(f"link.serving.{link['serving']}"), "teal" if link["serving"] == "primary" else "orange")
    return widgets.card(inside, widgets.quiet(words("link.how")), title=words("link.title", name=link["link"]),
                        aside=side)  # fmt: skip


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
