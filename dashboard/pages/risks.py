"""Who behaves otherwise than usual: users, addresses, machines and services by risk, with reasons and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "risks"
COLOURS = {"block": "red", "step_up": "orange", "allow": "teal"}
COLUMNS = ("entity", "kind", "service", "risk", "advice", "reasons", "last_seen")
RECORD = ("at", "entity", "kind", "before", "after", "risk", "reasons")
#: Rows of each table.
MOST = 100


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [widgets.page_head(caller, KEY), widgets.waiting("risks-body"), widgets.ticking(caller, KEY)],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("risks-body", "children"),
        Input("risks-tick", "n_intervals"),
        blank=([],),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        return [body(caller, await caller.get("/api/wk/security/entities", limit=MOST))]


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    stamp = widgets.as_of(caller, caller.now())
    if not data["enabled"]:
        return html.Div([stamp, widgets.empty(caller, "risks.off")])
    known = [(words(f"risks.kind.{kind}"), words.number(count, 0)) for kind, count in data["known"].items()]
    standing = table(caller, data["entities"]) if data["entities"] else widgets.empty(caller, KEY, colour="teal")
    parts = [stamp, widgets.card(widgets.facts(known), title=words("risks.known")), widgets.card(standing)]
    if data["more"]:
        parts.append(widgets.quiet(words("risks.more", count=data["more"])))
    if data["advised"]:
        parts.append(widgets.card(record(caller, data["advised"]), title=words("risks.record")))
    return html.Div(parts, className="wk-stack")


def table(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    lines = [
        [
            html.Span(row["entity"], className="wk-strong"),
            words(f"risks.kind.{row['kind']}"),
            row["service"],
            words.number(row["risk"], 0),
            _advice(caller, row["advice"]),
            reasons(caller, row["reasons"]),
            words.moment(row["last_seen"]),
        ]
        for row in rows
    ]
    return widgets.table([words(f"risks.{name}") for name in COLUMNS], lines, numeric=(3,))


def record(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """What was advised, newest first, as the audit has it."""
    words = caller.words
    lines = [
        [
            words.moment(row["at"]),
            html.Span(row["entity"], className="wk-strong"),
            words(f"risks.kind.{row['kind']}"),
            _advice(caller, row["before"]),
            _advice(caller, row["after"]),
            words.number(row["risk"], 0),
            reasons(caller, [{**one, "detail": one} for one in row["reasons"]]),
        ]
        for row in rows
    ]
    return widgets.table([words(f"risks.{name}") for name in RECORD], lines, numeric=(5,))


def reasons(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """A line each, with its points."""
    return html.Div([html.Div(f"{sentence(caller, one)} ({one['points']:.0f})") for one in rows], className="wk-said")


def sentence(caller: Caller, row: Mapping[str, Any]) -> str:
    """Why, with its figures."""
    said: str = caller.words(f"risks.reason.{row['reason']}", **row["detail"])
    return said


def _advice(caller: Caller, advice: str) -> Any:
    return widgets.badge(caller.words(f"risks.advice.{advice}"), COLOURS[advice]) if advice else ""


PAGE = Page(key=KEY, path="/risks", area="realtime", layout=layout, register=register)
