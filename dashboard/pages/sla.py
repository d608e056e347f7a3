"""What was promised and how it stands: tiers, windows, budgets beside the contract, burn rates, response clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, dcc, html, no_update

from dashboard import figures, report_files, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.i18n import UNKNOWN, Words
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from dashboard.reports.sla import (
    STATUSES,
    answered,
    began,
    chain,
    days,
    minutes,
    notes,
    percent,
    sla_csv,
    sla_html,
    summary,
    tier,
    title,
)

KEY = "sla"
#: Minutes are counted once a minute.
SLOWER = 6.0
COLOURS = {"met": "teal", "so_far": "cyan", "at_risk": "orange", "broken": "red", "unknown": "gray"}
#: A page is due from this burn rate on, in the window that is drawn.
FAST = 14.4


def layout(caller: Caller, request: Request) -> Any:
    words = caller.words
    return html.Div(
        [
            *report_files.head(caller, KEY),
            widgets.waiting("sla-body"),
            dmc.Select(
                id="sla-objective", label=words("sla.choose"), data=[], value=request.query.get("objective"),
                allowDeselect=False, className="wk-choose",
            ),
            html.Div(id="sla-detail", className="wk-body"),
            calculator(caller),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )  # fmt: skip


def calculator(caller: Caller) -> Any:
    """Services in a row: what they can give together."""
    words = caller.words
    asked = (("count", "20"), ("each", "99.9"), ("whole", "99.99"))
    fields = [
        dmc.TextInput(id=f"sla-chain-{name}", label=words(f"sla.chain_{name}"), value=value, debounce=400)
        for name, value in asked
    ]
    return widgets.card(
        widgets.quiet(words("sla.chain_hint")),
        widgets.row(*fields),
        html.Div(id="sla-chain", className="wk-below"),
        title=words("sla.chain"),
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("sla-body", "children"),
        Output("sla-objective", "data"),
        Output("sla-objective", "value"),
        Output("sla-detail", "children"),
        Input("sla-tick", "n_intervals"),
        Input("sla-objective", "value"),
        blank=([], None, []),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, chosen: str | None) -> Any:
        data = await ask(caller)
        rows = data["rows"]
        names = [{"value": row["name"], "label": title(caller.words, row)} for row in rows]
        known = [row["name"] for row in rows]
        current = chosen if chosen in known else next(iter(known), None)
        shown = [detail(caller, row) for row in rows if row["name"] == current]
        return [body(caller, data), names, current if current != chosen else no_update, shown]

    @callbacks.callback_for(
        Permission.READ,
        Output("sla-chain", "children"),
        *(Input(f"sla-chain-{name}", "value") for name in ("count", "each", "whole")),
    )
    async def calculate(caller: Caller, count: str | None, each: str | None, whole: str | None) -> Any:
        if not (count or "").strip().isdecimal():
            return widgets.notice(caller.words("sla.chain_whole_number"), "orange")
        found = await caller.get("/api/wk/slo/composite", count=count, each=each or "", target=whole or "")
        return widgets.notice(chain(caller.words, found), "orange" if found["contradicts"] else "teal")

    report_files.register(callbacks, KEY, {"csv": sla_csv, "html": sla_html}, ask)


async def ask(caller: Caller) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await caller.get("/api/wk/slo")
    return found


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    rows, words = data["rows"], caller.words
    stamp = widgets.as_of(caller, caller.now(), times=SLOWER)
    parts = [stamp]
    if rows:
        parts += [
            html.Div(summary(words, rows), className="wk-strong"),
            widgets.card(table(caller, rows), widgets.quiet(words("sla.how")), title=words("sla.all")),
        ]
    else:
        parts.append(widgets.empty(caller, KEY))
    if data["composites"]:
        parts.append(composites(caller, data["composites"]))
    parts.append(response(caller, data))
    return html.Div(parts, className="wk-stack")


def standing(caller: Caller, status: str) -> Any:
    return widgets.badge(caller.words(f"sla.status.{status}"), COLOURS[status])


def table(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """A line for each promise and window, the worst first."""
    words = caller.words
    names = ("objective", "window", "target", "attained", "standing", "computed", "contract", "used", "left",
             "unknown", "burn_1h", "data_age")  # fmt: skip
    pairs = [(row, found) for row in rows for found in row["windows"]]
    pairs.sort(key=lambda pair: STATUSES.index(pair[1]["status"]))
    lines = [
        [
            html.Div(
                [
                    html.Div(title(words, row), className="wk-strong", title=f"{row['name']} {row['owner']}"),
                    widgets.quiet(tier(words, row)),
                ]
            ),
            html.Span(words(f"sla.window.{found['window']}"), title=days(words, found)),
            f"{row['target']}%",
            two_lines(percent(found["attained"]), at_worst(words, found)),
            two_lines(standing(caller, found["status"]), began(words, found)),
            minutes(words, found["computed"]),
            minutes(words, found["contract"]),
            minutes(words, found["used"]),
            two_lines(minutes(words, found["left"]), words.ratio(found["left_ratio"])),
            two_lines(minutes(words, found["unknown_minutes"]), words.ratio(found["unknown_ratio"])),
            words.number(row["burns"].get("1h"), 1),
            words.seconds(row["age_seconds"]),
        ]
        for row, found in pairs
    ]
    return widgets.table([words(f"sla.{name}") for name in names], lines, numeric=(2, 3, 5, 6, 7, 8, 9, 10, 11))


def at_worst(words: Words, found: Mapping[str, Any]) -> str:
    """What the share were if the unknown had been bad, where that differs."""
    worst = percent(found["attained_at_worst"])
    return "" if worst in (UNKNOWN, percent(found["attained"])) else words("sla.worst", worst=worst)


def two_lines(main: Any, more: str = "") -> Any:
    """A figure, and quietly below it what belongs to it."""
    return html.Div([html.Div(main), html.Div(more, className="wk-line")]) if more else main


def detail(caller: Caller, row: Mapping[str, Any]) -> Any:
    """How fast the budget of one objective goes, and what is left of it."""
    words = caller.words
    inside: list[Any] = []
    if row["error"]:
        inside.append(widgets.notice(row["error"], "orange", title=words("sla.not_counted")))
    inside += [html.Div(line, className="wk-line") for line in notes(words, row)]
    inside.append(html.Div(words("sla.owner", owner=row["owner"] or UNOWNED), className="wk-line"))
    burning = [
        line(words("sla.line.burn"), row["burn_points"]),
        line(words("sla.line.even"), level(row["burn_points"], 1.0)),
        line(words("sla.line.fast"), level(row["burn_points"], FAST)),
    ]
    window = words(f"sla.window.{row['budget_window']}")
    budget = [
        line(words("sla.line.left"), row["budget_points"], "ratio"),
        line(words("sla.spent"), level(row["budget_points"], 0.0), "ratio"),
    ]
    return html.Div(
        [
            widgets.card(*inside, title=title(words, row)),
            widgets.card(graph(caller, burning), title=words("sla.burn_chart")),
            widgets.card(graph(caller, budget), title=words("sla.budget_chart", window=window)),
        ],
        className="wk-stack",
    )


#: Nobody answers for it yet.
UNOWNED = "—"


def line(name: str, points: Sequence[Any], unit: str = "") -> dict[str, Any]:
    return {"name": name, "points": points, "labels": {"unit": unit}}


def level(points: Sequence[Any], value: float) -> list[list[float]]:
    """A straight line under or over others."""
    return [[points[0][0], value], [points[-1][0], value]] if points else []


def graph(caller: Caller, lines: Sequence[Mapping[str, Any]]) -> Any:
    if sum(point[1] is not None for point in lines[0]["points"]) < 2:
        return widgets.quiet(caller.words("sla.no_line"))
    figure = figures.chart(lines, caller.theme, caller.words.zone, {"band": "", "anomaly": ""})
    return dcc.Graph(figure=figure, config={"displayModeBar": False, "responsive": True}, style={"height": 260})


def composites(caller: Caller, found: Sequence[Mapping[str, Any]]) -> Any:
    notices = [
        widgets.notice(chain(caller.words, one), "orange" if one["contradicts"] else "teal", title=one["name"])
        for one in found
    ]
    return widgets.card(*notices, title=caller.words("sla.composites"))


def response(caller: Caller, data: Mapping[str, Any]) -> Any:
    """How many incidents of this month were answered in time."""
    words = caller.words
    rows = answered(words, data)
    names = ("severity", "in_time", "late", "running", "share")
    inside = (
        widgets.table([words(f"sla.{name}") for name in names], rows, numeric=(1, 2, 3, 4))
        if rows
        else widgets.quiet(words("sla.no_incidents"))
    )
    return widgets.card(inside, title=words("sla.response"))


PAGE = Page(key=KEY, path="/sla", area="reporting", layout=layout, register=register, charts=True)
