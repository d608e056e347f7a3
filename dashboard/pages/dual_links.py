"""Dual links and ladders: who serves, how good each side is, every switch, what the way back waits for, the pin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html, no_update

from dashboard import ladder_cards, link_cards, link_history, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "dual_links"
#: Button -> side a link is kept on; the last lets it go.
PINS = ("primary", "backup", "free")


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            html.Div(id="dual_links-notice", className="wk-below"),
            html.Div(id="dual_links-names", hidden=True),
            widgets.waiting("dual_links-body"),
            html.Div(id="dual_links-pins", className="wk-body"),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("dual_links-body", "children"),
        Output("dual_links-pins", "children"),
        Output("dual_links-names", "children"),
        Input("dual_links-tick", "n_intervals"),
        Input("dual_links-notice", "children"),
        State("dual_links-names", "children"),
        blank=([], ""),
    )
    async def refresh(caller: Caller, _ticks: Any, _notice: Any, old: str | None) -> Any:
        data = await caller.get("/api/wk/links")
        names = "\n".join(link["link"] for link in data["links"])
        # Fields of the same links stay: somebody may be typing a reason into one.
        return [body(caller, data), no_update if names == old else pins(caller, data["links"]), names]

    @callbacks.callback_for(
        Permission.APPROVE,
        Output("dual_links-notice", "children", allow_duplicate=True),
        Input({"type": "link-pin", "link": ALL, "side": ALL}, "n_clicks"),
        State({"type": "link-reason", "link": ALL}, "value"),
        State({"type": "link-reason", "link": ALL}, "id"),
        prevent_initial_call=True,
    )
    async def pin(caller: Caller, clicks: list[Any], values: list[str | None], ids: list[dict[str, str]]) -> Any:
        pressed = ctx.triggered_id
        if not any(clicks) or not isinstance(pressed, Mapping):
            return no_update
        typed = {one["link"]: value or "" for one, value in zip(ids, values, strict=True)}
        reason = typed.get(pressed["link"], "").strip()
        if not reason:
            return widgets.notice(caller.words("dual_links.reason_needed"), "orange")
        side = "" if pressed["side"] == "free" else pressed["side"]
        path = f"/api/wk/links/{quote(pressed['link'], safe='')}/pin"
        await caller.send("POST", path, {"side": side, "reason": reason})
        return widgets.done(caller, f"dual_links.done.{pressed['side']}")


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    stamp = widgets.as_of(caller, data["now"])
    if not data["links"] and not data["ladders"]:
        return html.Div([stamp, widgets.empty(caller, KEY)], className="wk-stack")
    return html.Div(
        [
            stamp,
            *[card(caller, link) for link in data["links"]],
            *[ladder_cards.card(caller, ladder) for ladder in data["ladders"]],
        ],
        className="wk-stack",
    )


def card(caller: Caller, link: Mapping[str, Any]) -> Any:
    words = caller.words
    side = widgets.badge(words(f"link.serving.{link['serving']}"), "teal" if link["serving"] == "primary" else "orange")
    return widgets.card(
        widgets.grid_of(
            [
                html.Div([html.H3(words("dual_links.now"), className="wk-strong"), link_history.facts(caller, link)]),
                html.Div(
                    [html.H3(words("dual_links.way_back"), className="wk-strong"), link_history.way_back(caller, link)]
                ),
            ],
            smallest=420,
        ),
        link_cards.providers(caller, link),
        html.H3(words("dual_links.history"), className="wk-strong"),
        link_history.switches(caller, link["history"], "dual_links.history"),
        title=words("link.title", name=link["link"]),
        aside=side,
    )


def pins(caller: Caller, links: Sequence[Mapping[str, Any]]) -> Any:
    """A field and three buttons for each link."""
    if not links:
        return None
    words = caller.words
    return widgets.card(
        widgets.quiet(words("dual_links.pin_hint")),
        *[_pin(caller, link["link"]) for link in links],
        title=words("dual_links.pin"),
    )


def _pin(caller: Caller, link: str) -> Any:
    words, may = caller.words, caller.may(Permission.APPROVE)
    return html.Div(
        [
            dmc.TextInput(
                id={"type": "link-reason", "link": link}, label=words("dual_links.reason", name=link),
                disabled=not may, className="wk-reason",
            ),
            *[
                dmc.Button(
                    words(f"dual_links.pin_{side}"), id={"type": "link-pin", "link": link, "side": side},
                    disabled=not may, variant="default",
                )
                for side in PINS
            ],
        ],
        className="wk-query",
    )  # fmt: skip


PAGE = Page(key=KEY, path="/links", area="realtime", layout=layout, register=register)
