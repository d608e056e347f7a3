"""Detection: were the alarms right, what did people's words teach, and how good is each detector.

``/detection/inc-7`` and ``/detection/alert-7`` ask about one: that is where the link of a message leads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update

from dashboard import recorded_form, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.pages import detection_alarms, detection_risk, detection_scored, incident_causes
from dashboard.permissions import Permission

KEY = "detection"
#: What can be said of an alarm.
OPINIONS = {"right": "teal", "wrong": "red", "expected": "blue"}
#: Alarms shown, unless one is asked for.
SHOWN = 200
MINUTES_OF_A_DAY = 1440


def layout(caller: Caller, request: Request) -> Any:
    back = [dcc.Link(caller.words("detection.back"), href="/detection", className="wk-back")] if request.rest else []
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            *back,
            dcc.Store(id="detection-id", data=request.rest),
            html.Div(id="detection-notice"),
            widgets.waiting("detection-body"),
            *([] if request.rest else [recorded_form.form(caller)]),
            widgets.ticking(caller, KEY, times=2),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("detection-body", "children"),
        Input("detection-tick", "n_intervals"),
        Input("detection-notice", "children"),
        State("detection-id", "data"),
    )
    async def refresh(caller: Caller, _ticks: Any, _notice: Any, alarm_id: str) -> Any:
        if alarm_id:
            found = await caller.get(f"/api/wk/alarms/{quote(alarm_id, safe='')}")
            return widgets.card(alarms(caller, found["alarms"]), title=caller.words("detection.alarms"))
        found = await caller.get("/api/wk/alarms", limit=SHOWN)
        risks = await caller.get("/api/wk/risk", limit=detection_risk.SHOWN)
        scored = detection_scored.card(caller, await caller.get("/api/wk/scored", limit=detection_scored.SHOWN))
        return html.Div(
            [body(caller, found, await caller.get("/api/wk/detectors"), risks), scored], className="wk-stack"
        )

    hears(callbacks, "detection-say", "detection-notice")
    recorded_form.register(callbacks, "detection-notice")

    @callbacks.callback_for(
        Permission.ACKNOWLEDGE,
        Output("detection-notice", "children", allow_duplicate=True),
        Input({"type": "detection-undo", "id": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def undo(caller: Caller, _clicks: list[Any]) -> Any:
        pressed = ctx.triggered_id
        if not isinstance(pressed, Mapping):
            return no_update
        await caller.send("POST", f"/api/wk/feedback/{quote(pressed['id'], safe='')}/undo", {})
        return widgets.done(caller, "detection.undone")


def hears(callbacks: Callbacks, button: str, notice: str) -> None:
    """What the buttons of ``questions`` say goes to the engine; its thanks to ``notice``."""

    @callbacks.callback_for(
        Permission.ACKNOWLEDGE,
        Output(notice, "children", allow_duplicate=True),
        Input({"type": button, "id": ALL, "verdict": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def say(caller: Caller, _clicks: list[Any]) -> Any:
        pressed = ctx.triggered_id
        if not isinstance(pressed, Mapping):
            return no_update
        path = f"/api/wk/alarms/{quote(pressed['id'], safe='')}/verdict"
        await caller.send("POST", path, {"verdict": pressed["verdict"]})
        return widgets.done(caller, "detection.said")


def body(
    caller: Caller, listed: Mapping[str, Any], data: Mapping[str, Any], risks: Mapping[str, Any] | None = None
) -> Any:
    words = caller.words
    cards = [
        (alarms(caller, listed["alarms"]), "detection.alarms"),
        (figures(caller, data), "detection.figures"),
        (lessons(caller, data["expectations"]), "detection.lessons"),
        (moves(caller, data), "detection.moves"),
        (recorded(caller, data["recorded"]), "detection.recorded"),
    ]
    shown = [widgets.card(part, title=words(key)) for part, key in cards]
    foretold = detection_risk.cards(caller, risks) if risks is not None else []
    return html.Div([widgets.as_of(caller, data["now"], times=2), *foretold, *shown], className="wk-stack")


def alarms(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "detection.alarms")
    groups = detection_alarms.bursts(rows)
    shown = [detection_alarms.folded(caller, group, [_alarm(caller, row) for row in group]) for group in groups]
    return html.Div([part for parts in shown for part in parts])


def _alarm(caller: Caller, row: Mapping[str, Any]) -> Any:
    words = caller.words
    kind = words.word("detection.kind", row["labels"]["kind"]) if row["labels"].get("kind") else ""
    about = (words.moment(row["raised_at"]), row["service"], row["detector"], kind, row["id"])
    marks = [widgets.severity(caller, row["severity"])] if row["severity"] else []
    marks += [widgets.state(caller, "firing")] if row["is_open"] else []
    return html.Div(
        [
            widgets.row(*marks, html.Div(row["title"], className="wk-strong")),
            widgets.quiet(" · ".join(part for part in about if part)),
            widgets.labels(row["labels"]),
            *_how_far(caller, row),
            _judged(caller, row),
        ],
        className="wk-item",
    )


def _how_far(caller: Caller, row: Mapping[str, Any]) -> list[Any]:
    """Since when an anomaly is, how far from what, and what it is compared with."""
    kind, words = row["labels"].get("kind"), caller.words
    if not kind or row.get("factor") is None:
        return []
    numbers = {name: words.number(row.get(name)) for name in ("change", "baseline", "factor")}
    since = words("detection.since", at=words.moment(row["began_at"]))
    said = html.Div(f"{since} · {words(f'detection.far.{kind}', **numbers)}", className="wk-text")
    return [said, *([incident_causes.shares(caller, row["contributors"])] if row.get("contributors") else [])]


def _judged(caller: Caller, row: Mapping[str, Any]) -> Any:
    """The word that was said, with the way to take it back; else the question."""
    word = row["word"]
    if word is not None:
        return widgets.row(*said_of(caller, word), undo_button(caller, word["id"]))
    return questions(caller, row["id"])


def said_of(caller: Caller, word: Mapping[str, Any]) -> list[Any]:
    """What was said of an alarm, by whom and when."""
    said = caller.words(
        "detection.word", who=word["actor"], at=caller.words.moment(word["at"]), note=word["note"] or ""
    )
    mark = widgets.badge(caller.words(f"detection.{word['opinion']}"), OPINIONS[word["opinion"]])
    return [mark, html.Span(said, className="wk-text")]


def questions(caller: Caller, alarm_id: str, button: str = "detection-say") -> Any:
    """The three answers about an alarm, or about all alarms of an incident."""
    may = caller.may(Permission.ACKNOWLEDGE)
    return dmc.Group(
        [
            dmc.Button(
                caller.words(f"detection.{verdict}"), color=colour, variant="light", size="xs", disabled=not may,
                id={"type": button, "id": alarm_id, "verdict": verdict},
            )
            for verdict, colour in OPINIONS.items()
        ],
        gap="xs",
    )  # fmt: skip


def undo_button(caller: Caller, row_id: str) -> Any:
    return dmc.Button(
        caller.words("detection.undo"), id={"type": "detection-undo", "id": row_id}, size="compact-xs",
        variant="default", disabled=not caller.may(Permission.ACKNOWLEDGE),
    )  # fmt: skip


def figures(caller: Caller, data: Mapping[str, Any]) -> Any:
    if not data["figures"]:
        return widgets.empty(caller, "detection.figures")
    words = caller.words
    names = ("detector", "service", "precision", "recall", "time_to_detect", "right", "wrong", "expected", "missed")
    rows = [
        [
            words("detection.any") if one["detector"] == "any" else one["detector"],
            one["service"],
            html.Div([words.ratio(one["precision"]), widgets.quiet(_interval(caller, one))]),
            words.ratio(one["recall"]),
            words.seconds(one["time_to_detect_seconds"]),
            *(words.number(one[name], 0) for name in ("right", "wrong", "expected", "missed")),
        ]
        for one in data["figures"]
    ]
    note = widgets.quiet(words("detection.figures_note", days=data["days"]))
    head = [words(f"detection.{name}") for name in names]
    return html.Div([widgets.table(head, rows, numeric=range(2, 9)), note])


def _interval(caller: Caller, one: Mapping[str, Any]) -> str:
    if one["low"] is None:
        return ""
    words = caller.words
    found = f"{words.ratio(one['low'])} – {words.ratio(one['high'])}"
    return found if one["enough"] else words("detection.few", interval=found)


def lessons(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "detection.lessons")
    words = caller.words
    head = [words(f"detection.{name}") for name in ("alarm", "hour", "until", "who")]
    lines = [
        [
            html.Div([html.Div(one["title"], className="wk-strong"), widgets.labels(one["labels"])]),
            _hour(caller, one),
            words.moment(one["until"]),
            one["actor"],
            undo_button(caller, one["id"]),
        ]
        for one in rows
    ]
    return widgets.table([*head, ""], lines)


def _hour(caller: Caller, one: Mapping[str, Any]) -> str:
    day, minute = divmod(one["minute"], MINUTES_OF_A_DAY)
    name = caller.words(f"detection.day.{day}")
    return f"{name} {minute // 60:02d}:{minute % 60:02d} ({one['zone']})"


def moves(caller: Caller, data: Mapping[str, Any]) -> Any:
    if not data["moves"]:
        return widgets.empty(caller, "detection.moves")
    words = caller.words
    head = [words(f"detection.{name}") for name in ("at", "service", "metric", "old", "new", "why", "who")]
    lines = [
        [
            words.moment(one["at"]),
            one["service"],
            one["metric"] or words("detection.every_metric"),
            words.number(one["old"]),
            words.number(one["new"]),
            html.Div([words(f"detection.why.{one['why']}"), widgets.quiet(one["feedback"])]),
            one["actor"],
            words("detection.was_undone", who=one["undone_by"]) if one["undone_at"] else undo_button(caller, one["id"]),
        ]
        for one in data["moves"]
    ]
    lower, upper = (words.number(bound) for bound in data["bounds"])
    return html.Div(
        [
            widgets.table([*head, ""], lines, numeric=(3, 4)),
            widgets.quiet(words("detection.bounds", lower=lower, upper=upper)),
        ]
    )


def recorded(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "detection.recorded")
    words = caller.words
    head = [words(f"detection.{name}") for name in ("began", "service", "what", "told_by", "who")]
    lines = [
        [
            words.moment(one["began_at"]),
            one["service"],
            one["what"],
            ", ".join(sorted(one["found"])) or words("detection.nobody"),
            one["actor"],
            words("detection.was_undone", who=one["undone_by"]) if one["undone_at"] else undo_button(caller, one["id"]),
        ]
        for one in rows
    ]
    return widgets.table([*head, ""], lines)


PAGE = Page(key=KEY, path="/detection", area="realtime", layout=layout, register=register, below=True)
