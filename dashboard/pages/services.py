"""The service catalogue: whose is what, how much of it is watched, and who calls whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dash import Input, Output, html

from dashboard import figures, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.list_view import Column
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from dashboard.reports.panel_svg import service_map

from . import service

KEY = "services"
PARTS = ("golden", "logs", "rule", "owner")
#: A map of more boxes is a knot; the list and the pages of single services show the same.
MAPPED = 60
COLUMNS = ("state", "title", "kind", "tier", "owner", "environment", "region", "incidents", "missing", "depends_on")
#: Cells of inventories that could not be used and are shown.
LEFT_OUT = 20


def layout(caller: Caller, request: Request) -> Any:
    if request.rest:
        return service.layout(caller, request.rest)
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            widgets.waiting("services-body"),
            widgets.data_grid(caller, "services-grid", columns(caller)),
            html.Div(id="services-map"),
            widgets.ticking(caller, KEY, times=3.0),
        ],
        className="wk-stack",
    )


def columns(caller: Caller) -> list[Column]:
    return [
        {
            "field": field,
            "name": caller.words(f"services.{field}"),
            "tag": "wk-state" if field == "state" else "",
            "link": field == "title",
        }
        for field in COLUMNS
    ]


def row(caller: Caller, one: Mapping[str, Any]) -> dict[str, Any]:
    words = caller.words
    coverage = one["coverage"] or {}
    lacks = [words(f"services.part.{part}") for part in PARTS if not coverage.get(part)]
    return {
        "id": one["name"],
        "href": address(one["name"]),
        "state": words.word("state", one["state"]),
        "state_key": one["state"],
        "title": one["title"],
        "kind": one["kind_title"][words.language],
        "tier": one["tier"],
        "owner": one["owner"],
        "environment": one["environment"],
        "region": one["region"],
        "incidents": len(one["incidents"]) or "",
        "incidents_sort": len(one["incidents"]),
        "missing": ", ".join(lacks),
        "missing_sort": len(lacks),
        "depends_on": ", ".join(one["depends_on"]),
    }


def address(name: str) -> str:
    return f"/services/{quote(name, safe='')}"


def register(callbacks: Callbacks) -> None:
    service.register(callbacks)

    @callbacks.callback_for(
        Permission.READ,
        Output("services-body", "children"),
        Output("services-grid", "rowData"),
        Output("services-map", "children"),
        Input("services-tick", "n_intervals"),
        blank=([], []),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        data = await caller.get("/api/wk/services")
        stamp = widgets.as_of(caller, data["looked_at"] or caller.now(), times=30.0)
        if not data["services"]:
            return [html.Div([stamp, widgets.empty(caller, KEY)]), [], []]
        shown = html.Div([stamp, left_out(caller, data), coverage(caller, data["coverage"])], className="wk-stack")
        return [shown, [row(caller, one) for one in data["services"]], picture(caller, data)]


def coverage(caller: Caller, found: Mapping[str, Any]) -> Any:
    """The share that is watched completely, beside its target and its parts."""
    words = caller.words
    whole, target = found["ratio"], found["target"]
    colour = "gray" if whole is None else "teal" if whole >= target else "orange"
    aside = widgets.badge(words("services.target", target=words.ratio(target, 0)), colour)
    parts = [(words(f"services.part.{part}"), words.ratio(found["parts"][part], 0)) for part in PARTS]
    facts = widgets.facts([(words("services.whole"), words.ratio(whole, 0)), *parts])
    return widgets.card(
        facts, widgets.quiet(words("services.coverage_note")), title=words("services.coverage"), aside=aside
    )


def left_out(caller: Caller, data: Mapping[str, Any]) -> Any:
    """Cells of asset lists that could not be used; None when all could."""
    if not data["left_out_in_all"]:
        return None
    words, rows = caller.words, data["left_out"][:LEFT_OUT]
    title = words("services.left_out", count=data["left_out_in_all"])
    return html.Div([widgets.notice(words("services.left_out_hint"), "orange", title=title), *map(widgets.quiet, rows)])


def picture(caller: Caller, data: Mapping[str, Any]) -> Any:
    words, rows = caller.words, data["services"]
    single = [one["title"] for one in rows if one["single_point"]]
    parts: list[Any] = []
    if single:
        parts.append(widgets.notice(words("services.single", names=", ".join(single)), "orange"))
    if not data["edges"]:
        parts.append(widgets.quiet(words("services.no_edges")))
    elif len(rows) <= MAPPED:
        edges = [(one["source"], one["target"], one["origin"] == "observed") for one in data["edges"]]
        drawn = service_map(rows, edges, figures.palette(caller.theme))
        parts.append(html.Img(src=figures.image(drawn), alt=words("services.map"), className="wk-map"))
        parts.append(widgets.quiet(words("services.map_note")))
    return widgets.card(*parts, title=words("services.map"))


PAGE = Page(key=KEY, path="/services", area="realtime", layout=layout, register=register, below=True)
