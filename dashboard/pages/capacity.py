"""What runs out when: headroom, forecast with its bands, its parts, and how good such forecasts were so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, dcc, html, no_update

from dashboard import figures, report_files, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from dashboard.reports.capacity import advice, capacity_csv, capacity_html, exhaustion, mark, quality

KEY = "capacity"
#: Forecasts change by the hour.
SLOWER = 6.0
MARKS = {"short": "red", "tight": "orange", "unknown": "gray", "": "teal"}


def layout(caller: Caller, request: Request) -> Any:
    words = caller.words
    return html.Div(
        [
            *report_files.head(caller, KEY),
            widgets.waiting("capacity-body"),
            dmc.Select(
                id="capacity-pool", label=words("capacity.choose"), data=[], value=request.query.get("pool"),
                allowDeselect=False, className="wk-choose",
            ),
            html.Div(id="capacity-detail", className="wk-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )  # fmt: skip


def name_of(row: Mapping[str, Any]) -> str:
    return f"{row['pool']} · {row['resource']}"


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("capacity-body", "children"),
        Output("capacity-pool", "data"),
        Output("capacity-pool", "value"),
        Output("capacity-detail", "children"),
        Input("capacity-tick", "n_intervals"),
        Input("capacity-pool", "value"),
        blank=([], None, []),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, chosen: str | None) -> Any:
        rows = (await ask(caller))["rows"]
        names = [name_of(row) for row in rows]
        current = chosen if chosen in names else next(iter(names), None)
        shown = [detail(caller, row) for row in rows if name_of(row) == current]
        return [body(caller, rows), names, current if current != chosen else no_update, shown]

    report_files.register(callbacks, KEY, {"csv": capacity_csv, "html": capacity_html}, ask)


async def ask(caller: Caller) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await caller.get("/api/wk/capacity")
    return found


def body(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    stamp = widgets.as_of(caller, caller.now(), times=SLOWER)
    if not rows:
        return html.Div([stamp, widgets.empty(caller, KEY)])
    words = caller.words
    columns = ("pool", "resource", "now", "limit", "headroom", "in_30d", "exhaustion", "backtest", "data_age")
    head = [words(f"capacity.{name}") for name in columns]
    table = widgets.table(
        head,
        [
            [
                html.Span(row["pool"], className="wk-strong"),
                row["resource"],
                words.quantity(row["now"], row["unit"]),
                words.quantity(row["limit"], row["unit"]),
                widgets.badge(words.ratio(row["headroom_ratio"]), MARKS[mark(row["headroom_ratio"])]),
                words.quantity(row["in_30d"], row["unit"]),
                exhaustion(row, words),
                words.number(row["backtest_mase"]),
                words.seconds(row["data_age_seconds"]),
            ]
            for row in rows
        ],
        numeric=(2, 3, 5, 7, 8),
    )
    return html.Div([stamp, widgets.card(table)], className="wk-stack")


def detail(caller: Caller, row: Mapping[str, Any]) -> Any:
    words = caller.words
    keys = ("history", "forecast", "band80", "band95", "limit")
    names = {key: words(f"capacity.line.{key}") for key in keys}
    graph = dcc.Graph(
        figure=figures.capacity(row, caller.theme, words.zone, names),
        config={"displayModeBar": False, "responsive": True},
        style={"height": 360},
    )
    inside: list[Any] = [graph]
    if row["unknown"]:
        inside.insert(0, widgets.notice(words("capacity.no_forecast", reason=words.why(row["unknown"])), "gray"))
    notes = [widgets.quiet(quality(row, words))]
    if row["proposal"]:
        notes.append(widgets.notice(advice(row["proposal"], words), "blue", title=words("capacity.proposal")))
    cards = [widgets.card(*inside, *notes, title=name_of(row))]
    parts = [(name, points) for name, points in (row["components"] or {}).items() if points]
    if parts:
        cards.append(
            widgets.card(*[_part(caller, name, points) for name, points in parts], title=words("capacity.parts"))
        )
    return html.Div(cards, className="wk-stack")


def _part(caller: Caller, name: str, points: Any) -> Any:
    title = caller.words.word("component", name)
    graph = dcc.Graph(
        figure=figures.component(points, title, caller.theme, caller.words.zone),
        config={"displayModeBar": False, "responsive": True},
        style={"height": 150},
    )
    return html.Div([widgets.quiet(title), graph])


PAGE = Page(key=KEY, path="/capacity", area="predictive", layout=layout, register=register, charts=True)
