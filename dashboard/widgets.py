"""The pieces pages are made of: one look for titles, badges, tables, empty states and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import dcc, html

from .client import EngineDownError
from .context import Caller
from .i18n import UNKNOWN, grid_texts

Component = Any
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


def page_head(caller: Caller, key: str, *controls: Component) -> Component:
    return html.Div(
        [
            html.Div(
                [
                    dmc.Title(caller.words(f"{key}.title"), order=2, className="wk-title"),
                    dmc.Text(caller.words(f"{key}.subtitle"), c="dimmed", size="sm"),
                ]
            ),
            dmc.Group(list(controls), gap="xs") if controls else None,
        ],
        className="wk-head",
    )


def ticking(caller: Caller, key: str, *, times: float = 1.0) -> Component:
    """The clock of a page: ``times`` refresh intervals."""
    return dcc.Interval(id=f"{key}-tick", interval=round(caller.refresh_seconds * times * 1000))


def waiting(body_id: str) -> Component:
    """The place of a page's body, with a shimmer until the first answer."""
    skeleton = dmc.Stack([dmc.Skeleton(height=90, radius="md"), dmc.Skeleton(height=240, radius="md")], gap="md")
    return html.Div(skeleton, id=body_id, className="wk-body")


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
        head = dmc.Group([dmc.Text(title, fw=600), aside], justify="space-between", mb="sm", wrap="wrap")
    return dmc.Paper([head, *children], withBorder=True, radius="md", p="md", className=f"wk-card {class_name}".strip())


def grid_of(children: Sequence[Component], *, smallest: int = 250) -> Component:
    return html.Div(list(children), className=f"wk-grid wk-grid-{smallest}")


def badge(text: str, colour: str = "gray", variant: str = "light") -> Component:
    return dmc.Badge(text, color=colour, variant=variant, size="sm", radius="sm", className="wk-badge")


def severity(caller: Caller, value: str | None) -> Component:
    if not value:
        return dmc.Text(UNKNOWN, size="sm")
    return badge(caller.words.word("severity", value), SEVERITY_COLOURS.get(value, "gray"), "filled")


def state(caller: Caller, value: str | None, group: str = "state") -> Component:
    return badge(caller.words.word(group, value or "unknown"), STATE_COLOURS.get(value or "", "gray"))


def empty(caller: Caller, key: str, *, colour: str = "gray") -> Component:
    """Nothing here, why, and what to do next."""
    words = caller.words
    return html.Div(
        [
            html.Div(className=f"wk-empty-mark wk-empty-{colour}"),
            dmc.Text(words(f"{key}.empty"), fw=600),
            dmc.Text(words(f"{key}.empty_hint"), c="dimmed", size="sm", ta="center", maw=520),
        ],
        className="wk-empty",
    )


def notice(text: str, colour: str, *, title: str = "") -> Component:
    return dmc.Alert(text, title=title or None, color=colour, variant="light", radius="md", className="wk-notice")


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

    def side(index: int) -> str:
        return "right" if index in numeric else "left"

    return dmc.TableScrollContainer(
        dmc.Table(
            [
                dmc.TableThead(dmc.TableTr([dmc.TableTh(text, ta=side(i)) for i, text in enumerate(head)])),
                dmc.TableTbody(
                    [dmc.TableTr([dmc.TableTd(cell, ta=side(i)) for i, cell in enumerate(row)]) for row in rows]
                ),
            ],
            verticalSpacing="xs",
            highlightOnHover=True,
            className="wk-table",
        ),
        minWidth=100 * len(head),
        type="native",
    )


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


def data_grid(caller: Caller, grid_id: str, columns: Sequence[Mapping[str, Any]], *, page: int = 20) -> Component:
    """AG Grid with sorting, filters and pages, in the reader's language and theme. Rows come by ``rowData``."""
    grid = dag.AgGrid(
        id=grid_id,
        columnDefs=list(columns),
        rowData=[],
        defaultColDef={"sortable": True, "filter": True, "resizable": True, "minWidth": 90},
        columnSize="responsiveSizeToFit",
        dashGridOptions={
            "pagination": True,
            "paginationPageSize": page,
            "paginationPageSizeSelector": [20, 50, 100],
            "localeText": grid_texts(caller.words.language),
            "animateRows": False,
            "domLayout": "autoHeight",
            "enableCellTextSelection": True,
            "suppressCellFocus": True,
            "overlayNoRowsTemplate": "",
        },
        style={"height": None},
    )
    return html.Div(grid, className="wk-ag", **attributes(data_ag_theme_mode=caller.theme))
