"""The kill switch: its state, a reason and two buttons; the same card on Actions and on Safety."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, html, no_update

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.permissions import Permission


def card(caller: Caller, page: str) -> Any:
    """Elements ``<page>-switch`` (the state, for the page to fill) and ``<page>-switch-notice`` (what was done)."""
    words = caller.words
    return widgets.card(
        html.Div(id=f"{page}-switch"),
        dmc.TextInput(
            id=f"{page}-switch-reason", label=words("kill_switch.reason"), placeholder=words("kill_switch.hint"),
        ),
        dmc.Group(
            [
                dmc.Button(
                    words("kill_switch.set"), id=f"{page}-switch-on", color="red",
                    disabled=not caller.may(Permission.KILL_SWITCH_SET),
                ),
                dmc.Button(
                    words("kill_switch.clear"), id=f"{page}-switch-off", variant="default",
                    disabled=not caller.may(Permission.KILL_SWITCH_CLEAR),
                ),
            ],
            mt="sm",
        ),
        html.Div(id=f"{page}-switch-notice", className="wk-below"),
        title=words("kill_switch.title"),
        class_name="wk-switch",
    )  # fmt: skip


def register(callbacks: Callbacks, page: str) -> None:
    def switches(button: str, permission: Permission, *, on: bool) -> None:
        @callbacks.callback_for(
            permission,
            Output(f"{page}-switch-notice", "children", allow_duplicate=True),
            Output(f"{page}-switch-reason", "value", allow_duplicate=True),
            Input(button, "n_clicks"),
            State(f"{page}-switch-reason", "value"),
            prevent_initial_call=True,
        )
        async def turn(caller: Caller, _clicks: int, reason: str | None) -> Any:
            if not (reason or "").strip():
                return [widgets.notice(caller.words("kill_switch.reason_needed"), "orange"), no_update]
            await caller.send("POST", "/api/wk/kill-switch", {"on": on, "reason": reason})
            return [widgets.done(caller, f"kill_switch.done_{'on' if on else 'off'}"), ""]

    switches(f"{page}-switch-on", Permission.KILL_SWITCH_SET, on=True)
    switches(f"{page}-switch-off", Permission.KILL_SWITCH_CLEAR, on=False)


def state(caller: Caller, found: Mapping[str, Any]) -> Any:
    words = caller.words
    if not found["on"]:
        return widgets.notice(words("kill_switch.off_text"), "teal", title=words("kill_switch.off"))
    text = words("kill_switch.on_text", by=found["by"], at=words.moment(found["at"]), reason=words.why(found["reason"]))
    return widgets.notice(text, "red", title=words("kill_switch.on"))
