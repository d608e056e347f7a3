"""What key figures will be, how sure that is, and what became of what was said before."""

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
from dashboard.reports.business_words import (
    ahead_lines,
    amount,
    quality,
    title,
    unknown_why,
)
from dashboard.reports.predictions import predictions_csv, predictions_html, record, record_head

KEY = "predictions"
#: Forecasts change by the day.
SLOWER = 12.0


def layout(caller: Caller, request: Request) -> Any:
    words = caller.words
    return html.Div(
        [
            *report_files.head(caller, KEY),
            widgets.waiting("predictions-body"),
            dmc.Select(
                id="predictions-figure", label=words("predictions.choose"), data=[],
                value=request.query.get("figure"), allowDeselect=False, className="wk-choose",
            ),
            html.Div(id="predictions-detail", className="wk-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )  # fmt: skip


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("predictions-body", "children"),
        Output("predictions-figure", "data"),
        Output("predictions-figure", "value"),
        Output("predictions-detail", "children"),
        Input("predictions-tick", "n_intervals"),
        Input("predictions-figure", "value"),
        blank=([], None, []),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, chosen: str | None) -> Any:
        rows = (await ask(caller))["rows"]
        names = [{"value": row["name"], "label": label(caller, row)} for row in rows]
        known = [row["name"] for row in rows]
        current = chosen if chosen in known else next(iter(known), None)
        shown = [detail(caller, row) for row in rows if row["name"] == current]
        return [body(caller, rows), names, current if current != chosen else no_update, shown]

    report_files.register(callbacks, KEY, {"csv": predictions_csv, "html": predictions_html}, ask)


async def ask(caller: Caller) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await caller.get("/api/wk/predictions")
    return found


def label(caller: Caller, row: Mapping[str, Any]) -> str:
    said = title(caller.words, row)
    return said if said == row["name"] else f"{said} ({row['name']})"


def body(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    stamp = widgets.as_of(caller, caller.now(), times=SLOWER)
    if not rows:
        return html.Div([stamp, widgets.empty(caller, KEY)])
    words = caller.words
    days = sorted({each["days"] for row in rows for each in row["ahead"]})
    head = [words("business.figure"), words("predictions.newest")]
    head += [words("predictions.in_days", days=each) for each in days]
    head += [words(f"predictions.{name}") for name in ("coverage", "error", "naive", "scored_count", "made_ago")]
    lines = [[html.Span(label(caller, row), className="wk-strong"), *cells(caller, row, days)] for row in rows]
    numeric = range(1, len(head))
    return html.Div([stamp, widgets.card(widgets.table(head, lines, numeric=tuple(numeric)))], className="wk-stack")


def cells(caller: Caller, row: Mapping[str, Any], days: list[int]) -> list[Any]:
    """The figure now, at each horizon, and how good such forecasts were."""
    words, unit = caller.words, row["unit"]
    known = [value for _, value in row["history"] if value is not None]
    ahead = {each["days"]: each["expected"] for each in row["ahead"]}
    scored = (row["accuracy"] or [{}])[-1]
    return [
        amount(words, known[-1] if known else None, unit),
        *(amount(words, ahead.get(each), unit) for each in days),
        words.ratio(scored.get("coverage80"), 0),
        words.ratio(scored.get("mape")),
        words.number(scored.get("against_naive")),
        words.number(scored.get("scored", 0), 0),
        words.ago(row["age_seconds"]),
    ]


def detail(caller: Caller, row: Mapping[str, Any]) -> Any:
    words = caller.words
    keys = ("history", "forecast", "band80", "band95", "limit")
    names = {key: words(f"capacity.line.{key}") for key in keys}
    inside: list[Any] = []
    if row["unknown"]:
        inside.append(widgets.notice(unknown_why(words, row), "gray"))
    if row["error"]:
        inside.append(widgets.notice(row["error"], "orange", title=words("business.reason.source_failed")))
    inside.append(graph(figures.capacity({**row, "limit": None}, caller.theme, words.zone, names), 360))
    inside += [html.Div(line, className="wk-line") for line in ahead_lines(words, row)]
    inside.append(html.Div(quality(words, row), className="wk-line"))
    parts = [widgets.card(*inside, title=label(caller, row))]
    if row["past"]:
        parts.append(past(caller, row))
    parts.append(accuracy(caller, row))
    return html.Div(parts, className="wk-stack")


def graph(figure: Any, height: int) -> Any:
    return dcc.Graph(figure=figure, config={"displayModeBar": False, "responsive": True}, style={"height": height})


def past(caller: Caller, row: Mapping[str, Any]) -> Any:
    """What had been said of each period before, and what came."""
    words = caller.words
    one = {
        "name": words("predictions.actual"),
        "points": [[when, actual] for when, _, _, _, actual in row["past"]],
        "expected": [middle for _, _, middle, _, _ in row["past"]],
        "lower": [low for _, low, _, _, _ in row["past"]],
        "upper": [high for _, _, _, high, _ in row["past"]],
    }
    names = {"band": words("predictions.said"), "anomaly": words("predictions.actual")}
    return widgets.card(
        graph(figures.chart([one], caller.theme, words.zone, names), 260), title=words("predictions.past")
    )


def accuracy(caller: Caller, row: Mapping[str, Any]) -> Any:
    """Figures over all earlier forecasts that are over, by how far ahead they looked."""
    words = caller.words
    lines = record(words, row)
    if not lines:
        return widgets.card(widgets.notice(words("predictions.no_accuracy"), "gray"), title=words("predictions.record"))
    head = record_head(words)
    table = widgets.table(head, lines, numeric=tuple(range(1, len(head))))
    return widgets.card(table, title=words("predictions.record"))


PAGE = Page(key=KEY, path="/predictions", area="predictive", layout=layout, register=register, charts=True)
