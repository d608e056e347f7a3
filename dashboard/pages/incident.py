"""One incident: what happened when, which alerts and actions belong to it, who was told, and the acknowledge button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.marks import web
from dashboard.pages import detection, incident_causes, incident_charts, logs
from dashboard.permissions import Permission
from watchkeeper.clock import to_ms

KEY = "incident"


def layout(caller: Caller, incident_id: str) -> Any:
    words = caller.words
    may = caller.may(Permission.ACKNOWLEDGE)
    answer = [
        dmc.Textarea(
            id="incident-note", label=words("incident.note"), placeholder=words("incident.note_hint"),
            autosize=True, minRows=2, disabled=not may,
        ),
        dmc.Group(
            [
                dmc.Button(words("incident.acknowledge"), id="incident-acknowledge", disabled=not may),
                dmc.Button(words("incident.add_note"), id="incident-add-note", variant="default", disabled=not may),
            ],
            mt="sm",
        ),
        widgets.quiet(words("detection.judge")),
        detection.questions(caller, incident_id, "incident-say"),
        html.Div(id="incident-notice", className="wk-below"),
    ]  # fmt: skip
    return html.Div(
        [
            dcc.Link(words("incident.back"), href="/incidents", className="wk-back"),
            dcc.Store(id="incident-id", data=incident_id),
            widgets.waiting("incident-body"),
            widgets.card(*answer, title=words("incident.answer")),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("incident-body", "children"),
        Output("incident-acknowledge", "disabled"),
        Input("incident-tick", "n_intervals"),
        Input("incident-notice", "children"),
        State("incident-id", "data"),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, _notice: Any, incident_id: str) -> Any:
        data = await caller.get(f"/api/wk/incidents/{quote(incident_id, safe='')}")
        charts = await incident_charts.ask(caller, data)
        found = await caller.get(f"/api/wk/incidents/{quote(incident_id, safe='')}/causes")
        over = data["incident"]["state"] == "resolved"  # nothing is left to be answered; a note may still be added
        return [body(caller, data, charts, found), over or not caller.may(Permission.ACKNOWLEDGE)]

    def answers(button: str, path: str, field: str, done: str) -> None:
        @callbacks.callback_for(
            Permission.ACKNOWLEDGE,
            Output("incident-notice", "children", allow_duplicate=True),
            Output("incident-note", "value", allow_duplicate=True),
            Input(button, "n_clicks"),
            State("incident-id", "data"),
            State("incident-note", "value"),
            prevent_initial_call=True,
        )
        async def send(caller: Caller, _clicks: int, incident_id: str, note: str | None) -> Any:
            await caller.send("POST", f"/api/wk/incidents/{quote(incident_id, safe='')}/{path}", {field: note or ""})
            return [widgets.done(caller, done), ""]

    answers("incident-acknowledge", "acknowledge", "note", "incident.acknowledged")
    answers("incident-add-note", "note", "text", "incident.noted")
    detection.hears(callbacks, "incident-say", "incident-notice")


def _lines(one: Mapping[str, Any]) -> str:
    """The address of the lines around the beginning of an incident, of its service where it names one."""
    opened = to_ms(datetime.fromisoformat(one["opened_at"]))
    around = round(logs.AROUND.total_seconds() * 1000)
    service = one["labels"].get("service", "")
    return logs.href(service=service, start_ms=opened - 2 * around, end_ms=opened + around)


def body(
    caller: Caller,
    data: Mapping[str, Any],
    charts: Sequence[Mapping[str, Any]] = (),
    began: Mapping[str, Any] | None = None,
) -> Any:
    words, one = caller.words, data["incident"]
    head = html.Div(
        [
            widgets.row(widgets.severity(caller, one["severity"]), widgets.state(caller, one["state"])),
            html.H2(words.title(one), className="wk-title"),
            widgets.labels(one["labels"]),
            dcc.Link(words("logs.around"), href=_lines(one), className="wk-strong"),
        ]
    )
    secure = one["details"].get("clock") == "security"
    title = words("incident.clocks_security") if secure else words("incident.clocks")
    by = f" · {one['acknowledged_by']}" if one["acknowledged_by"] else ""
    clocks = widgets.facts(
        [
            (words("incident.id"), one["id"]),
            (words("incident.opened"), words.moment(one["opened_at"])),
            (words("incident.respond_by"), words.moment(one["respond_by"])),
            (words("incident.acknowledged_at"), words.moment(one["acknowledged_at"]) + by),
            (words("incident.mitigated"), words.moment(one["mitigated_at"])),
            (words("incident.resolved"), words.moment(one["resolved_at"])),
        ]
    )
    return html.Div(
        [
            widgets.as_of(caller, caller.now()),
            head,
            widgets.grid_of(
                [
                    widgets.card(clocks, title=title),
                    widgets.card(_alerts(caller, data["alerts"], data["changes"]), title=words("incident.alerts")),
                ],
                smallest=420,
            ),
            *incident_causes.cards(caller, (began or {}).get("causes", ())),
            *incident_causes.groups(caller, (began or {}).get("groups", ())),
            *_changes(caller, data["changes"]),
            *incident_charts.cards(caller, data, charts),
            widgets.card(_timeline(caller, data["timeline"]), title=words("incident.timeline")),
            widgets.grid_of(
                [
                    widgets.card(_actions(caller, data["actions"]), title=words("incident.actions")),
                    widgets.card(_deliveries(caller, data["deliveries"]), title=words("incident.deliveries")),
                ],
                smallest=420,
            ),
        ],
        className="wk-stack",
    )


def _changes(caller: Caller, rows: list[Mapping[str, Any]]) -> list[Any]:
    """What was changed just before, in the service or in what it depends on; nothing where nothing was."""
    lines = [
        html.Div(
            [widgets.row(*_change_head(caller, row)), widgets.quiet(_change_about(caller, row))], className="wk-item"
        )
        for row in rows
    ]
    return [widgets.card(*lines, title=caller.words("incident.changes"))] if lines else []


def _change_head(caller: Caller, row: Mapping[str, Any]) -> list[Any]:
    return [
        widgets.badge(caller.words.word("changes.kind", row["kind"]), "blue"),
        html.Span(
            html.A(row["title"], href=row["link"], rel="noreferrer") if web(row["link"]) else row["title"],
            className="wk-strong",
        ),
        widgets.state(caller, row["status"], "changes.status"),
    ]


def _change_about(caller: Caller, row: Mapping[str, Any]) -> str:
    words = caller.words
    whose = words(f"incident.changes.{row['whose']}")
    parts = (words.moment(row["start"]), row["service"], whose, row["version"], row["actor"], row["id"])
    return " · ".join(part for part in parts if part)


def _alerts(caller: Caller, rows: list[Mapping[str, Any]], changes: list[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "incident.alerts")
    words = caller.words
    tags = [widgets.badge(words.word("changes.kind", one["kind"]), "blue") for one in changes[:1]]
    return html.Div(
        [
            html.Div(
                [
                    widgets.row(
                        html.Div(row["rule"], className="wk-strong"),
                        widgets.state(caller, row["state"]),
                        *tags,
                        html.Span(words("incident.value", value=words.number(row["value"], 4)), className="wk-text"),
                    ),
                    html.Div(words.annotation(row, "summary"), className="wk-text"),
                    widgets.labels(row["labels"]),
                    html.Code(row["expr"], className="wk-series"),
                    widgets.row(
                        *(detection.said_of(caller, row["word"]) if row["word"] else ()),
                        dcc.Link(
                            words("detection.judge"),
                            href=f"/detection/{quote(row['id'], safe='')}",
                            className="wk-back",
                        ),
                    ),
                ],
                className="wk-item",
            )
            for row in rows
        ]
    )


def _timeline(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "incident.timeline")
    words = caller.words
    return html.Ul(
        [
            html.Li(
                [
                    html.Div(_change(caller, row), className="wk-strong"),
                    html.Div(words.why(row["reason"]), className="wk-text"),
                    widgets.quiet(
                        " · ".join(part for part in (words.moment(row["at"]), row["subject_id"], row["actor"]) if part)
                    ),
                ]
            )
            for row in rows
        ],
        className="wk-timeline",
    )


def _change(caller: Caller, row: Mapping[str, Any]) -> str:
    words = caller.words
    kind, new = words.word("kind", row["kind"]), words.word("state", row["new_state"])
    if not row["old_state"] or row["old_state"] == row["new_state"]:
        return words("timeline.stays", kind=kind, state=new)
    return words("timeline.changes", kind=kind, old=words.word("state", row["old_state"]), new=new)


def _actions(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "incident.actions")
    words = caller.words
    return widgets.table(
        [words("action.rule"), words("action.change"), words("action.risk"), words("incident.state")],
        [
            [
                html.Div([html.Div(row["rule"], className="wk-strong"), widgets.quiet(row["id"])]),
                widgets.change(row),
                widgets.risk(caller, row),
                widgets.state(caller, row["state"]),
            ]
            for row in rows
        ],
    )


def _deliveries(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "incident.deliveries")
    words = caller.words
    return widgets.table(
        [words("incident.at"), words("incident.channel"), words("incident.told"), words("incident.state")],
        [
            [
                words.moment(row["at"]),
                row["channel"],
                row["title"],
                html.Div([widgets.state(caller, row["state"]), html.Div(_detail(caller, row), className="wk-line")]),
            ]
            for row in rows
        ],
    )


def _detail(caller: Caller, row: Mapping[str, Any]) -> str:
    detail = caller.words.why(row["detail"])
    return caller.words("incident.repeat", detail=detail) if row["possible_repeat"] else detail
