"""A rule's action asked for by a person: which rule, why, and the gates that are set aside for that reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import Input, Output, State, html, no_update

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.permissions import Permission

#: Gates that a person may waive with a written reason.
WAIVABLE = ("confirmed", "flapping", "cooldown", "budget")


def card(caller: Caller) -> Any:
    """``ask-rule`` is for the page to fill, and ``shown`` says which of both the page shows."""
    words = caller.words
    return widgets.card(
        html.Div(widgets.quiet(words("actions.ask_none")), id="ask-none", hidden=True),
        html.Div(
            [
                widgets.quiet(words("actions.ask_hint")),
                html.Div(_fields(caller), className="wk-query"),
            ],
            id="ask-form",
        ),
        title=words("actions.ask_title"),
    )


def _fields(caller: Caller) -> list[Any]:
    words, may = caller.words, caller.may(Permission.APPROVE)
    return [
        dmc.Select(id="ask-rule", label=words("action.rule"), data=[], searchable=True, disabled=not may),
        dmc.TextInput(id="ask-reason", label=words("kill_switch.reason"), className="wk-expr", disabled=not may),
        dmc.MultiSelect(
            id="ask-waive", label=words("actions.ask_waive"), disabled=not may, value=[],
            data=[{"value": gate, "label": words.gate(gate)} for gate in WAIVABLE],
        ),
        dmc.Button(words("actions.ask"), id="ask", variant="default", disabled=not may),
    ]  # fmt: skip


def shown(rules: Sequence[str]) -> tuple[bool, bool]:
    """Is the form hidden, and is the word that there is nothing to ask for?"""
    return not rules, bool(rules)


def register(callbacks: Callbacks, notice: str) -> None:
    @callbacks.callback_for(
        Permission.APPROVE,
        Output(notice, "children", allow_duplicate=True),
        Output("ask-reason", "value"),
        Output("ask-waive", "value"),
        Input("ask", "n_clicks"),
        State("ask-rule", "value"),
        State("ask-reason", "value"),
        State("ask-waive", "value"),
        prevent_initial_call=True,
    )
    async def ask(caller: Caller, _clicks: Any, rule: str | None, reason: str | None, waive: list[str] | None) -> Any:
        """What was typed stays unless it was taken."""
        if not rule or not (reason or "").strip():
            return [widgets.notice(caller.words("actions.ask_missing"), "orange"), no_update, no_update]
        sent = {"reason": reason, "waive": waive or []}
        await caller.send("POST", f"/api/wk/rules/{quote(rule, safe='')}/request", sent)
        return [widgets.done(caller, "action.done.asked"), "", []]
