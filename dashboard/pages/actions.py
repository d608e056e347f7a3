"""What Watchkeeper wants to change: plans that wait for a person, what was done, and the kill switch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html, no_update

from dashboard import ask_card, plan_cards, switch_card, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "actions"
AWAITING = "awaiting_approval"
#: Rows of the tables of the past.
SHOWN = 30
#: Values and ids of the fields in which reasons are typed, in the same order.
Reasons = list[str | None]
Ids = list[dict[str, str]]


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            html.Div(id="actions-notice", className="wk-below"),
            html.Div(id="actions-fingerprint", hidden=True),
            widgets.waiting("actions-waiting"),
            switch_card.card(caller, KEY),
            ask_card.card(caller),
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
        Output("ask-rule", "data"),
        Output("ask-form", "hidden"),
        Output("ask-none", "hidden"),
        Input("actions-tick", "n_intervals"),
        Input("actions-notice", "children"),
        Input("actions-switch-notice", "children"),
        State("actions-fingerprint", "children"),
        State({"type": "action-reason", "id": ALL}, "value"),
        State({"type": "action-reason", "id": ALL}, "id"),
        State("ask-rule", "data"),
        blank=([], [], "", [], False, True),
    )
    async def refresh(
        caller: Caller,
        _ticks: Any,
        _notice: Any,
        _switched: Any,
        old: str | None,
        values: Reasons,
        ids: Ids,
        offered: list[str] | None,
    ) -> Any:
        data = await caller.get("/api/wk/actions", limit=200)
        plans = [row for row in data["actions"] if row["state"] == AWAITING]
        fingerprint = _fingerprint(plans)
        # A card that did not change is left alone: somebody may be typing a reason into it.
        cards = no_update if fingerprint == old else waiting(caller, plans, reasons(values, ids))
        rules = no_update if offered == data["rules"] else data["rules"]  # a list that is open is left alone
        state = switch_card.state(caller, data["kill_switch"])
        return [body(caller, data), state, cards, fingerprint, rules, *ask_card.shown(data["rules"])]

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

    ask_card.register(callbacks, "actions-notice")
    switch_card.register(callbacks, KEY)


def reasons(values: Reasons, ids: Ids) -> dict[str, str]:
    """What has been typed so far, by action."""
    return {one["id"]: value or "" for one, value in zip(ids, values, strict=True)}


def _fingerprint(plans: Sequence[Mapping[str, Any]]) -> str:
    """Changes when what a person decides on changes."""
    decided = [{name: value for name, value in one.items() if name != "updated_at"} for one in plans]
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()


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
                    (words("action.rule"), row["rule"]),
                    (words("action.created"), words.moment(row["created_at"])),
                    (words("action.plan"), html.Code(row["plan_hash"][:16], className="wk-series")),
                ]
            ),
            plan_cards.difference(caller, row["plan"]),
            plan_cards.prediction(caller, row),
            plan_cards.objections(caller, row["progress"].get("objections") or []),
            verdicts(caller, row["verdicts"]),
            widgets.folded(
                f"plan {row['id']}",
                words("action.whole_plan"),
                html.Pre(json.dumps(row["plan"], indent=2, ensure_ascii=False)),
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


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    past = [row for row in data["actions"] if row["state"] != AWAITING]
    return html.Div(
        [
            widgets.as_of(caller, caller.now()),
            widgets.card(history(caller, past), title=words("actions.history")),
            widgets.card(declarations(caller, data["declarations"]), title=words("actions.declarations")),
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
                widgets.risk(caller, row),
                words.word("mode", row["mode"]),
                _why(caller, row),
                words.moment(row["updated_at"]),
            ]
            for row in rows[:SHOWN]
        ],
    )


def _why(caller: Caller, row: Mapping[str, Any]) -> Any:
    words = caller.words
    refused = [one for one in row["verdicts"] if not one["passed"]]
    said = [html.Div(words.why(row["reason"]))]
    if refused:
        first = words.why(f"{refused[0]['gate']}: {refused[0]['reason']}")
        said.append(html.Div(first, className="wk-line"))
    return html.Div([*said, plan_cards.summary(caller, row)])


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


PAGE = Page(key=KEY, path="/actions", area="realtime", layout=layout, register=register)
