"""A page's report as files: the two buttons, where the file arrives, and the callbacks that make it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from . import widgets
from .callbacks import Callbacks
from .context import Caller
from .permissions import Permission

Data = Mapping[str, Any]
#: Data, language, zone and moment to the bytes of a file.
Report = Callable[[Data, str, str, datetime], bytes]


def head(caller: Caller, key: str) -> list[Any]:
    """The head of a page whose report can be had as CSV and HTML, and the places for a refusal and the file."""
    buttons = [
        dmc.Button(caller.words(f"{key}.download_{kind}"), id=f"{key}-{kind}", variant="default", size="xs")
        for kind in ("csv", "html")
    ]
    return [widgets.page_head(caller, key, *buttons), html.Div(id=f"{key}-notice"), dcc.Download(id=f"{key}-file")]


def today(caller: Caller, _data: Data) -> str:
    return caller.words.day(caller.now())


def register(
    callbacks: Callbacks,
    key: str,
    reports: Mapping[str, Report],
    ask: Callable[..., Awaitable[Data]],
    *states: State,
    label: Callable[[Caller, Data], str] = today,
) -> None:
    """A button a kind: ``ask(caller, *states)`` brings the data, ``label`` ends the name of the file."""
    for kind, make in reports.items():
        _one(callbacks, key, (kind, make), ask, *states, label=label)


def _one(
    callbacks: Callbacks,
    key: str,
    report: tuple[str, Report],
    ask: Callable[..., Awaitable[Data]],
    *states: State,
    label: Callable[[Caller, Data], str],
) -> None:
    kind, make = report

    @callbacks.callback_for(
        Permission.READ,
        Output(f"{key}-notice", "children", allow_duplicate=True),
        Output(f"{key}-file", "data", allow_duplicate=True),
        Input(f"{key}-{kind}", "n_clicks"),
        *states,
        prevent_initial_call=True,
    )
    async def save(caller: Caller, _clicks: int, *chosen: Any) -> Any:
        data = await ask(caller, *chosen)
        content = make(data, caller.words.language, caller.words.zone.key, caller.now())
        file = {"filename": f"{key}-{label(caller, data)}.{kind}", "base64": True}
        return ["", {**file, "content": b64encode(content).decode(), "type": None}]
