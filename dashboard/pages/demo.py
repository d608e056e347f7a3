"""The demo's own page: break something, see what becomes of it, and read what the chat robots were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Input, Output, ctx, dcc, html, no_update

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "demo"


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            widgets.notice(caller.words("demo.made_up"), "blue", title=caller.words("demo.made_up_title")),
            html.Div(id="demo-notice", className="wk-below"),
            widgets.waiting("demo-body"),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("demo-body", "children"),
        Input("demo-tick", "n_intervals"),
        Input("demo-notice", "children"),
    )
    async def refresh(caller: Caller, _ticks: Any, _notice: Any) -> Any:
        return body(caller, await caller.get("/api/wk/demo"))

    def turns(verb: str) -> None:
        @callbacks.callback_for(
            Permission.ACKNOWLEDGE,
            Output("demo-notice", "children", allow_duplicate=True),
            Input({"type": f"demo-{verb}", "name": ALL}, "n_clicks"),
            prevent_initial_call=True,
        )
        async def turn(caller: Caller, clicks: list[Any], *_: Any) -> Any:
            pressed = ctx.triggered_id
            if not any(clicks) or not isinstance(pressed, Mapping):
                return no_update
            await caller.send("POST", f"/api/wk/demo/{verb}", {"name": pressed["name"]})
            fault = caller.words(f"demo.fault.{pressed['name']}")
            return widgets.notice(caller.words(f"demo.done.{verb}", fault=fault), "teal")

    turns("break")
    turns("heal")


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    return html.Div(
        [
            widgets.as_of(caller, data["now"]),
            *[widgets.notice(line, "orange", title=words("demo.missing")) for line in data["missing"]],
            widgets.grid_of([fault(caller, row) for row in data["faults"]], smallest=420),
            widgets.card(chat(caller, data["messages"]), title=words("demo.chat")),
            widgets.quiet(words("demo.seeded", count=words.number(data["seeded_orders"], 0))),
        ],
        className="wk-stack",
    )


def fault(caller: Caller, row: Mapping[str, Any]) -> Any:
    """What it breaks, what to expect, its state, and the way to its incident."""
    words, name, may = caller.words, row["name"], caller.may(Permission.ACKNOWLEDGE)
    turn = "heal" if row["on"] else "break"
    button = dmc.Button(
        words(f"demo.{turn}"), id={"type": f"demo-{turn}", "name": name}, disabled=not may, size="xs",
        color="teal" if row["on"] else "red", variant="light",
    )  # fmt: skip
    return widgets.card(
        html.Div(words(f"demo.what.{name}"), className="wk-text"),
        widgets.quiet(words(f"demo.expect.{name}")),
        widgets.row(_state(caller, row), _incident(caller, row)),
        title=words(f"demo.fault.{name}"),
        aside=button,
    )


def _state(caller: Caller, row: Mapping[str, Any]) -> Any:
    words = caller.words
    if not row["on"]:
        return widgets.badge(words("demo.off"))
    return widgets.badge(words("demo.on", since=words.clock(row["since"]), ends=words.clock(row["ends_at"])), "red")


def _incident(caller: Caller, row: Mapping[str, Any]) -> Any:
    if not row["incident_id"]:
        return widgets.quiet(caller.words("demo.no_incident"))
    state = caller.words.word("state", row["alert_state"])
    text = caller.words("demo.incident", id=row["incident_id"], state=state)
    return dcc.Link(text, href=f"/incidents/{quote(row['incident_id'], safe='')}")


def chat(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """As the robots showed it to people, newest first."""
    if not rows:
        return widgets.empty(caller, "demo.chat")
    words = caller.words
    return html.Div(
        [
            html.Div(
                [
                    widgets.row(
                        widgets.badge(words.word("demo.robot", row["kind"]), "blue"),
                        widgets.quiet(words.moment(row["at"])),
                    ),
                    dcc.Markdown(_lines(row["text"]), link_target="_blank", className="wk-text"),
                ],
                className="wk-item",
            )
            for row in rows
        ]
    )


def _lines(text: str) -> str:
    """Robots show every line as one; plain Markdown would join them."""
    return text.replace("\n", "  \n")


PAGE = Page(key=KEY, path="/demo", area="realtime", layout=layout, register=register)
