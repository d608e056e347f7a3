"""What Watchkeeper wants to change: plans that wait for a person, what was done, the kill switch and the audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html, no_update

from dashboard import dual_links, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from watchkeeper.wording import state_text

KEY = "actions"
AWAITING = "awaiting_approval"
#: Rows of the tables of the past.
SHOWN = 30
#: Characters of a detail that are shown before it is unfolded.
FOLDED = 90
#: Values and ids of the fields in which reasons are typed, in the same order.
Reasons = list[str | None]
Ids = list[dict[str, str]]


def layout(caller: Caller, _request: Request) -> Any:
    words = caller.words
    switch = [
        html.Div(id="actions-switch"),
        dmc.TextInput(
            id="actions-switch-reason", label=words("kill_switch.reason"), placeholder=words("kill_switch.hint"),
        ),
        dmc.Group(
            [
                dmc.Button(
                    words("kill_switch.set"), id="actions-switch-on", color="red",
                    disabled=not caller.may(Permission.KILL_SWITCH_SET),
                ),
                dmc.Button(
                    words("kill_switch.clear"), id="actions-switch-off", variant="default",
                    disabled=not caller.may(Permission.KILL_SWITCH_CLEAR),
                ),
            ],
            mt="sm",
        ),
        html.Div(id="actions-switch-notice", className="wk-below"),
    ]  # fmt: skip
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            html.Div(id="actions-notice", className="wk-below"),
            html.Div(id="actions-fingerprint", hidden=True),
            widgets.waiting("actions-waiting"),
            widgets.card(*switch, title=words("kill_switch.title"), class_name="wk-switch"),
            html.Div(id="actions-body", className="wk-body"),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("actions-body", "children"),
        Output("actions-switch", "children"),
        Output("actions-waiting", "children"),
        Output("actions-fingerprint", "children"),
        Input("actions-tick", "n_intervals"),
        Input("actions-notice", "children"),
        Input("actions-switch-notice", "children"),
        State("actions-fingerprint", "children"),
        State({"type": "action-reason", "id": ALL}, "value"),
        State({"type": "action-reason", "id": ALL}, "id"),
        blank=([], [], ""),
    )
    async def refresh(
        caller: Caller, _ticks: Any, _notice: Any, _switched: Any, old: str | None, values: Reasons, ids: Ids
    ) -> Any:
        data = await caller.get("/api/wk/actions", limit=200)
        audit = await caller.get("/api/wk/audit", limit=50)
        links = (await caller.get("/api/wk/quality"))["links"]
        plans = [row for row in data["actions"] if row["state"] == AWAITING]
        fingerprint = _fingerprint(plans)
        # A card that did not change is left alone: somebody may be typing a reason into it.
        cards = no_update if fingerprint == old else waiting(caller, plans, reasons(values, ids))
        return [body(caller, data, audit, links), switch(caller, data["kill_switch"]), cards, fingerprint]

    def decides(verdict: str) -> None:
        @callbacks.callback_for(
            Permission.APPROVE,
            Output("actions-notice", "children", allow_duplicate=True),
            Input({"type": f"action-{verdict}", "id": ALL, "hash": ALL}, "n_clicks"),
            State({"type": "action-reason", "id": ALL}, "value"),
            State({"type": "action-reason", "id": ALL}, "id"),
            prevent_initial_call=True,
        )
        async def decide(caller: Caller, clicks: list[Any], values: Reasons, ids: Ids) -> Any:
            pressed = ctx.triggered_id
            if not any(clicks) or not isinstance(pressed, Mapping):
                return no_update
            sent = {"plan_hash": pressed["hash"], "reason": reasons(values, ids).get(pressed["id"], "")}
            await caller.send("POST", f"/api/wk/actions/{quote(pressed['id'], safe='')}/{verdict}", sent)
            return widgets.done(caller, f"action.done.{verdict}")

    decides("approve")
    decides("reject")

    def switches(button: str, permission: Permission, *, on: bool) -> None:
        @callbacks.callback_for(
            permission,
            Output("actions-switch-notice", "children", allow_duplicate=True),
            Output("actions-switch-reason", "value", allow_duplicate=True),
            Input(button, "n_clicks"),
            State("actions-switch-reason", "value"),
            prevent_initial_call=True,
        )
        async def turn(caller: Caller, _clicks: int, reason: str | None) -> Any:
            if not (reason or "").strip():
                return [widgets.notice(caller.words("kill_switch.reason_needed"), "orange"), no_update]
            await caller.send("POST", "/api/wk/kill-switch", {"on": on, "reason": reason})
            return [widgets.done(caller, f"kill_switch.done_{'on' if on else 'off'}"), ""]

    switches("actions-switch-on", Permission.KILL_SWITCH_SET, on=True)
    switches("actions-switch-off", Permission.KILL_SWITCH_CLEAR, on=False)


def reasons(values: Reasons, ids: Ids) -> dict[str, str]:
    """What has been typed so far, by action."""
    return {one["id"]: value or "" for one, value in zip(ids, values, strict=True)}


def _fingerprint(plans: Sequence[Mapping[str, Any]]) -> str:
    """Changes when what a person decides on changes."""
    decided = [{name: value for name, value in one.items() if name != "updated_at"} for one in plans]
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()


def switch(caller: Caller, found: Mapping[str, Any]) -> Any:
    words = caller.words
    if not found["on"]:
        return widgets.notice(words("kill_switch.off_text"), "teal", title=words("kill_switch.off"))
    text = words("kill_switch.on_text", by=found["by"], at=words.moment(found["at"]), reason=words.why(found["reason"]))
    return widgets.notice(text, "red", title=words("kill_switch.on"))


# --- plans that wait -------------------------------------------------------------------------------------------------


def waiting(caller: Caller, plans: list[Mapping[str, Any]], typed: Mapping[str, str] | None = None) -> Any:
    title = caller.words("actions.waiting")
    if not plans:
        return widgets.card(widgets.empty(caller, "actions.waiting", colour="teal"), title=title)
    return widgets.card(*[plan(caller, row, (typed or {}).get(row["id"], "")) for row in plans], title=title)


def plan(caller: Caller, row: Mapping[str, Any], typed: str = "") -> Any:
    words, may = caller.words, caller.may(Permission.APPROVE)
    approved = sum(one["verdict"] == "approve" for one in row["approvals"])
    return html.Div(
        [
            widgets.row(
                html.Div(row["action"], className="wk-strong"),
                widgets.badge(words.word("risk", row["risk"]), "orange"),
                widgets.badge(words.word("mode", row["mode"])),
                widgets.quiet(words("action.approvals", have=approved, needs=row["needs"])),
            ),
            html.Div(words.why(row["reason"]), className="wk-text"),
            widgets.facts(
                [
                    (words("action.targets"), ", ".join(row["targets"])),
                    (words("action.desired"), state_text(row["plan"]["desired"])),
                    (words("action.rule"), row["rule"]),
                    (words("action.created"), words.moment(row["created_at"])),
                    (words("action.plan"), html.Code(row["plan_hash"][:16], className="wk-series")),
                ]
            ),
            verdicts(caller, row["verdicts"]),
            html.Details(
                [
                    html.Summary(words("action.whole_plan")),
                    html.Pre(json.dumps(row["plan"], indent=2, ensure_ascii=False)),
                ],
                className="wk-plan",
            ),
            html.Div(
                [
                    dmc.TextInput(
                        id={"type": "action-reason", "id": row["id"]}, placeholder=words("action.reason"),
                        disabled=not may, className="wk-reason", value=typed,
                    ),
                    dmc.Button(
                        words("action.approve"), disabled=not may,
                        id={"type": "action-approve", "id": row["id"], "hash": row["plan_hash"]},
                    ),
                    dmc.Button(
                        words("action.reject"), disabled=not may, color="red", variant="light",
                        id={"type": "action-reject", "id": row["id"], "hash": row["plan_hash"]},
                    ),
                ],
                className="wk-decide",
            ),
        ],
        className="wk-item",
    )  # fmt: skip


def verdicts(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    return html.Ul(
        [
            html.Li(
                [
                    html.Span(words.gate(row["gate"]), className="wk-strong"),
                    html.Span(f" {words.why(row['reason'])}"),
                ],
                className=f"wk-gate wk-gate-{'passed' if row['passed'] else 'refused'}",
            )
            for row in rows
        ],
        className="wk-gates",
    )


# --- the past --------------------------------------------------------------------------------------------------------


def body(
    caller: Caller, data: Mapping[str, Any], audit: Mapping[str, Any], links: Sequence[Mapping[str, Any]] = ()
) -> Any:
    words = caller.words
    past = [row for row in data["actions"] if row["state"] != AWAITING]
    return html.Div(
        [
            widgets.as_of(caller, caller.now()),
            *dual_links.cards(caller, links),
            widgets.card(history(caller, past), title=words("actions.history")),
            widgets.card(declarations(caller, data["declarations"]), title=words("actions.declarations")),
            widgets.card(_audit(caller, audit), title=words("actions.audit"), aside=_chain(caller, audit)),
        ],
        className="wk-stack",
    )


def history(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "actions.history")
    words = caller.words
    head = [words(f"action.{name}") for name in ("rule", "change", "risk", "mode", "reason_short", "updated")]
    return widgets.table(
        [words("incident.state"), *head],
        [
            [
                widgets.state(caller, row["state"]),
                html.Div([html.Div(row["rule"], className="wk-strong"), widgets.quiet(row["id"])]),
                widgets.change(row),
                words.word("risk", row["risk"]),
                words.word("mode", row["mode"]),
                _why(caller, row),
                words.moment(row["updated_at"]),
            ]
            for row in rows[:SHOWN]
        ],
    )


def _why(caller: Caller, row: Mapping[str, Any]) -> Any:
    refused = [one for one in row["verdicts"] if not one["passed"]]
    if not refused:
        return caller.words.why(row["reason"])
    first = caller.words.why(f"{refused[0]['gate']}: {refused[0]['reason']}")
    return html.Div([html.Div(caller.words.why(row["reason"])), html.Div(first, className="wk-line")])


def declarations(caller: Caller, rows: list[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "actions.declarations")
    words = caller.words
    return widgets.table(
        [words("action.rule"), words("action.owner"), words("action.expires"), words("incident.state")],
        [
            [
                row["rule"],
                row["owner"],
                words.moment(row["expires_at"]),
                words("action.fallen", at=words.moment(row["fallen_at"]))
                if row["fallen_at"]
                else words("action.valid"),
            ]
            for row in rows
        ],
    )


def _chain(caller: Caller, audit: Mapping[str, Any]) -> Any:
    if audit["intact"]:
        return widgets.badge(caller.words("actions.audit_intact"), "teal")
    return widgets.badge(caller.words("actions.audit_broken", at=audit["broken_at"]), "red", "filled")


def _audit(caller: Caller, audit: Mapping[str, Any]) -> Any:
    if not audit["rows"]:
        return widgets.empty(caller, "actions.audit")
    words = caller.words
    return widgets.table(
        [words(f"audit.{name}") for name in ("seq", "at", "actor", "action", "subject", "detail")],
        [
            [
                str(row["seq"]),
                words.moment(row["at"]),
                row["actor"],
                words.word("audited", row["action"]),
                row["subject"],
                _folded(row["detail"]),
            ]
            for row in audit["rows"][:SHOWN]
        ],
    )


def _folded(detail: Any) -> Any:
    """The first words of a detail; all of it by a click, as one may be a page long."""
    if not detail:
        return ""
    text = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)
    if len(text) <= FOLDED:
        return html.Code(text, className="wk-series")
    whole = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False, indent=2)
    head = html.Summary(html.Code(f"{text[:FOLDED]} …", className="wk-series"))
    return html.Details([head, html.Pre(whole)], className="wk-plan wk-folded")


PAGE = Page(key=KEY, path="/actions", area="realtime", layout=layout, register=register)
