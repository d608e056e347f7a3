"""The first page: eight signals, what is broken, what will break, and who has to act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dash import Input, Output, dcc, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.figures import tile_image
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from dashboard.reports.capacity import advice

KEY = "overview"
#: Scores from here on are unusual, and very unusual.
UNUSUAL, VERY_UNUSUAL = 0.5, 0.8
#: Rows of the two lists.
SHOWN = 6


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [widgets.page_head(caller, KEY), widgets.waiting("overview-body"), widgets.ticking(caller, KEY)],
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ, Output("overview-body", "children"), Input("overview-tick", "n_intervals"), shared=True
    )
    async def refresh(caller: Caller, _ticks: int | None) -> Any:
        return body(caller, await caller.get("/api/wk/overview"))


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    return html.Div(
        [
            widgets.as_of(caller, data["now"]),
            summary(caller, data),
            widgets.grid_of([tile(caller, signal) for signal in data["signals"]]),
            widgets.grid_of([incidents(caller, data), warnings(caller, data)], smallest=420),
        ],
        className="wk-stack",
    )


# --- the line of figures ---------------------------------------------------------------------------------------------


def summary(caller: Caller, data: Mapping[str, Any]) -> Any:
    words, collectors, switch = caller.words, data["collectors"], data["kill_switch"]
    failing, waiting = collectors["failing"], data["actions_waiting"]
    healthy = words("overview.collectors_value", healthy=collectors["healthy"], total=collectors["total"])
    all_well = failing == 0 and collectors["healthy"] == collectors["total"] and collectors["total"] > 0
    parts = [
        ("incidents", str(len(data["incidents"])), "red" if data["incidents"] else "teal", "/incidents"),
        ("waiting", str(waiting), "orange" if waiting else "teal", "/actions"),
        ("collectors", healthy, "red" if failing else "teal" if all_well else "gray", "/collectors"),
        ("unknown_rules", str(data["unknown_rules"]), "gray" if data["unknown_rules"] else "teal", "/rules"),
        (
            "kill_switch",
            words(f"kill_switch.{'on' if switch['on'] else 'off'}"),
            "red" if switch["on"] else "teal",
            "/actions",
        ),
    ]
    return html.Div(
        [
            dcc.Link(
                [html.Span(words(f"overview.{name}"), className="wk-stat-name"), html.Span(value, className="wk-stat")],
                href=href,
                className=f"wk-summary wk-mark-{colour} wk-summary-{name}",
            )
            for name, value, colour, href in parts
        ],
        className="wk-summaries",
    )


# --- tiles -----------------------------------------------------------------------------------------------------------


def tile(caller: Caller, signal: Mapping[str, Any]) -> Any:
    words, key = caller.words, signal["key"]
    name = words(f"signal.{key}")
    if signal["missing"]:
        hint = words(f"missing.{signal['missing']}")
        inside = [
            html.Div(words("tile.no_source"), className="wk-missing"),
            widgets.quiet(hint),
        ]
        return widgets.card(*inside, title=name, class_name="wk-tile wk-tile-missing")
    stale = bool(signal["stale"])
    image = tile_image(signal["points"], signal["band"], signal["forecast"], caller.theme)
    inside = [
        html.Div(words.quantity(signal["value"], signal["unit"]), className="wk-value"),
        html.Img(src=image, alt=words("tile.image", name=name), className="wk-spark"),
        html.Div(expected(caller, signal), className="wk-line"),
        html.Div(forecast(caller, signal), className="wk-line"),
        html.Div(age(caller, signal), className="wk-line wk-age"),
    ]
    aside = widgets.badge(words("tile.stale"), "orange", "filled") if stale else score(caller, signal)
    classes = f"wk-tile wk-tile-{key}" + (" wk-stale" if stale else "")
    link = dcc.Link(name, href=f"/explore?expr={quote(key)}", className="wk-tile-name")
    head = widgets.row(link, aside, spread=True)
    return widgets.card(head, *inside, class_name=classes)


def score(caller: Caller, signal: Mapping[str, Any]) -> Any:
    """What is still learned is called neither usual nor unusual."""
    words, value = caller.words, signal["score"]
    if signal["learning"]:
        return widgets.badge(words("tile.learning"), "gray")
    if value is None:
        return widgets.badge(words("tile.score_unknown"), "gray")
    level = "very_unusual" if value >= VERY_UNUSUAL else "unusual" if value >= UNUSUAL else "usual"
    colour = {"usual": "teal", "unusual": "orange", "very_unusual": "red"}[level]
    return widgets.badge(words(f"tile.{level}", score=words.number(value)), colour)


def expected(caller: Caller, signal: Mapping[str, Any]) -> str:
    words, unit = caller.words, signal["unit"]
    if signal["lower"] is None or signal["upper"] is None:
        return words("tile.no_band")
    return words("tile.band", low=words.quantity(signal["lower"], unit), high=words.quantity(signal["upper"], unit))


def forecast(caller: Caller, signal: Mapping[str, Any]) -> str:
    words, unit, ahead = caller.words, signal["unit"], signal["forecast"]
    if not ahead or signal["forecast_unknown"]:
        return words("tile.no_forecast")
    when, low, middle, high = ahead[-1]
    start = signal["points"][-1][0] if signal["points"] else ahead[0][0]
    return words(
        "tile.forecast",
        ahead=words.seconds(max((when - start) / 1000, 0)),
        middle=words.quantity(middle, unit),
        low=words.quantity(low, unit),
        high=words.quantity(high, unit),
    )


def age(caller: Caller, signal: Mapping[str, Any]) -> str:
    words = caller.words
    if signal["stale"]:
        return words("tile.stale_since", at=words.moment(signal["at"]))
    return words("tile.age", age=words.seconds(signal["age_seconds"]))


# --- lists -----------------------------------------------------------------------------------------------------------


def incidents(caller: Caller, data: Mapping[str, Any]) -> Any:
    words, rows = caller.words, data["incidents"]
    if not rows:
        return widgets.card(
            widgets.empty(caller, "overview.incidents", colour="teal"), title=words("overview.incidents")
        )
    table = widgets.table(
        [words("incident.severity"), words("incident.title"), words("incident.state"), words("incident.opened")],
        [
            [
                widgets.severity(caller, row["severity"]),
                dcc.Link(words.title(row), href=f"/incidents/{quote(row['id'], safe='')}", className="wk-strong"),
                widgets.state(caller, row["state"]),
                words.moment(row["opened_at"]),
            ]
            for row in rows[:SHOWN]
        ],
    )
    return widgets.card(table, title=words("overview.incidents"))


def warnings(caller: Caller, data: Mapping[str, Any]) -> Any:
    words, rows = caller.words, data["warnings"]
    title = words("overview.warnings")
    if not rows:
        return widgets.card(widgets.empty(caller, "overview.warnings", colour="teal"), title=title)
    table = widgets.table(
        [words("incident.severity"), words("capacity.pool"), words("overview.exhausts")],
        [
            [
                widgets.severity(caller, row["severity"]),
                html.Div(
                    [
                        html.Div(row["pool"], className="wk-strong"),
                        html.Div(advice(row["text"], words), className="wk-line"),
                    ]
                ),
                words.moment(row["exhausts_at"]),
            ]
            for row in rows[:SHOWN]
        ],
    )
    return widgets.card(table, title=title)


PAGE = Page(key=KEY, path="/", area="realtime", layout=layout, register=register)
