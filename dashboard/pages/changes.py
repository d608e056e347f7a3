"""What is done to the services: deliveries to production, ages of backups and drills, releases, and every event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Input, Output, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.marks import web
from dashboard.page import Page, Request
from dashboard.pages import changes_calendar
from dashboard.permissions import Permission

KEY = "changes"
AGES = {"good": "teal", "late": "red", "slow": "orange", "never": "red"}
STATUS = {"ok": "teal", "failed": "red", "running": "blue", "planned": "gray", "cancelled": "gray", "unknown": "gray"}
SOAK = {"good": "teal", "watching": "blue", "roll_back": "red"}
VERDICTS = {"passed": "teal", "failed": "red", "watching": "blue", "unknown": "gray"}
FIGURES = ("per_day", "lead_time_seconds", "failure_ratio", "recovery_seconds")


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [widgets.page_head(caller, KEY), widgets.waiting("changes-body"), widgets.ticking(caller, KEY)],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ, Output("changes-body", "children"), Input("changes-tick", "n_intervals"), shared=True
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        return body(caller, await caller.get("/api/wk/changes"))


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    stamp = widgets.as_of(caller, data["now"])
    if not (data["events"] or data["ages"] or data["calendar"]):
        return html.Div([stamp, widgets.empty(caller, KEY)], className="wk-stack")
    words = caller.words
    parts = [
        stamp,
        html.H3(words("changes.dora"), className="wk-title"),
        widgets.grid_of([tile(caller, data["dora"], name) for name in FIGURES]),
        *changes_calendar.cards(caller, data),
        widgets.card(ages(caller, data["ages"]), title=words("changes.ages")) if data["ages"] else None,
        widgets.card(releases(caller, data), title=words("changes.releases")) if data["releases"] else None,
        widgets.card(events(caller, data["events"]), title=words("changes.events")) if data["events"] else None,
    ]
    return html.Div([part for part in parts if part is not None], className="wk-stack")


def tile(caller: Caller, figures: Mapping[str, Mapping[str, Any]], name: str) -> Any:
    """A figure of 30 days, and of 7."""
    words = caller.words
    lines = [words("changes.week", value=figure(caller, name, figures["7d"][name]))]
    if name == "per_day":
        lines.append(words("changes.count", count=words.number(figures["30d"]["deployments"], 0)))
    return widgets.card(
        html.Div(html.Span(words(f"changes.{name}"), className="wk-tile-name"), className="wk-card-head"),
        html.Div(figure(caller, name, figures["30d"][name]), className="wk-value"),
        *[html.Div(line, className="wk-line") for line in lines],
        class_name="wk-tile",
    )


def figure(caller: Caller, name: str, value: float | None) -> str:
    words = caller.words
    if name.endswith("_seconds"):
        return words.seconds(value)
    return words.ratio(value) if name.endswith("_ratio") else words.number(value)


def ages(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = [words(f"changes.{name}") for name in ("service", "what", "age", "target", "took", "target", "state")]
    lines = [
        [
            html.Span(row["service"], className="wk-strong"),
            words.word("changes.kind", row["kind"]),
            words.seconds(row["age_seconds"]),
            words.seconds(row["target_seconds"]),
            words.seconds(row["duration_seconds"]),
            words.seconds(row["duration_target_seconds"]),
            widgets.badge(words(f"changes.age.{row['status']}"), AGES[row["status"]]),
        ]
        for row in rows
    ]
    return widgets.table(head, lines, numeric=(2, 3, 4, 5))


def releases(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    names = ("service", "start", "state", "tests", "soak", "metrics")
    head = [*(words(f"changes.{name}") for name in names), *(words(f"changes.gate.{gate}") for gate in data["gates"])]
    lines = [
        [
            two_lines(row["service"], row["version"][:12], row["environment"]),
            two_lines(words.moment(row["start"]), words.seconds(row["seconds"])),
            status(caller, row["status"]),
            words.ratio(row["tests_ratio"]),
            widgets.badge(words(f"changes.soak.{row['soak']}"), SOAK[row["soak"]]) if row["soak"] else "",
            verdict(caller, row["metrics"]),
            *(status(caller, row["gates"][gate]) for gate in data["gates"]),
        ]
        for row in data["releases"]
    ]
    return widgets.table(head, lines, numeric=(3,))


def verdict(caller: Caller, found: Mapping[str, Any]) -> Any:
    """What the metrics before and after say, each measurement in a line."""
    words = caller.words
    if not found["verdict"]:
        return ""
    lines = [
        widgets.quiet(
            words(
                f"changes.check.{one['verdict']}",
                name=words.word("service.signal", one["name"]),
                before=words.number(one["before"], 4),
                after=words.number(one["after"], 4),
            )
        )
        for one in found["checks"]
    ]
    return html.Div([widgets.badge(words(f"changes.verdict.{found['verdict']}"), VERDICTS[found["verdict"]]), *lines])


def two_lines(first: str, *more: str) -> Any:
    return html.Div([html.Div(first, className="wk-strong"), widgets.quiet(" · ".join(part for part in more if part))])


def status(caller: Caller, value: str) -> Any:
    return widgets.badge(caller.words(f"changes.status.{value}"), STATUS[value])


def events(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = [words(f"changes.{name}") for name in ("start", "what", "service", "title_column", "actor", "state")]
    return widgets.table(head, [event(caller, row) for row in rows])


def event(caller: Caller, row: Mapping[str, Any]) -> list[Any]:
    words, link = caller.words, row["link"]
    title = html.A(row["title"], href=link, rel="noreferrer") if web(link) else html.Span(row["title"])
    about = " · ".join(part for part in (row["environment"], row["version"][:12], row["source"], row["id"]) if part)
    wrong = row["out_of_order"]
    return [
        words.moment(row["start"]),
        words.word("changes.kind", row["kind"]),
        row["service"],
        html.Div([title, widgets.quiet(about)]),
        row["actor"],
        widgets.row(
            status(caller, row["status"]),
            *([widgets.badge(words(f"changes.order.{wrong}"), "orange")] if wrong else []),
        ),
    ]


PAGE = Page(key=KEY, path="/changes", area="realtime", layout=layout, register=register)
