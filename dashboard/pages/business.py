"""How the business stands: each key figure against its target and its own past, the order funnel, and the details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, html

from dashboard import report_files, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.figures import tile_image
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from dashboard.reports.business import business_csv, business_html
from dashboard.reports.business_words import (
    amount,
    change,
    funnels,
    period,
    reasons,
    shown,
    summary,
    target,
    title,
    usual,
)

KEY = "business"
#: Figures change by the minute at most.
SLOWER = 6.0
COLOURS = {"good": "teal", "warn": "orange", "bad": "red", "learning": "blue", "unknown": "gray"}
BAR = {"height": 8, "borderRadius": 4, "background": "#2563eb"}
ORDER = ("bad", "warn", "unknown", "learning", "good")


def layout(caller: Caller, request: Request) -> Any:
    del request
    return html.Div(
        [
            *report_files.head(caller, KEY),
            widgets.waiting("business-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ, Output("business-body", "children"), Input("business-tick", "n_intervals"), shared=True
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        return body(caller, await caller.get("/api/wk/business"))

    report_files.register(callbacks, KEY, {"csv": business_csv, "html": business_html}, with_predictions)


async def with_predictions(caller: Caller) -> Mapping[str, Any]:
    data, ahead = await caller.get("/api/wk/business"), await caller.get("/api/wk/predictions")
    return {**data, "predictions": ahead["rows"]}


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    rows: Sequence[Mapping[str, Any]] = data["rows"]
    stamp = widgets.as_of(caller, caller.now(), times=SLOWER)
    if not rows:
        return html.Div([stamp, widgets.empty(caller, KEY)])
    own = sorted(shown(rows), key=lambda row: ORDER.index(row["status"]))
    parts = [
        stamp,
        html.Div(summary(caller.words, rows), className="wk-strong"),
        widgets.grid_of([tile(caller, row) for row in own]),
        *[funnel_card(caller, shop, steps) for shop, steps in funnels(rows).items()],
        widgets.card(table(caller, rows), title=caller.words("business.all")),
    ]
    return html.Div(parts, className="wk-stack")


def standing(caller: Caller, row: Mapping[str, Any]) -> Any:
    return widgets.badge(caller.words(f"business.status.{row['status']}"), COLOURS[row["status"]])


def tile(caller: Caller, row: Mapping[str, Any]) -> Any:
    words, name = caller.words, title(caller.words, row)
    image = tile_image(row["points"], row["band"], [], caller.theme)
    lines = [
        words("business.of_period", period=period(words, row)),
        words("business.target_line", target=target(words, row)),
        words("business.usual_line", usual=usual(words, row)),
        words("business.change_line", previous=change(words, row, "previous"), week=change(words, row, "last_week")),
        unfinished(caller, row),
        words("business.owner_line", owner=row["owner"] or words("business.no_owner")),
    ]
    told = reasons(words, row)
    inside = [
        html.Div(amount(words, row["exact"], row["unit"]), className="wk-value"),
        html.Img(src=image, alt=words("tile.image", name=name), className="wk-spark"),
        *[html.Div(line, className="wk-line") for line in lines if line],
        html.Div(told, className="wk-line wk-strong") if told else None,
        html.Div(age(caller, row), className="wk-line wk-age"),
    ]
    head = html.Div(
        [html.Span(name, className="wk-tile-name", title=row["name"]), standing(caller, row)],
        className="wk-row wk-row-spread wk-card-head",
    )
    return widgets.card(head, *inside, class_name="wk-tile" + (" wk-stale" if row["error"] else ""))


def unfinished(caller: Caller, row: Mapping[str, Any]) -> str:
    """The period under way: shown, and never compared with whole ones."""
    current = row["current"]
    if current is None or current["exact"] is None:
        return ""
    return caller.words(
        "business.unfinished",
        period=period(caller.words, row, current["start"]),
        value=amount(caller.words, current["exact"], row["unit"]),
    )


def age(caller: Caller, row: Mapping[str, Any]) -> str:
    words = caller.words
    if row["age_seconds"] is None:
        return words("business.never_read")
    return words(
        "business.read_ago", ago=words.ago(row["age_seconds"]), source=words(f"business.source.{row['source']}")
    )


def funnel_card(caller: Caller, shop: str, steps: Sequence[tuple[Mapping[str, Any], float | None]]) -> Any:
    words = caller.words
    head = [words("business.state"), words("business.value"), words("business.share"), ""]
    lines = [
        [
            title(words, row),
            amount(words, row["exact"], row["unit"]),
            words.ratio(share),
            bar(share),
        ]
        for row, share in steps
    ]
    when = period(words, steps[0][0])
    return widgets.card(
        widgets.table(head, lines, numeric=(1, 2)), title=words("business.funnel_of", shop=shop, period=when)
    )


def bar(share: float | None) -> Any:
    """A share as a length; nothing while it is not known."""
    width = f"{100 * (share or 0.0):.1f}%"
    return html.Div(html.Div(style={"width": width, **BAR}), style={"minWidth": 120})


def table(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    names = ("figure", "owner", "period", "value", "standing", "target", "usual", "change_last", "restated", "data_age")
    lines = [
        [
            html.Span(title(words, row), className="wk-strong", title=row["name"]),
            row["owner"],
            html.Span(period(words, row), style={"whiteSpace": "nowrap"}),
            amount(words, row["exact"], row["unit"]),
            standing(caller, row),
            target(words, row),
            usual(words, row),
            change(words, row, "last_week" if row["change"].get("last_week") is not None else "previous"),
            words.number(row["restated"], 0),
            words.seconds(row["age_seconds"]),
        ]
        for row in rows
    ]
    return widgets.table([words(f"business.{name}") for name in names], lines, numeric=(3, 7, 8, 9))


PAGE = Page(key=KEY, path="/business", area="reporting", layout=layout, register=register)
