"""The audit: does its chain hold, where its heads went, and every row by who, what, when and which words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import Input, Output, State, ctx, html

from dashboard import audit_rows, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.downloads import AUDIT
from dashboard.page import Page, Request
from dashboard.permissions import Permission

KEY = "audit"
RANGES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
#: Choice of kinds -> how their actions begin.
KINDS = {
    "actions": "action.", "switch": "kill_switch.", "links": "link.", "declarations": "declaration.",
    "targets": "target.", "rehearsals": "rehearsal.", "sessions": "session.", "users": "user.", "tokens": "token.",
    "fixes": "fix.", "tuning": "tuning.", "acknowledge": "acknowledge", "silences": "silence", "events": "event",
    "reports": "report",
}  # fmt: skip
#: Rows of one page.
SHOWN = 100


def layout(caller: Caller, request: Request) -> Any:
    words, asked = caller.words, request.query
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            html.Div(id="audit-notice", className="wk-below"),
            html.Div(id="audit-before", hidden=True),
            html.Div(id="audit-next", hidden=True),
            widgets.waiting("audit-chain"),
            dmc.Button(
                words("audit.verify"), id="audit-verify", variant="default",
                disabled=not caller.may(Permission.ACKNOWLEDGE), className="wk-fit",
            ),
            widgets.card(
                html.Div(
                    [
                        dmc.TextInput(
                            id="audit-actor", label=words("audit.actor"), value=asked.get("actor", ""), debounce=500
                        ),
                        dmc.Select(
                            id="audit-kind", label=words("audit.kind"), value=asked.get("kind"), clearable=True,
                            placeholder=words("audit.all"),
                            data=[{"value": key, "label": words(f"audit.kind.{key}")} for key in KINDS],
                        ),
                        dmc.TextInput(
                            id="audit-text", label=words("audit.text"), value=asked.get("text", ""), debounce=500,
                            className="wk-expr",
                        ),
                        dmc.Select(
                            id="audit-range", label=words("audit.range"), clearable=True,
                            placeholder=words("audit.all"),
                            data=[{"value": key, "label": words.seconds(span.total_seconds())}
                                  for key, span in RANGES.items()],
                        ),
                    ],
                    className="wk-query",
                ),
                title=words("audit.search"),
                aside=html.Div(id="audit-export"),
            ),
            html.Div(id="audit-body", className="wk-body"),
            widgets.row(
                dmc.Button(words("audit.newest"), id="audit-newest", variant="default"),
                dmc.Button(words("audit.older"), id="audit-older", variant="default"),
            ),
            widgets.ticking(caller, KEY, times=3.0),
        ],
        className="wk-stack",
    )  # fmt: skip


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("audit-chain", "children"),
        Output("audit-body", "children"),
        Output("audit-before", "children"),
        Output("audit-next", "children"),
        Output("audit-export", "children"),
        Output("audit-older", "disabled"),
        Input("audit-tick", "n_intervals"),
        Input("audit-notice", "children"),
        Input("audit-actor", "value"),
        Input("audit-kind", "value"),
        Input("audit-text", "value"),
        Input("audit-range", "value"),
        Input("audit-older", "n_clicks"),
        Input("audit-newest", "n_clicks"),
        State("audit-before", "children"),
        State("audit-next", "children"),
        blank=([], "", "", "", True),
    )
    async def refresh(caller: Caller, *values: Any) -> Any:
        actor, kind, text, span, _older, _newest, before, onward = values[2:]
        asked = filters(actor, kind, text, span, caller.now())
        before = turned(ctx.triggered_id, before or "", onward or "")
        data = await caller.get("/api/wk/audit", limit=SHOWN, **asked, **({"before": before} if before else {}))
        shown = html.Div([widgets.as_of(caller, caller.now(), times=3.0), audit_rows.chain(caller, data)])
        rows = widgets.card(audit_rows.table(caller, data["rows"]), title=caller.words("audit.rows"))
        following = str(data["next"] or "")
        link = html.A(caller.words("audit.export"), href=f"{AUDIT}?{urlencode(asked)}", className="wk-file")
        return [widgets.card(shown, title=caller.words("audit.chain")), rows, before, following, link, not following]

    @callbacks.callback_for(
        Permission.ACKNOWLEDGE,
        Output("audit-notice", "children", allow_duplicate=True),
        Input("audit-verify", "n_clicks"),
        prevent_initial_call=True,
    )
    async def verify(caller: Caller, _clicks: int) -> Any:
        found = await caller.send("POST", "/api/wk/audit/verify", {})
        rows = caller.words.number(found["verified_rows"], 0)
        key, colour = ("audit.done_intact", "teal") if found["intact"] else ("audit.done_broken", "red")
        return widgets.notice(caller.words(key, rows=rows), colour)


def filters(actor: str | None, kind: str | None, text: str | None, span: str | None, now: datetime) -> dict[str, str]:
    """What the engine is asked; an empty field asks for nothing."""
    found = {
        "actor": (actor or "").strip(),
        "action": KINDS.get(kind or "", ""),
        "text": (text or "").strip(),
        "since": (now - RANGES[span]).isoformat() if span in RANGES else "",
    }
    return {name: value for name, value in found.items() if value}


def turned(pressed: Any, before: str, onward: str) -> str:
    """The row before which the page begins: it stays while time passes, and other filters begin anew."""
    if pressed == "audit-older":
        return onward or before
    return before if pressed in (None, "audit-tick", "audit-notice") else ""


PAGE = Page(key=KEY, path="/audit", area="system", layout=layout, register=register)
