"""The form for an incident that people noticed and nobody told of: which service, what, from when to when."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
from dash import Input, Output, State, html, no_update

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.permissions import Permission

FIELDS = ("service", "what", "began", "ended")


def form(caller: Caller) -> Any:
    words, may = caller.words, caller.may(Permission.ACKNOWLEDGE)
    hints = {"began": words.moment(caller.now())[:-3], "ended": words("detection.record.still")}
    parts = [
        dmc.TextInput(
            id=f"detection-record-{name}", label=words(f"detection.record.{name}"), placeholder=hints.get(name, ""),
            disabled=not may, className="wk-expr" if name == "what" else "",
        )
        for name in FIELDS
    ]  # fmt: skip
    button = dmc.Button(words("detection.record"), id="detection-record", disabled=not may, variant="default")
    return widgets.card(
        widgets.quiet(words("detection.record.why", zone=str(words.zone))),
        html.Div([*parts, button], className="wk-query"),
        title=words("detection.record.title"),
    )


def register(callbacks: Callbacks, notice: str) -> None:
    @callbacks.callback_for(
        Permission.ACKNOWLEDGE,
        Output(notice, "children", allow_duplicate=True),
        *(Output(f"detection-record-{name}", "value") for name in FIELDS),
        Input("detection-record", "n_clicks"),
        *(State(f"detection-record-{name}", "value") for name in FIELDS),
        prevent_initial_call=True,
    )
    async def record(caller: Caller, _clicks: Any, *typed: str | None) -> Any:
        """What was typed stays in the form unless it was taken."""
        service, what, began, ended = ((one or "").strip() for one in typed)
        zone = caller.words.zone
        begins, ends = moment(began, zone), moment(ended, zone)
        if not service or not what or begins is None or (ended and ends is None):
            return [widgets.notice(caller.words("detection.record.missing"), "red"), *[no_update] * len(FIELDS)]
        body = {"service": service, "what": what, "began_at": begins.isoformat()}
        await caller.send("POST", "/api/wk/recorded", body | ({"ended_at": ends.isoformat()} if ends else {}))
        return [widgets.done(caller, "detection.record.done"), *[""] * len(FIELDS)]


def moment(typed: str, zone: ZoneInfo) -> datetime | None:
    """``2026-11-30 09:15`` on the reader's clock; None where it is no time."""
    try:
        found = datetime.fromisoformat(typed)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=zone)
