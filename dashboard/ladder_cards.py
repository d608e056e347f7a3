"""A degradation ladder: the level that is served now, how it is entered and left, and whether its time fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import link_history, widgets
from dashboard.context import Caller


def card(caller: Caller, ladder: Mapping[str, Any]) -> Any:
    words, level = caller.words, ladder["level"]
    name = ladder["levels"][level]["name"] if level is not None else words("link.unknown")
    colour = "gray" if level is None else "teal" if level == 0 else "orange"
    return widgets.card(
        widgets.facts(
            [
                (words("ladder.time"), time_of(caller, ladder)),
                (words("ladder.dwell"), words.seconds(ladder["dwell_seconds"])),
                (words("action.mode"), words.word("mode", ladder["mode"])),
            ]
        ),
        levels(caller, ladder),
        html.Div(words("ladder.history"), className="wk-strong"),
        link_history.switches(caller, ladder["history"], "ladder.history"),
        title=words("ladder.title", name=ladder["ladder"]),
        aside=widgets.badge(words("ladder.now", level=name), colour),
    )


def time_of(caller: Caller, ladder: Mapping[str, Any]) -> str:
    words = caller.words
    whole = words.seconds(ladder["time_seconds"])
    if ladder["budget_seconds"] is None:
        return words("ladder.no_budget", whole=whole)
    return words("ladder.budget", whole=whole, budget=words.seconds(ladder["budget_seconds"]))


def levels(caller: Caller, ladder: Mapping[str, Any]) -> Any:
    words = caller.words
    head = [words(f"ladder.{name}") for name in ("level", "timeout", "enter", "leave")]
    return widgets.table(
        head,
        [
            [
                html.Span(f"{row['place']} · {row['name']}", className="wk-strong"),
                words.seconds(row["timeout_seconds"]),
                condition(caller, row["enter"], row["entered"]),
                condition(caller, row["leave"], row["left"]),
            ]
            for row in ladder["levels"]
        ],
        numeric=(1,),
    )


def condition(caller: Caller, expr: str, holds: bool | None) -> Any:
    words = caller.words
    if not expr:
        return words("ladder.best")
    key = {True: "holds", False: "holds_not", None: "unknown"}[holds]
    colour = {True: "orange", False: "gray", None: "yellow"}[holds]
    return html.Div([html.Code(expr, className="wk-series"), widgets.badge(words(f"ladder.{key}"), colour)])
