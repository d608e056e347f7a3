"""Reports made so far, and a button for the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import Input, Output, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.i18n import LANGUAGES
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "reports"


def layout(caller: Caller, _request: Request) -> Any:
    may = caller.may(Permission.REPORT)
    make = dmc.Button(caller.words("reports.make"), id="reports-make", size="xs", disabled=not may)
    return html.Div(
        [
            widgets.page_head(caller, KEY, make),
            html.Div(id="reports-notice", className="wk-below"),
            widgets.waiting("reports-body"),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("reports-body", "children"),
        Input("reports-tick", "n_intervals"),
        Input("reports-notice", "children"),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, _notice: Any) -> Any:
        return body(caller, (await caller.get("/api/wk/reports"))["reports"])

    @callbacks.callback_for(
        Permission.REPORT,
        Output("reports-notice", "children", allow_duplicate=True),
        Input("reports-make", "n_clicks"),
        prevent_initial_call=True,
    )
    async def make(caller: Caller, _clicks: int) -> Any:
        await caller.send("POST", "/api/wk/reports/capacity", {"language": caller.words.language})
        return widgets.done(caller, "reports.made")


def body(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    stamp = widgets.as_of(caller, caller.now())
    if not rows:
        return html.Div([stamp, widgets.empty(caller, KEY)])
    head = [words(f"reports.{name}") for name in ("kind", "created", "language", "files")]
    table = widgets.table(
        head,
        [
            [
                words.word("report_kind", row["kind"]),
                words.moment(row["created_at"]),
                words(f"language.{row['language']}") if row["language"] in LANGUAGES else row["language"],
                widgets.row(*[_file(row["id"], kind) for kind in ("html", "csv")]),
            ]
            for row in rows
        ],
    )
    return html.Div([stamp, widgets.card(table)], className="wk-stack")


def _file(report_id: str, kind: str) -> Any:
    return html.A(
        kind.upper(), href=f"/reports/{quote(report_id, safe='')}.{kind}", target="_blank", className="wk-file"
    )


PAGE = Page(key=KEY, path="/reports", area="reporting", layout=layout, register=register)
