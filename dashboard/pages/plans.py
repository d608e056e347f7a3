"""Contingency plans: what is under way and for how long, what to do now, drills, and earlier runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html, no_update

from dashboard import plan_runs, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "plans"


def layout(caller: Caller, _request: Request) -> Any:
    words = caller.words
    note = dmc.TextInput(id="plans-note", label=words("plans.note"), placeholder=words("plans.note_hint"))
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            html.Div(id="plans-notice", className="wk-below"),
            html.Div(id="plans-fingerprint", hidden=True),
            widgets.waiting("plans-live"),
            widgets.card(note, html.Div(id="plans-buttons", className="wk-stack"), title=words("plans.say")),
            html.Div(id="plans-known", className="wk-body"),
            html.Div(id="plans-past", className="wk-body"),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("plans-live", "children"),
        Output("plans-past", "children"),
        Output("plans-known", "children"),
        Output("plans-buttons", "children"),
        Output("plans-fingerprint", "children"),
        Input("plans-tick", "n_intervals"),
        Input("plans-notice", "children"),
        State("plans-fingerprint", "children"),
        blank=([], [], [], ""),
    )
    async def refresh(caller: Caller, _ticks: Any, _notice: Any, old: str | None) -> Any:
        data = await caller.get("/api/wk/plans", limit=50)
        fingerprint = _fingerprint(data)
        shown = [live(caller, data), past(caller, data["recent"])]
        if fingerprint == old:  # somebody may be about to press a button
            return [*shown, no_update, no_update, fingerprint]
        return [*shown, known(caller, data["plans"]), hands(caller, data), fingerprint]

    @callbacks.callback_for(
        Permission.ACKNOWLEDGE,
        Output("plans-notice", "children", allow_duplicate=True),
        Output("plans-note", "value", allow_duplicate=True),
        Input({"type": "plan-step", "run": ALL, "step": ALL, "word": ALL}, "n_clicks"),
        State("plans-note", "value"),
        prevent_initial_call=True,
    )
    async def say(caller: Caller, _clicks: list[Any], note: str | None) -> Any:
        pressed = _pressed()
        path = f"/api/wk/plans/runs/{_quoted(pressed['run'])}/steps/{_quoted(pressed['step'])}/{pressed['word']}"
        if pressed["word"] in ("failed", "skip") and not (note or "").strip():
            return [widgets.notice(caller.words("plans.note_needed"), "orange"), no_update]
        await caller.send("POST", path, {"note": note or ""})
        return [widgets.done(caller, "plans.said"), ""]

    @callbacks.callback_for(
        Permission.ACKNOWLEDGE,
        Output("plans-notice", "children", allow_duplicate=True),
        Output("plans-note", "value", allow_duplicate=True),
        Input({"type": "plan-abort", "run": ALL}, "n_clicks"),
        State("plans-note", "value"),
        prevent_initial_call=True,
    )
    async def call_off(caller: Caller, _clicks: list[Any], note: str | None) -> Any:
        if not (note or "").strip():
            return [widgets.notice(caller.words("plans.note_needed"), "orange"), no_update]
        await caller.send("POST", f"/api/wk/plans/runs/{_quoted(_pressed()['run'])}/abort", {"note": note})
        return [widgets.done(caller, "plans.aborted"), ""]

    @callbacks.callback_for(
        Permission.APPROVE,
        Output("plans-notice", "children", allow_duplicate=True),
        Output("plans-note", "value", allow_duplicate=True),
        Input({"type": "plan-start", "plan": ALL, "drill": ALL}, "n_clicks"),
        State("plans-note", "value"),
        prevent_initial_call=True,
    )
    async def begin(caller: Caller, _clicks: list[Any], note: str | None) -> Any:
        pressed = _pressed()
        if not (note or "").strip():
            return [widgets.notice(caller.words("plans.note_needed"), "orange"), no_update]
        sent = {"reason": note, "drill": pressed["drill"] == "yes"}
        await caller.send("POST", f"/api/wk/plans/{_quoted(pressed['plan'])}/start", sent)
        return [widgets.done(caller, "plans.begun"), ""]


def _pressed() -> Mapping[str, str]:
    found: Mapping[str, str] = ctx.triggered_id or {}
    return found


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _fingerprint(data: Mapping[str, Any]) -> str:
    """Changes when the buttons do."""
    steps = [
        [run["id"], run["current"], [[one["state"], one["action_state"]] for one in run["steps"]]]
        for run in data["live"]
    ]
    plans = [[one["name"], one["version"], one["drilled_at"], one["drill_overdue"]] for one in data["plans"]]
    return hashlib.sha256(json.dumps([steps, plans]).encode()).hexdigest()


def live(caller: Caller, data: Mapping[str, Any]) -> Any:
    stamp = widgets.as_of(caller, caller.now())
    if not data["live"]:
        return html.Div([stamp, widgets.empty(caller, "plans.live", colour="teal")])
    vendors = {one["name"]: one for one in data["vendors"]}
    return html.Div([stamp, *[plan_runs.card(caller, run, vendors) for run in data["live"]]], className="wk-stack")


def hands(caller: Caller, data: Mapping[str, Any]) -> Any:
    if not data["live"]:
        return [widgets.quiet(caller.words("plans.nothing_to_say"))]
    return [plan_runs.buttons(caller, run) for run in data["live"]]


def known(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """The plans in force, how old their drills are, and the buttons that begin one."""
    words = caller.words
    if not rows:
        return widgets.card(widgets.empty(caller, KEY), title=words("plans.known"))
    head = [words(f"plans.{name}") for name in ("plan", "begins", "steps", "target", "drill", "start")]
    return widgets.card(widgets.table(head, [_known(caller, row) for row in rows]), title=words("plans.known"))


def _known(caller: Caller, row: Mapping[str, Any]) -> Sequence[Any]:
    words = caller.words
    name = html.Div([html.Div(plan_runs.titled(caller, row)), html.Div(row["owner"], className="wk-line")])
    return [
        name, _trigger(caller, row), str(len(row["steps"])), words.seconds(row["target_seconds"]),
        _drilled(caller, row),
        dmc.Group([_begins(caller, row, "no"), _begins(caller, row, "yes")]),
    ]  # fmt: skip


def _trigger(caller: Caller, row: Mapping[str, Any]) -> Any:
    words, trigger = caller.words, row["trigger"]
    if row["by_hand"]:
        return words("plans.by_hand")
    parts = [*trigger["alerts"], trigger["service"], trigger["severity"]]
    named = ", ".join(
        [*(part for part in parts if part), *(f"{key}={value}" for key, value in trigger["labels"].items())]
    )
    lasting = trigger["lasting_seconds"]
    return words("plans.lasting", what=named, span=words.seconds(lasting)) if lasting else named


def _drilled(caller: Caller, row: Mapping[str, Any]) -> Any:
    words, age = caller.words, row["drill_age_seconds"]
    text = words("plans.never") if age is None else words.ago(round(age))
    return widgets.badge(text, "red" if row["drill_overdue"] else "teal" if age is not None else "gray")


def _begins(caller: Caller, row: Mapping[str, Any], drill: str) -> Any:
    return dmc.Button(
        caller.words("plans.begin_drill" if drill == "yes" else "plans.begin"),
        id={"type": "plan-start", "plan": row["name"], "drill": drill},
        size="xs",
        variant="light" if drill == "yes" else "default",
        disabled=not caller.may(Permission.APPROVE),
    )


def past(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Runs and drills that are over, with what they took and their evidence."""
    words = caller.words
    if not rows:
        return widgets.card(widgets.empty(caller, "plans.past"), title=words("plans.past"))
    head = [words(f"plans.{name}") for name in ("run", "plan", "what", "state", "triggered", "clock", "evidence")]
    return widgets.card(widgets.table(head, [_past(caller, row) for row in rows]), title=words("plans.past"))


def _past(caller: Caller, row: Mapping[str, Any]) -> Sequence[Any]:
    words = caller.words
    what = words("plans.drill_mark") if row["drill"] else row["incident_id"] or words("plans.no_incident")
    return [
        row["id"], plan_runs.titled(caller, row), what, plan_runs.state(caller, row["state"]),
        words.moment(row["clock_at"]),
        plan_runs.clock(caller, row), plan_runs.pack(caller, row),
    ]  # fmt: skip


PAGE = Page(key=KEY, path="/plans", area="realtime", layout=layout, register=register)
