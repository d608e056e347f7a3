"""Parts of the page Changes: the calendar of the next days, and what runs in which environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import widgets
from dashboard.context import Caller
from dashboard.marks import web

#: Colour of what is going on now.
COLOURS = {"freeze": "orange", "window": "teal"}
COLUMNS = ("from", "until", "what", "service", "environment", "title_column", "state")
#: Rows of the calendar.
MOST = 40


def cards(caller: Caller, data: Mapping[str, Any]) -> list[Any]:
    """Those that have something to say."""
    parts = (("calendar", planned), ("versions", versions))
    return [
        widgets.card(draw(caller, data[name]), title=caller.words(f"changes.{name}"))
        for name, draw in parts
        if data[name]
    ]


def planned(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    """What is planned, frozen and allowed in the next days."""
    words = caller.words
    lines = [
        [
            words.moment(row["start"]),
            words.moment(row["end"]),
            words(f"changes.calendar.{row['what']}"),
            row["service"],
            row["environment"],
            html.A(row["title"], href=row["link"], rel="noreferrer") if web(row["link"]) else row["title"],
            widgets.row(*_badges(caller, row)),
        ]
        for row in rows[:MOST]
    ]
    return widgets.table([words(f"changes.{name}") for name in COLUMNS], lines)


def _badges(caller: Caller, row: Mapping[str, Any]) -> list[Any]:
    words, found = caller.words, []
    if row["now"]:
        found.append(widgets.badge(words("changes.calendar.now"), COLOURS.get(row["what"], "blue")))
    if row["wrong"]:
        found.append(widgets.badge(words(f"changes.order.{row['wrong']}"), "orange"))
    return found


def versions(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    """What runs in which environment, software above configuration; a column for each environment."""
    words = caller.words
    names = sorted({name for row in rows for name in (*row["versions"], *row["configurations"])})
    spoken = [name or words("changes.no_environment") for name in names]
    lines = [
        [html.Span(row["service"], className="wk-strong"), *(_version(row, name) for name in names), _same(caller, row)]
        for row in rows
    ]
    return widgets.table([words("changes.service"), *spoken, words("changes.state")], lines)


def _version(row: Mapping[str, Any], environment: str) -> Any:
    software, configuration = (row[name].get(environment, "")[:12] for name in ("versions", "configurations"))
    return html.Div([html.Div(software, className="wk-strong"), widgets.quiet(configuration)])


def _same(caller: Caller, row: Mapping[str, Any]) -> Any:
    word, colour = ("differ", "orange") if row["differ"] else ("same", "teal")
    return widgets.badge(caller.words(f"changes.versions.{word}"), colour)
