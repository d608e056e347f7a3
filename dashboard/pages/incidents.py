"""The list of incidents; one incident has a page of its own below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import Input, Output, html, no_update

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

from . import incident

KEY = "incidents"


def layout(caller: Caller, request: Request) -> Any:
    if request.rest:
        return incident.layout(caller, request.rest)
    words = caller.words
    choice = dmc.SegmentedControl(
        id="incidents-state",
        value=request.query.get("state", "open"),
        data=[{"value": value, "label": words(f"incidents.{value}")} for value in ("open", "all")],
        size="xs",
    )
    return html.Div(
        [
            widgets.page_head(caller, KEY, choice),
            html.Div(id="incidents-body", className="wk-body"),
            widgets.data_grid(caller, "incidents-grid", columns(caller)),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def columns(caller: Caller) -> list[dict[str, Any]]:
    words = caller.words
    return [
        {"field": "severity", "headerName": words("incident.severity"), "cellRenderer": "Severity", "width": 140},
        {"field": "title", "headerName": words("incident.title"), "minWidth": 260, "flex": 2},
        {"field": "state", "headerName": words("incident.state"), "cellRenderer": "State", "maxWidth": 150},
        {"field": "opened", "headerName": words("incident.opened"), "minWidth": 170},
        {"field": "respond_by", "headerName": words("incident.respond_by"), "minWidth": 170},
        {"field": "alerts", "headerName": words("incident.alerts"), "maxWidth": 110, "type": "numericColumn"},
        {"field": "actions", "headerName": words("incident.actions"), "maxWidth": 110, "type": "numericColumn"},
    ]


def row(caller: Caller, one: Mapping[str, Any]) -> dict[str, Any]:
    words = caller.words
    return {
        "id": one["id"],
        "severity": words.word("severity", one["severity"]),
        "severity_key": one["severity"],
        "title": one["title"],
        "state": words.word("state", one["state"]),
        "state_key": one["state"],
        "opened": words.moment(one["opened_at"]),
        "respond_by": words.moment(one["respond_by"]),
        "alerts": one["alerts"],
        "actions": one["actions"],
    }


def register(callbacks: Callbacks) -> None:
    incident.register(callbacks)

    @callbacks.callback_for(
        Permission.READ,
        Output("incidents-body", "children"),
        Output("incidents-grid", "rowData"),
        Input("incidents-tick", "n_intervals"),
        Input("incidents-state", "value"),
        blank=([],),
    )
    async def refresh(caller: Caller, _ticks: Any, state: str) -> Any:
        wanted = state if state in ("open", "all") else "open"
        found = (await caller.get("/api/wk/incidents", state=wanted, limit=500))["incidents"]
        shown = [widgets.as_of(caller, caller.now())]
        if not found:
            shown.append(widgets.empty(caller, KEY, colour="teal"))
        return [shown, [row(caller, one) for one in found]]

    @callbacks.callback_for(
        Permission.READ, Output("url", "pathname"), Input("incidents-grid", "cellClicked"), prevent_initial_call=True
    )
    async def follow(_caller: Caller, cell: Mapping[str, Any] | None) -> Any:
        chosen = str((cell or {}).get("rowId") or "")
        return f"/incidents/{quote(chosen, safe='')}" if chosen else no_update


PAGE = Page(key=KEY, path="/incidents", area="realtime", layout=layout, register=register, below=True)
