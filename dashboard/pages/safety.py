"""What keeps actions safe: gates with their refusals, budgets, breakers, the switch, and how much needs nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, dcc, html

from dashboard import switch_card, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "safety"
COLOURS = {"open": "red", "half_open": "orange"}


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            switch_card.card(caller, KEY),
            widgets.waiting("safety-body"),
            widgets.ticking(caller, KEY),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("safety-body", "children"),
        Output("safety-switch", "children"),
        Input("safety-tick", "n_intervals"),
        Input("safety-switch-notice", "children"),
        blank=([],),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, _switched: Any) -> Any:
        data = await caller.get("/api/wk/safety")
        return [body(caller, data), switch_card.state(caller, data["kill_switch"])]

    switch_card.register(callbacks, KEY)


def body(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    return html.Div(
        [
            widgets.as_of(caller, caller.now()),
            widgets.grid_of([state_card(caller, data), automation_card(caller, data)], smallest=320),
            widgets.card(gates(caller, data["gates"]), title=words("safety.gates", days=data["days"])),
            widgets.grid_of(
                [
                    widgets.card(budgets(caller, data["budgets"]), title=words("safety.budgets")),
                    widgets.card(breakers(caller, data["breakers"]), title=words("safety.breakers")),
                ],
                smallest=320,
            ),
            widgets.card(foresight(caller, data["foresight"]), title=words("safety.foresight")),
            widgets.card(hindsight(caller, data["hindsight"]), title=words("safety.hindsight")),
        ],
        className="wk-stack",
    )


def state_card(caller: Caller, data: Mapping[str, Any]) -> Any:
    """Leader, and the head of the audit."""
    words, leader = caller.words, data["leader"]
    who = "alone" if leader["alone"] else ("leads" if leader["leads"] else "waits")
    audit = data["audit"]
    return widgets.card(
        widgets.facts(
            [
                (words("safety.leader"), words(f"safety.leader_{who}", token=leader["token"])),
                (words("safety.head"), html.Code(f"{audit['rows']}:{audit['head'][:16]}", className="wk-series")),
            ]
        ),
        dcc.Link(words("audit.title"), href="/audit", className="wk-file"),
        title=words("safety.leader"),
    )


def automation_card(caller: Caller, data: Mapping[str, Any]) -> Any:
    words, found = caller.words, data["automation"]
    rate = words("safety.none_yet") if found["rate"] is None else f"{found['rate']:.0%}"
    names = ("automatic", "approved", "asked", "by_hand")
    return widgets.card(
        widgets.facts([(words("safety.rate"), rate), *((words(f"safety.{name}"), str(found[name])) for name in names)]),
        widgets.quiet(words("safety.rate_hint")),
        title=words("safety.automation", days=data["days"]),
    )


def gates(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    return widgets.table(
        ["#", words("safety.gate"), words("safety.refused"), words("safety.last"), words("safety.why")],
        [
            [
                str(number),
                words.gate(row["gate"]),
                str(row["refused"]),
                words.moment(row["last_at"]) if row["last_at"] else "",
                words.why(row["last_reason"]) if row["last_reason"] else "",
            ]
            for number, row in enumerate(rows, 1)
        ],
        numeric=(2,),
    )


def budgets(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    return widgets.table(
        [words("safety.budget"), words("safety.used"), words("safety.window")],
        [
            [
                words(f"safety.budget_{row['name']}"),
                widgets.badge(f"{row['used']} / {row['limit']}", "red" if row["used"] >= row["limit"] else "teal"),
                words.seconds(row["window_seconds"]),
            ]
            for row in rows
        ],
    )


def breakers(caller: Caller, rows: Sequence[Mapping[str, str]]) -> Any:
    if not rows:
        return widgets.empty(caller, "safety.breakers", colour="teal")
    words = caller.words
    return widgets.table(
        [words("safety.scope"), words("incident.state")],
        [
            [row["scope"], widgets.badge(words(f"safety.breaker_{row['state']}"), COLOURS[row["state"]], "filled")]
            for row in rows
        ],
    )


#: What may become of a proposal, as the API names it.
BECAME = ("needed", "by_itself", "by_others", "unknown")


def foresight(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    if not rows:
        return widgets.empty(caller, "safety.foresight")
    words = caller.words
    return widgets.table(
        [words("action.rule"), words("safety.as_predicted"), words("safety.otherwise"), words("safety.error")],
        [[row["rule"], str(row["as_predicted"]), str(row["otherwise"]), words.ratio(row["error"])] for row in rows],
        numeric=(1, 2, 3),
    )


def hindsight(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    """What became of proposals that nobody carried out through Watchkeeper: by this a rule is judged."""
    if not rows:
        return widgets.empty(caller, "safety.hindsight")
    words = caller.words
    return widgets.table(
        [words("action.rule"), *(words(f"plan.became.{name}") for name in BECAME)],
        [[row["rule"], *(str(row[name]) for name in BECAME)] for row in rows],
        numeric=(1, 2, 3, 4),
    )


PAGE = Page(key=KEY, path="/safety", area="realtime", layout=layout, register=register)
