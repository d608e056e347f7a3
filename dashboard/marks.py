"""Deeds on charts: what colour each kind has, where it leads, and a legend of those that are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from dash import dcc, html

from dashboard import widgets
from dashboard.context import Caller
from dashboard.figures import Mark
from watchkeeper.clock import to_ms

#: Kind -> colour; told apart by people who see red and green alike.
COLOURS = {
    "deploy": "#8b5cf6", "change": "#e69f00", "config_change": "#e69f00", "patch": "#009e73", "backup": "#56b4e9",
    "restore_drill": "#56b4e9", "load_test": "#cc79a7", "security_finding": "#d55e00", "freeze": "#64748b",
}  # fmt: skip
OTHER = "#64748b"
#: Named below a chart, the newest.
NAMED = 8


def at_ms(row: Mapping[str, Any]) -> float:
    return to_ms(datetime.fromisoformat(row["start"]))


def colour(row: Mapping[str, Any]) -> str:
    return COLOURS.get(row["kind"], OTHER)


def web(link: str) -> bool:
    """Only addresses of the web become links: others could be scripts."""
    return urlsplit(link).scheme in ("https", "http")


def text(caller: Caller, row: Mapping[str, Any]) -> str:
    words = caller.words
    kind = words.word("changes.kind", row["kind"])
    parts = (words.moment(row["start"]), kind, row["title"], row["service"], row["version"][:12])
    return " · ".join(part for part in parts if part)


def of(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> list[Mark]:
    """For Plotly's charts."""
    return [Mark(at_ms(row), text(caller, row), colour(row), place(row)) for row in rows]


def place(row: Mapping[str, Any]) -> str:
    """Where the deed is told of."""
    return str(row["link"]) if web(row["link"]) else "/changes"


def legend(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What the marks stand for, the newest first; nothing without marks."""
    lines = [
        html.Div([html.Span("▼ ", style={"color": colour(row)}), titled(row, text(caller, row))], className="wk-line")
        for row in list(rows)[::-1][:NAMED]
    ]
    more = len(rows) - NAMED
    rest = [widgets.quiet(caller.words("marks.more", count=more))] if more > 0 else []
    return [html.Div([*lines, *rest], className="wk-marks")] if lines else []


def titled(row: Mapping[str, Any], said: str) -> Any:
    """The text as a link to where the deed is told of."""
    return html.A(said, href=row["link"], rel="noreferrer") if web(row["link"]) else dcc.Link(said, href="/changes")
