"""Kinds of lines: how often each came, since when, and which lines were unusual; each leads to its lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from dash import Input, Output, dcc, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.permissions import Permission

KEY = "log_kinds"
#: Below the page of lines.
REST = "kinds"
#: Kinds shown, and kinds asked for when one's text is wanted.
MOST = 200
SLOWER = 6.0


def layout(caller: Caller) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY, dcc.Link(caller.words("logs.title"), href="/logs", className="wk-back")),
            widgets.waiting("log_kinds-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ, Output("log_kinds-body", "children"), Input("log_kinds-tick", "n_intervals"), shared=True
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        return body(caller, await caller.get("/api/wk/logs/templates", limit=MOST))


def body(caller: Caller, found: Mapping[str, Any]) -> Any:
    words = caller.words
    if not found["enabled"]:
        return widgets.notice(words("log_kinds.off"), "gray")
    if not found["templates"]:
        return widgets.empty(caller, KEY)
    unusual = found["unusual"]
    return html.Div(
        [
            widgets.as_of(caller, caller.now(), times=SLOWER),
            widgets.card(
                unusual_lines(caller, unusual) if unusual else widgets.quiet(words("log_kinds.nothing_unusual")),
                title=words("log_kinds.unusual"),
            ),
            widgets.card(kinds(caller, found["templates"]), title=words("log_kinds.kinds")),
        ],
        className="wk-stack",
    )


def kinds(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = [words(f"log_kinds.{name}") for name in ("text", "lines", "first_seen", "last_seen")]
    lines = [
        [
            link(row["id"], row["text"]),
            words.number(row["count"], 0),
            words.moment(row["first_seen"]),
            words.moment(row["last_seen"]) if row["last_seen"] else words("log_kinds.before_start"),
        ]
        for row in rows
    ]
    return widgets.table(head, lines, numeric=(1,))


def unusual_lines(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = [words(f"log_kinds.{name}") for name in ("at", "service", "what", "text", "lines")]
    lines = [
        [
            words.moment(row["at"]),
            row["labels"].get("service", ""),
            why(caller, row),
            link(row["template"], row["texts"].get(row["template"], "")),
            words.number(row["lines"], 0),
        ]
        for row in rows
    ]
    return widgets.table(head, lines, numeric=(4,))


def why(caller: Caller, row: Mapping[str, Any]) -> Any:
    """Rare, or what it came behind and what comes there otherwise."""
    if row["why"] == "rare":
        return caller.words("log_kinds.rare")
    texts = row["texts"]
    behind = caller.words("log_kinds.behind", text=texts.get(row["before"], ""))
    usual = caller.words("log_kinds.usual", texts=" | ".join(texts.get(name, "") for name in row["usual"]))
    return html.Div([html.Div(behind), widgets.quiet(usual)])


def link(name: str, text: str) -> Any:
    """Leads to the lines of that kind."""
    return dcc.Link(text or name, href="/logs?" + urlencode({"template": name}), className="wk-mono wk-strong")
