"""The list of incidents; one incident has a page of its own below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.list_view import Column
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


def columns(caller: Caller) -> list[Column]:
    words = caller.words
    return [
        {"field": "severity", "name": words("incident.severity"), "tag": "wk-severity"},
        {"field": "title", "name": words("incident.title"), "link": True},
        {"field": "state", "name": words("incident.state"), "tag": "wk-state"},
        {"field": "opened", "name": words("incident.opened")},
        {"field": "respond_by", "name": words("incident.respond_by")},
        {"field": "change", "name": words("incidents.change")},
        {"field": "alerts", "name": words("incident.alerts"), "right": True},
        {"field": "actions", "name": words("incident.actions"), "right": True},
    ]


def row(caller: Caller, one: Mapping[str, Any]) -> dict[str, Any]:
    words = caller.words
    first = next(iter(one["changes"]), None)
    return {
        "id": one["id"],
        "href": f"/incidents/{quote(one['id'], safe='')}",
        "severity": words.word("severity", one["severity"]),
        "severity_key": one["severity"],
        "severity_sort": one["severity"],
        "title": words.title(one),
        "state": words.word("state", one["state"]),
        "state_key": one["state"],
        "opened": words.moment(one["opened_at"]),
        "opened_sort": one["opened_at"],
        "respond_by": words.moment(one["respond_by"]),
        "respond_by_sort": one["respond_by"],
        "change": words.word("changes.kind", first["kind"]) + " · " + first["title"] if first else "",
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
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, state: str) -> Any:
        wanted = state if state in ("open", "all") else "open"
        found = (await caller.get("/api/wk/incidents", state=wanted, limit=500))["incidents"]
        shown = [widgets.as_of(caller, caller.now())]
        if not found:
            shown.append(widgets.empty(caller, KEY, colour="teal"))
        return [shown, [row(caller, one) for one in found]]


PAGE = Page(key=KEY, path="/incidents", area="realtime", layout=layout, register=register, below=True)
