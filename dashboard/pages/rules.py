"""Every rule as loaded: what it asks, whether it can be judged, and what the lint says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Input, Output, html

from dashboard import widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "rules"
#: Rules change slowly.
SLOWER = 2.0


def layout(caller: Caller, _request: Request) -> Any:
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            widgets.waiting("rules-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ]
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ, Output("rules-body", "children"), Input("rules-tick", "n_intervals"), shared=True
    )
    async def refresh(caller: Caller, _ticks: Any) -> Any:
        return body(caller, (await caller.get("/api/wk/rules"))["groups"])


def body(caller: Caller, groups: list[Mapping[str, Any]]) -> Any:
    if not groups:
        return widgets.empty(caller, KEY)
    mark = widgets.as_of(caller, caller.now(), times=SLOWER)
    return html.Div([mark, *[group(caller, one) for one in groups]], className="wk-stack")


def group(caller: Caller, one: Mapping[str, Any]) -> Any:
    words = caller.words
    rules = one["rules"]
    about = words(
        "rules.group",
        count=len(rules),
        interval=words.seconds(one["interval_seconds"]),
        at=words.clock(one["last_at"]),
        took=words.seconds(one["last_seconds"]),
    )
    head = [words(f"rules.{name}") for name in ("name", "type", "health", "state", "severity", "for", "mode", "owner")]
    rows = [
        [
            what(caller, rule),
            words.word("rule_type", rule["type"]),
            widgets.state(caller, rule["health"], "health"),
            widgets.state(caller, rule["state"]) if rule["state"] else "",
            widgets.severity(caller, rule["severity"]) if rule["severity"] else "",
            words.seconds(rule["for_seconds"]) if rule["for_seconds"] else "",
            words.word("mode", rule["mode"]) if rule["mode"] else "",
            rule["owner"] or "",
        ]
        for rule in rules
    ]
    return widgets.card(widgets.quiet(f"{about} · {one['file']}"), widgets.table(head, rows), title=one["name"])


def what(caller: Caller, rule: Mapping[str, Any]) -> Any:
    words = caller.words
    parts: list[Any] = [
        html.Div(rule["name"], className="wk-strong"),
        html.Code(rule["expr"], className="wk-series"),
    ]
    if rule["error"]:
        parts.append(html.Div(rule["error"], className="wk-finding wk-finding-error"))
    for finding in rule["findings"]:
        text = f"{finding['code']}: {finding['message']}"
        if finding["proposal"]:
            text = words("rules.proposal", finding=text, proposal=finding["proposal"])
        parts.append(html.Div(text, className=f"wk-finding wk-finding-{finding['level']}"))
    return html.Div(parts)


PAGE = Page(key=KEY, path="/rules", area="system", layout=layout, register=register)
