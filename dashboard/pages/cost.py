"""What it costs: month to date, its end against the budgets, by day, service and tag, and why it changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from dashboard import cost_charts, report_files, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from dashboard.reports.cost import (
    amount,
    converted_line,
    cost_csv,
    cost_html,
    data_line,
    gap_kind,
    gap_line,
    outlook,
    problems,
    signed,
    source_line,
    tables,
)

KEY = "cost"
#: Bills change by the hour at most.
SLOWER = 12.0
#: Whether parts fit their whole: money not given out yet is no mistake.
GAPS = {"none": "teal", "under": "blue", "over": "orange", "refused": "orange"}
COLOURS = {"good": "teal", "warn": "orange", "breach": "red", "unknown": "gray"}
#: Problems shown on the page; the report has all that are kept.
MOST_PROBLEMS = 20


def layout(caller: Caller, request: Request) -> Any:
    words, query = caller.words, request.query
    choices = [
        dmc.Select(
            id="cost-month", label=words("cost.month"), data=[], value=query.get("month"), className="wk-choose",
            placeholder=words("cost.newest_month"), clearable=True,
        ),
        dmc.Select(
            id="cost-tag", label=words("cost.tag"), data=[], value=query.get("tag"), className="wk-choose",
            placeholder=words("cost.no_tag"), clearable=True,
        ),
    ]  # fmt: skip
    return html.Div(
        [
            *report_files.head(caller, KEY),
            html.Div(choices, className="wk-row"),
            widgets.waiting("cost-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("cost-body", "children"),
        Output("cost-month", "data"),
        Output("cost-tag", "data"),
        Input("cost-tick", "n_intervals"),
        Input("cost-month", "value"),
        Input("cost-tag", "value"),
        blank=([], []),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, month: str | None, tag: str | None) -> Any:
        data = await ask(caller, month, tag)
        return [body(caller, data), data["months"], data["tags"]]

    states = (State("cost-month", "value"), State("cost-tag", "value"))
    report_files.register(callbacks, KEY, {"csv": cost_csv, "html": cost_html}, ask, *states, label=month_of)


def month_of(_caller: Caller, data: Mapping[str, Any]) -> str:
    return str(data["month"])


async def ask(caller: Caller, month: str | None, tag: str | None) -> Mapping[str, Any]:
    wanted = {name: value for name, value in (("month", month), ("tag", tag)) if value}
    found: Mapping[str, Any] = await caller.get("/api/wk/cost", **wanted)
    return found


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    words, stamp = caller.words, widgets.as_of(caller, data["read_at"] or caller.now(), times=SLOWER)
    wrong = [widgets.notice(text, "orange") for text in problems(words, data)[:MOST_PROBLEMS]]
    if not data["configured"] or not (data["months"] or data["budgets"]):
        return html.Div([stamp, *wrong, widgets.empty(caller, KEY)], className="wk-stack")
    gaps = [widgets.notice(gap_line(words, row), GAPS[gap_kind(row)]) for row in data["reconciliation"]]
    found = tables(words, data)
    parts = [
        stamp,
        html.Div(data_line(words, data), className="wk-strong"),
        widgets.grid_of([total(caller, row) for row in data["totals"]]),
        widgets.grid_of([budget(caller, row) for row in data["budgets"]]),
        widgets.notice(converted_line(words, data["converted"]), "blue") if data["converted"] else None,
        *gaps,
        *[part for row in data["days"] if row["days"] for part in (running(caller, data, row), chart(caller, row))],
        *[widgets.card(widgets.table(one["head"], one["rows"], numeric=one["numeric"]), title=one["title"])
          for one in found],
        widgets.card(*[html.Div(source_line(words, row), className="wk-line") for row in data["sources"]], *wrong,
                     title=words("cost.sources")) if data["sources"] else None,
    ]  # fmt: skip
    return html.Div([part for part in parts if part is not None], className="wk-stack")


def total(caller: Caller, row: Mapping[str, Any]) -> Any:
    words = caller.words
    lines = [
        words(
            "cost.against", before=amount(words, row["before"], row["currency"]), change=signed(words, row["change"])
        ),
        outlook(words, row),
    ]
    head = html.Div(
        [html.Span(words("cost.month_to_date", currency=row["currency"]), className="wk-tile-name")],
        className="wk-row wk-row-spread wk-card-head",
    )
    value = html.Div(amount(words, row["cost"], row["currency"]), className="wk-value")
    return widgets.card(head, value, *[html.Div(line, className="wk-line") for line in lines], class_name="wk-tile")


def budget(caller: Caller, row: Mapping[str, Any]) -> Any:
    """How much is used, where the lines lie, and where the period ends."""
    words = caller.words
    head = html.Div(
        [
            html.Span(row["title"], className="wk-tile-name", title=row["name"]),
            widgets.badge(words(f"cost.status.{row['status']}"), COLOURS[row["status"]]),
        ],
        className="wk-row wk-row-spread wk-card-head",
    )
    money = {name: amount(words, row[name], row["currency"])
             for name in ("amount", "used", "warn_at", "breach_at", "forecast")}  # fmt: skip
    lines = [
        words("cost.budget_line", ratio=words.ratio(row["used_ratio"]), **money),
        words("cost.lines", **money),
        words("cost.budget_end", status=words(f"cost.status.{row['forecast_status']}"), day=row["last"], **money),
    ]
    return widgets.card(
        head,
        html.Div(money["used"], className="wk-value"),
        *[html.Div(line, className="wk-line") for line in lines],
        class_name="wk-tile",
    )


def chart(caller: Caller, row: Mapping[str, Any]) -> Any:
    figure = cost_charts.stacked(row, caller.theme, caller.words("cost.others"))
    return _drawn(figure, caller.words("cost.by_day", currency=row["currency"]))


def running(caller: Caller, data: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """The month on its way to the budget's lines."""
    ahead = next((one["forecast"] for one in data["totals"] if one["currency"] == row["currency"]), None)
    names = {
        name: caller.words(f"cost.running.{name}") for name in ("so_far", "forecast", "interval", "warn", "breach")
    }
    figure = cost_charts.running(row, ahead, cost_charts.whole(data["budgets"], row), caller.theme, names)
    return _drawn(figure, caller.words("cost.running", currency=row["currency"]))


def _drawn(figure: dict[str, Any], title: str) -> Any:
    graph = dcc.Graph(figure=figure, config={"displayModeBar": False, "responsive": True}, style={"height": 340})
    return widgets.card(graph, title=title)


PAGE = Page(key=KEY, path="/cost", area="reporting", layout=layout, register=register, charts=True)
