"""The pieces pages are made of: one look for titles, badges, tables, empty states and errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import dcc, html

from watchkeeper.wording import state_text

from .client import EngineDownError
from .context import Caller
from .i18n import UNKNOWN
from .list_view import Column, ListView

Component = Any
#: Tables with more columns than this are set closer, so that they fit a usual screen.
MANY_COLUMNS = 8
#: Dates would break at their hyphens.
MOMENT = re.compile(r"\d{4}-\d\d-\d\d")
SEVERITY_COLOURS = {
    "P0": "red", "P1": "orange", "P2": "yellow", "P3": "blue", "critical": "red", "warning": "orange", "info": "blue"
}  # fmt: skip
STATE_COLOURS = {
    "up": "teal",
    "on": "teal", "ok": "teal", "healthy": "teal", "succeeded": "teal", "resolved": "teal", "sent": "teal",
    "active": "teal", "approve": "teal",
    "failing": "red", "err": "red", "firing": "red", "opened": "red", "failed": "red", "escalated": "red",
    "reject": "red", "error": "red", "off": "red",
    "pending": "yellow", "acknowledged": "yellow", "awaiting_approval": "yellow", "executing": "yellow",
    "verifying": "yellow", "queued": "yellow", "warning": "yellow", "starting": "yellow",
    "mitigated": "blue", "planned": "blue",
}  #: everything else is grey: unknown is not healthy  # fmt: skip


def attributes(**found: str) -> dict[str, Any]:
    """data-... and aria-... attributes: ``data_at`` becomes ``data-at``."""
    return {name.replace("_", "-"): value for name, value in found.items()}


def folded(key: str, said: str, *parts: Any) -> Any:
    """What a click on ``said`` unfolds, and assets/folded.js unfolds again, by ``key``, when the page is drawn anew."""
    return html.Details([html.Summary(said), *parts], className="wk-plan", **attributes(data_fold=key))


def quiet(text: str) -> Component:
    """A line of explanation."""
    return html.Div(text, className="wk-quiet")


def row(*parts: Component, spread: bool = False) -> Component:
    """Parts beside each other; ``spread`` puts the last at the far end."""
    return html.Div(list(parts), className="wk-row wk-row-spread" if spread else "wk-row")


def page_head(caller: Caller, key: str, *controls: Component) -> Component:
    return html.Div(
        [
            html.Div(
                [
                    html.H2(caller.words(f"{key}.title"), className="wk-title"),
                    quiet(caller.words(f"{key}.subtitle")),
                ]
            ),
            row(*controls) if controls else None,
        ],
        className="wk-head",
    )


def ticking(caller: Caller, key: str, *, times: float = 1.0) -> Component:
    """The clock of a page: ``times`` refresh intervals."""
    return dcc.Interval(id=f"{key}-tick", interval=round(caller.refresh_seconds * times * 1000))


def waiting(body_id: str) -> Component:
    """The place of a page's body, with a shimmer until the first answer."""
    shimmer = html.Div([html.Div(className="wk-shimmer"), html.Div(className="wk-shimmer wk-shimmer-tall")])
    return html.Div(shimmer, id=body_id, className="wk-body")


def as_of(caller: Caller, at: str | datetime | None, *, times: float = 1.0) -> Component:
    """How old what you see is; assets/watch.js cries when it stops changing."""
    limit = caller.refresh_seconds * times * 2 + 4
    return html.Div(
        [html.Span(className="wk-pulse"), caller.words("as_of", at=caller.words.clock(at))],
        className="wk-as-of",
        **attributes(data_at=str(at or ""), data_limit=f"{limit:g}"),
    )


def card(*children: Component, title: str = "", aside: Component = None, class_name: str = "") -> Component:
    head = None
    if title:
        head = html.Div([html.Div(title, className="wk-strong"), aside], className="wk-row wk-row-spread wk-card-head")
    return html.Div([head, *children], className=f"wk-card {class_name}".strip())


def grid_of(children: Sequence[Component], *, smallest: int = 250) -> Component:
    return html.Div(list(children), className=f"wk-grid wk-grid-{smallest}")


