"""Ask with PromQL and see the answer with the band each series is expected in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, dcc, html

from dashboard import figures, marks, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.permissions import Permission
from watchkeeper.clock import to_ms

KEY = "explore"
RANGES = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}
#: Points of a line: as many as a screen can show.
POINTS = 360
EXAMPLES = (
    "cpu_usage",
    "max(memory_usage)",
    "sum by (device) (rate(node_disk_read_bytes_total[5m]))",
    "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    "watchkeeper_anomaly_score > 0.5",
    "up == 0",
)
#: An open chart is redrawn this many refresh intervals apart.
SLOWER = 3.0


def layout(caller: Caller, request: Request) -> Any:
    words = caller.words
    return html.Div(
        [
            widgets.page_head(caller, KEY),
            widgets.card(
                html.Div(
                    [
                        dmc.Autocomplete(
                            id="explore-expr",
                            value=request.query.get("expr", EXAMPLES[0]),
                            data=list(EXAMPLES),
                            label=words("explore.expression"),
                            description=words("explore.examples"),
                            debounce=True,
                            className="wk-mono wk-expr",
                        ),
                        dmc.SegmentedControl(
                            id="explore-range",
                            value="1h",
                            data=[
                                {"value": key, "label": words.seconds(span.total_seconds())}
                                for key, span in RANGES.items()
                            ],
                        ),
                        dmc.Button(words("explore.run"), id="explore-run"),
                    ],
                    className="wk-query",
                )
            ),
            widgets.waiting("explore-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("explore-body", "children"),
        Input("explore-run", "n_clicks"),
        Input("explore-expr", "value"),
        Input("explore-range", "value"),
        Input("explore-tick", "n_intervals"),
        shared=True,
    )
    async def draw(caller: Caller, _clicks: Any, expr: str | None, span: str | None, _ticks: Any) -> Any:
        if not (expr or "").strip():
            return widgets.empty(caller, "explore")
        length = RANGES.get(span or "", RANGES["1h"])
        step = max(round(length.total_seconds() * 1000 / POINTS), 1000)
        end = to_ms(caller.now()) // step * step
        start = end - round(length.total_seconds() * 1000)
        found = await caller.get("/api/wk/chart", expr=expr, start_ms=start, end_ms=end, step_ms=step)
        return body(caller, found)


def body(caller: Caller, found: Mapping[str, Any]) -> Any:
    words, series = caller.words, found["series"]
    if found["error"]:
        return widgets.notice(found["error"], "orange", title=words("explore.wrong"))
    if not series:
        return widgets.empty(caller, "explore")
    names = {"band": words("explore.band"), "anomaly": words("explore.anomaly")}
    graph = dcc.Graph(
        id="explore-graph",
        figure=figures.chart(series, caller.theme, words.zone, names, marks.of(caller, found["marks"])),
        config={"displayModeBar": False, "responsive": True},
        style={"height": 400},
    )
    notes = [widgets.notice(text, "yellow") for text in found["warnings"]]
    return html.Div(
        [
            widgets.as_of(caller, caller.now(), times=SLOWER),
            *notes,
            widgets.card(graph, *marks.legend(caller, found["marks"])),
            widgets.card(_table(caller, series), title=words("explore.series", count=len(series))),
        ],
        className="wk-stack",
    )


def _table(caller: Caller, series: list[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = [words(f"explore.{name}") for name in ("name", "newest", "score", "expected")]
    rows = [
        [
            html.Code(one["name"], className="wk-series"),
            words.number(_last(one["points"]), 4),
            words.number(_newest(one.get("score"))),
            words.number(_newest(one.get("expected")), 4),
        ]
        for one in series[:100]
    ]
    return widgets.table(head, rows, numeric=(1, 2, 3))


def _last(points: list[list[float | None]]) -> float | None:
    return points[-1][1] if points else None


def _newest(values: list[float | None] | None) -> float | None:
    return values[-1] if values else None


PAGE = Page(key=KEY, path="/explore", area="realtime", layout=layout, register=register, charts=True)
