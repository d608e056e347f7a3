"""Scaling: how many run, how many would, why, what the next change waits for; advice on tuning and what it brought."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, html, no_update

from dashboard import scale_rules, tuning_cards, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "scaling"
#: Advice looks at an hour: it is asked for again this many refresh intervals apart.
SLOWER = 12.0


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            widgets.waiting("scaling-body"),
            html.Div(id="scaling-tuning", className="wk-body"),
            record_card(caller),
            widgets.ticking(caller, KEY),
            widgets.ticking(caller, "scaling-tuning", times=SLOWER),
        ],
        className="wk-stack",
    )


def record_card(caller: Caller) -> Any:
    """Somebody followed an advice: from then on it is measured whether it helped."""
    words, may = caller.words, caller.may(Permission.ACKNOWLEDGE)
    return widgets.card(
        html.Div(
            [
                dmc.Select(id="scaling-advice", label=words("tuning.choose"), data=[], disabled=not may),
                dmc.TextInput(
                    id="scaling-what", label=words("tuning.what_done"), disabled=not may, className="wk-expr"
                ),
                dmc.Button(words("tuning.record"), id="scaling-record", disabled=not may),
            ],
            className="wk-query",
        ),
        html.Div(id="scaling-notice", className="wk-below"),
        title=words("tuning.record_title"),
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ, Output("scaling-body", "children"), Input("scaling-tick", "n_intervals"), shared=True
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        return body(caller, await caller.get("/api/wk/scaling"))

    @callbacks.callback_for(
        Permission.READ,
        Output("scaling-tuning", "children"),
        Output("scaling-advice", "data"),
        Input("scaling-tuning-tick", "n_intervals"),
        Input("scaling-notice", "children"),
        blank=([],),
        shared=True,
    )
    async def tuning(caller: Caller, _ticks: Any, _recorded: Any) -> Any:
        data = await caller.get("/api/wk/tuning")
        shown = html.Div(tuning_cards.cards(caller, data), className="wk-stack")
        return [shown, tuning_cards.choices(caller, data["advice"])]

    @callbacks.callback_for(
        Permission.ACKNOWLEDGE,
        Output("scaling-notice", "children"),
        Output("scaling-what", "value"),
        Input("scaling-record", "n_clicks"),
        State("scaling-advice", "value"),
        State("scaling-what", "value"),
        prevent_initial_call=True,
    )
    async def record(caller: Caller, _clicks: int, advice: str | None, what: str | None) -> Any:
        if not advice or not (what or "").strip():
            return [widgets.notice(caller.words("tuning.needed"), "orange"), no_update]
        await caller.send("POST", "/api/wk/tuning/applied", {**json.loads(advice), "what": what})
        return [widgets.done(caller, "tuning.done"), ""]


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    parts: list[Any] = [widgets.as_of(caller, data["now"])]
    if data["kill_switch"]["on"]:
        parts.append(widgets.notice(words("scaling.frozen_text"), "red", title=words("scaling.frozen")))
    if not data["pools"]:
        return html.Div([*parts, widgets.empty(caller, KEY)], className="wk-stack")
    return html.Div([*parts, *[pool(caller, one, data) for one in data["pools"]]], className="wk-stack")


def pool(caller: Caller, found: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    words = caller.words
    return widgets.card(
        *warnings(caller, found),
        widgets.facts(
            [
                (words("scaling.running"), words.number(found["running"], 0)),
                (words("scaling.healthy"), words.number(found["healthy"], 0)),
                (words("scaling.bounds"), bounds(caller, found)),
                (words("scaling.read_at"), words.moment(found["read_at"])),
                (words("scaling.of"), ", ".join(found["services"]) or words("link.unknown")),
            ]
        ),
        scale_rules.table(caller, found, frozen=data["kill_switch"]["on"]),
        html.H3(words("scaling.decisions"), className="wk-strong"),
        decisions(caller, found["decisions"]),
        title=words("scaling.pool", name=found["target"]),
        aside=widgets.badge(found["kind"]),
    )


def warnings(caller: Caller, found: Mapping[str, Any]) -> list[Any]:
    """What keeps the whole pool as it is."""
    words, shown = caller.words, []
    if found["problem"]:
        shown.append(widgets.notice(words.why(found["problem"]), "orange", title=words("scaling.unreadable")))
    if found["hands_off_seconds"]:
        left = words.seconds(found["hands_off_seconds"])
        text = words("scaling.rival_text", at=words.moment(found["foreign_at"]), left=left)
        shown.append(widgets.notice(text, "orange", title=words("scaling.rival")))
    return shown


def bounds(caller: Caller, found: Mapping[str, Any]) -> str:
    """Floor and ceiling of the target itself; those of rules stand with the rules."""
    words = caller.words
    return f"{words.number(found['floor'], 0)} – {words.number(found['ceiling'], 0)}"


def decisions(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "scaling.decisions")
    words = caller.words
    head = [words(f"scaling.{name}") for name in ("at", "rule", "state", "change", "load", "why")]
    return widgets.table(
        head,
        [
            [
                words.moment(row["at"]),
                html.Div([html.Div(row["rule"], className="wk-strong"), widgets.quiet(row["action"])]),
                widgets.state(caller, row["state"]),
                change(caller, row["scale"]),
                words.number(row["scale"].get("load")),
                words.why(row["reason"]),
            ]
            for row in rows
        ],
        numeric=(4,),
    )


def change(caller: Caller, scale: Mapping[str, Any]) -> str:
    if "count" not in scale:
        return caller.words("link.unknown")
    running, count = (caller.words.number(scale[name], 0) for name in ("running", "count"))
    return f"{running} → {count}"


PAGE = Page(key=KEY, path="/scaling", area="realtime", layout=layout, register=register)