def badge(text: str, colour: str = "gray", variant: str = "light") -> Component:
    return html.Span(text, className=f"wk-badge wk-badge-{variant}-{colour}")


def severity(caller: Caller, value: str | None) -> Component:
    if not value:
        return html.Span(UNKNOWN)
    return badge(caller.words.word("severity", value), SEVERITY_COLOURS.get(value, "gray"), "filled")


def state(caller: Caller, value: str | None, group: str = "state") -> Component:
    return badge(caller.words.word(group, value or "unknown"), STATE_COLOURS.get(value or "", "gray"))


def risk(caller: Caller, row: Mapping[str, Any]) -> str:
    """The class of an action; one whose target is not resolved yet has none."""
    return caller.words.word("risk", row["risk"]) if row["targets"] else UNKNOWN


def empty(caller: Caller, key: str, *, colour: str = "gray") -> Component:
    """Nothing here, why, and what to do next."""
    words = caller.words
    return html.Div(
        [
            html.Div(className=f"wk-empty-mark wk-empty-{colour}"),
            html.Div(words(f"{key}.empty"), className="wk-strong"),
            html.Div(words(f"{key}.empty_hint"), className="wk-quiet wk-empty-hint"),
        ],
        className="wk-empty",
    )


def notice(text: str, colour: str, *, title: str = "") -> Component:
    head = html.Div(title, className="wk-strong") if title else None
    return html.Div([head, html.Div(text)], className=f"wk-notice wk-notice-{colour}", role="alert")


def engine_down(caller: Caller, error: EngineDownError) -> Component:
    words = caller.words
    return html.Div(
        notice(words("engine_down.hint"), "red", title=words("engine_down.title", since=words.moment(error.since))),
        className="wk-engine-down",
        role="alert",
    )


def refused(caller: Caller, status: int, reason: str) -> Component:
    key = f"refused.{status}" if status in (401, 403, 404, 409) else "refused.other"
    return notice(reason, "orange", title=caller.words(key))


def done(caller: Caller, key: str) -> Component:
    return notice(caller.words(key), "teal")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, numeric: Sequence[int] = ()) -> Component:
    """A plain table that scrolls sideways on a narrow screen. ``numeric`` columns are set right."""

    def cell(kind: Any, index: int, inside: Any) -> Component:
        if isinstance(inside, str) and MOMENT.match(inside):
            inside = html.Span(inside, className="wk-nowrap")
        return kind(inside, className="wk-right") if index in numeric else kind(inside)

    body = [html.Tr([cell(html.Td, i, one) for i, one in enumerate(cells)]) for cells in rows]
    titles = html.Tr([cell(html.Th, i, text) for i, text in enumerate(head)])
    wide = len(head) > MANY_COLUMNS
    smallest = {"minWidth": (76 if wide else 100) * len(head)}
    look = "wk-table wk-table-wide" if wide else "wk-table"
    found = html.Table([html.Thead(titles), html.Tbody(body)], className=look, style=smallest)
    return html.Div(found, className="wk-sideways")


def change(row: Mapping[str, Any]) -> Component:
    """What an action does: its target, and the state that it wants there."""
    where = ", ".join(row["targets"]) or row["action"]
    wanted = state_text(row["plan"]["desired"])
    return html.Div([html.Div(where), *([html.Div(wanted, className="wk-line")] if wanted else [])])


def facts(pairs: Sequence[tuple[str, Any]]) -> Component:
    """Names and values, two columns."""
    return html.Dl(
        [part for name, value in pairs for part in (html.Dt(name), html.Dd(value))],
        className="wk-facts",
    )


def labels(found: Mapping[str, Any]) -> Component:
    """Labels as small tags; always text, whatever they hold."""
    return html.Div(
        [html.Code(f"{name}={value}", className="wk-label") for name, value in sorted(found.items())],
        className="wk-labels",
    )


def data_grid(caller: Caller, grid_id: str, columns: Sequence[Column], *, page: int = 20) -> Component:
    """A list with search, order and pages. Rows come by ``rowData``."""
    words = caller.words
    texts = {name: words(f"list.{name}") for name in ("search", "nothing", "back", "on", "shown")}
    return ListView(grid_id, columns, texts, page)
