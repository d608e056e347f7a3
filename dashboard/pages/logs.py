"""Log lines by words, fields and time: how many, of which severity, and the lines with what was found in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from dashboard import figures, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.page import Page, Request
from dashboard.pages import log_kinds
from dashboard.permissions import Permission
from watchkeeper.clock import from_ms, to_ms

KEY = "logs"
RANGES = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}
#: Choice of severities -> what the engine is asked.
SEVERITIES = {"all": "", "warning": "warning,error,critical", "error": "error,critical"}
COLOURS = {
    "critical": "#b91c1c", "error": "#ef4444", "warning": "#f59e0b", "info": "#3b82f6", "debug": "#94a3b8",
    "none": "#cbd5e1",
}  # fmt: skip
LINES, BUCKETS = 200, 60
WIDTH, HEIGHT = 720, 90
#: Lines are asked for again this many refresh intervals apart.
SLOWER = 3.0
#: How far around a moment its lines are shown.
AROUND = timedelta(minutes=5)


def href(
    *, query: str = "", service: str = "", template: str = "", start_ms: int | None = None, end_ms: int | None = None
) -> str:
    """The address of lines, for other pages."""
    asked = {"query": query, "service": service, "template": template, "start": start_ms, "end": end_ms}
    return "/logs?" + urlencode({name: value for name, value in asked.items() if value not in ("", None)})


def layout(caller: Caller, request: Request) -> Any:
    if request.rest == log_kinds.REST:
        return log_kinds.layout(caller)
    words, asked = caller.words, request.query
    fixed = {name: asked[name] for name in ("service", "start", "end", "template") if asked.get(name)}
    narrowed = [widgets.badge(f"{words('logs.service')}: {fixed['service']}", "blue")] if "service" in fixed else []
    if "template" in fixed:
        narrowed.append(widgets.badge(f"{words('logs.template')}: {fixed['template']}", "blue"))
    if "end" in fixed:
        narrowed.append(widgets.badge(_span(caller, fixed), "blue"))
    if narrowed:
        narrowed.append(dcc.Link(words("logs.everything"), href="/logs"))
    return html.Div(
        [
            widgets.page_head(
                caller, KEY, dcc.Link(words("log_kinds.title"), href=f"/logs/{log_kinds.REST}", className="wk-back")
            ),
            dcc.Store(id="logs-fixed", data=fixed),
            widgets.card(
                html.Div(
                    [
                        dmc.TextInput(
                            id="logs-query",
                            value=asked.get("query", ""),
                            label=words("logs.query"),
                            description=words("logs.examples"),
                            debounce=True,
                            className="wk-mono wk-expr",
                        ),
                        dmc.SegmentedControl(
                            id="logs-severity",
                            value="all",
                            data=[{"value": key, "label": words(f"logs.severity.{key}")} for key in SEVERITIES],
                        ),
                        dmc.SegmentedControl(
                            id="logs-range",
                            value="1h",
                            data=[
                                {"value": key, "label": words.seconds(span.total_seconds())}
                                for key, span in RANGES.items()
                            ],
                        ),
                        dmc.Button(words("logs.search"), id="logs-run"),
                    ],
                    className="wk-query",
                ),
                widgets.row(*narrowed) if narrowed else None,
            ),
            widgets.waiting("logs-body"),
            widgets.ticking(caller, KEY, times=SLOWER),
        ],
        className="wk-stack",
    )


def _span(caller: Caller, fixed: Mapping[str, str]) -> str:
    ends = [caller.words.moment(from_ms(_number(fixed[name]))) for name in ("start", "end") if name in fixed]
    return " – ".join(ends)


def _number(text: Any) -> int:
    """Milliseconds of an address; what is none is 0."""
    return int(text) if str(text).isdigit() and len(str(text)) < 15 else 0


def register(callbacks: Callbacks) -> None:
    log_kinds.register(callbacks)

    @callbacks.callback_for(
        Permission.READ,
        Output("logs-body", "children"),
        Input("logs-run", "n_clicks"),
        Input("logs-query", "value"),
        Input("logs-severity", "value"),
        Input("logs-range", "value"),
        Input("logs-tick", "n_intervals"),
        State("logs-fixed", "data"),
    )
    async def draw(
        caller: Caller, _clicks: Any, query: str | None, severity: str | None, span: str | None, _ticks: Any, fixed: Any
    ) -> Any:
        fixed = fixed or {}
        end = _number(fixed.get("end")) or to_ms(caller.now())
        length = RANGES.get(span or "", RANGES["1h"])
        start = _number(fixed.get("start")) or end - round(length.total_seconds() * 1000)
        service = str(fixed.get("service", ""))
        found = await caller.get(
            "/api/wk/logs",
            query=query or "",
            service=service,
            severity=SEVERITIES.get(severity or "", ""),
            template=str(fixed.get("template", "")),
            start_ms=min(start, end),
            end_ms=end,
            limit=LINES,
            buckets=BUCKETS,
        )
        return body(caller, found, {"query": query or "", **fixed})


def body(caller: Caller, found: Mapping[str, Any], asked: Mapping[str, Any]) -> Any:
    """``asked``: the question and what else narrowed it."""
    words = caller.words
    if found["error"]:
        return widgets.notice(found["error"], "orange", title=words("logs.wrong"))
    if not found["lines"]:
        return widgets.empty(caller, KEY)
    older = None
    if found["next"]:
        last = found["lines"][-1]["time_ms"]
        length = found["end_ms"] - found["start_ms"]
        same = {name: str(asked[name]) for name in ("query", "service", "template") if name in asked}
        place = href(**same, start_ms=max(0, last - length), end_ms=last)
        older = dcc.Link(words("logs.older"), href=place, className="wk-strong")
    return html.Div(
        [
            widgets.as_of(caller, caller.now(), times=SLOWER),
            widgets.notice(words("logs.partial"), "yellow") if found["partial"] else None,
            widgets.card(
                histogram(caller, found), title=words("logs.matched", count=words.number(found["matched"], 0))
            ),
            widgets.card(html.Div([_line(caller, line) for line in found["lines"]], className="wk-log"), older),
        ],
        className="wk-stack",
    )


def histogram(caller: Caller, found: Mapping[str, Any]) -> Any:
    """Lines over time, the gravest below."""
    counts = {name: found["counts"][name] for name in COLOURS}
    buckets = len(counts["none"])
    most = max(1, *(sum(row[place] for row in counts.values()) for place in range(buckets)))
    bar, shapes = WIDTH / buckets, []
    for place in range(buckets):
        bottom = float(HEIGHT)
        for name, row in counts.items():
            if row[place]:
                height = row[place] / most * HEIGHT
                bottom -= height
                shapes.append(
                    f'<rect x="{place * bar:.1f}" y="{bottom:.1f}" width="{max(bar - 1, 1):.1f}" '
                    f'height="{height:.1f}" fill="{COLOURS[name]}"/>'
                )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f"{''.join(shapes)}</svg>"
    )
    legend = [
        widgets.badge(f"{caller.words(f'logs.state.{name}')} {caller.words.number(sum(row), 0)}")
        for name, row in counts.items()
        if any(row)
    ]
    ends = [widgets.quiet(caller.words.moment(from_ms(found[name]))) for name in ("start_ms", "end_ms")]
    picture = html.Img(src=figures.image(svg), className="wk-log-histogram", alt=caller.words("logs.histogram"))
    return html.Div([picture, widgets.row(*ends, spread=True), widgets.row(*legend)])


def _line(caller: Caller, line: Mapping[str, Any]) -> Any:
    labels = line["labels"]
    origin = labels.get("service") or labels.get("unit") or labels.get("file") or labels.get("job", "")
    shown = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return html.Div(
        [
            html.Span(caller.words.moment(from_ms(line["time_ms"])), className="wk-log-time"),
            html.Span(origin, className="wk-log-origin", title=shown),
            html.Span(marked(line["text"], line["hits"]), className="wk-log-text"),
        ],
        className=f"wk-log-line wk-log-{line['severity'] or 'none'}",
    )


def marked(text: str, hits: list[list[int]]) -> list[Any]:
    """The text with what was found set off."""
    parts: list[Any] = []
    at = 0
    for begin, end in hits:
        parts += [text[at:begin], html.Span(text[begin:end], className="wk-log-hit")]
        at = end
    return [part for part in [*parts, text[at:]] if part != ""]


PAGE = Page(key=KEY, path="/logs", area="realtime", layout=layout, register=register, below=True)
