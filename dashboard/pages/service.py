"""One service: how it does, what it may use, what is measured of it, and who it needs and is needed by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from dash import Input, Output, State, dcc, html

from dashboard import figures, marks, widgets
from dashboard.callbacks import Callbacks
from dashboard.context import Caller
from dashboard.pages import logs
from dashboard.permissions import Permission
from dashboard.reports.panel_svg import panel, value_extent
from dashboard.reports.svg import Tick
from watchkeeper.clock import from_ms, to_ms

KEY = "service"
#: What a panel shows, and how finely.
SPAN, POINTS = timedelta(hours=3), 120
#: Sections, in this order.
FAMILIES = ("infrastructure", "application", "business", "security")
#: Lines that can be told apart.
DRAWN = 8


def layout(caller: Caller, name: str) -> Any:
    return html.Div(
        [
            dcc.Link(caller.words("service.back"), href="/services", className="wk-back"),
            dcc.Store(id="service-name", data=name),
            widgets.waiting("service-body"),
            widgets.ticking(caller, KEY, times=3.0),
        ],
        className="wk-stack",
    )


def register(callbacks: Callbacks) -> None:
    @callbacks.callback_for(
        Permission.READ,
        Output("service-body", "children"),
        Input("service-tick", "n_intervals"),
        State("service-name", "data"),
        shared=True,
    )
    async def refresh(caller: Caller, _ticks: Any, name: str) -> Any:
        data = await caller.get(f"/api/wk/services/{quote(name, safe='')}")
        charts = await asyncio.gather(*(_ask(caller, one["query"], name) for one in data["panels"]))
        return body(caller, data, charts)


async def _ask(caller: Caller, expr: str, service: str) -> Mapping[str, Any]:
    """The panel's series. It is not scored: that is Explore's."""
    step = round(SPAN.total_seconds() * 1000 / POINTS)
    end = to_ms(caller.now()) // step * step
    start = end - step * POINTS
    found: Mapping[str, Any] = await caller.get(
        "/api/wk/chart", expr=expr, start_ms=start, end_ms=end, step_ms=step, bands=False, service=service
    )
    return found


def body(caller: Caller, data: Mapping[str, Any], charts: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    head = html.Div(
        [
            widgets.row(widgets.state(caller, data["state"]), widgets.badge(data["kind_title"][words.language])),
            html.H2(data["title"], className="wk-title"),
        ]
    )
    return html.Div(
        [
            widgets.as_of(caller, caller.now(), times=3.0),
            head,
            dcc.Link(words("logs.of_service"), href=logs.href(service=data["name"]), className="wk-strong"),
            _incidents(caller, data["incidents"]),
            widgets.grid_of(
                [
                    widgets.card(_about(caller, data), title=words("service.about")),
                    widgets.card(_signals(caller, data), title=words("service.signals")),
                ],
                smallest=420,
            ),
            *families(caller, data, charts),
            widgets.card(_sources(caller, data["sources"]), title=words("service.sources")),
            widgets.card(_metrics(caller, data["metrics"]), title=words("service.metrics")),
        ],
        className="wk-stack",
    )


def families(caller: Caller, data: Mapping[str, Any], charts: Sequence[Mapping[str, Any]]) -> list[Any]:
    """A section for each signal family that has charts or rules; what nothing is measured of is named below them."""
    words, rows = caller.words, list(zip(data["panels"], charts, strict=True))
    parts, silent = marks.legend(caller, charts[0]["marks"]) if charts else [], []
    for family in FAMILIES:
        mine = [(one, chart) for one, chart in rows if one["family"] == family]
        shown = [_panel(caller, one, chart) for one, chart in mine if not silent_chart(chart)]
        empty = [one["title"][words.language] for one, chart in mine if silent_chart(chart)]
        rules = data["rules_of"].get(family, ())
        if not shown and not rules:
            silent.append(words(f"family.{family}"))
            continue
        parts.append(html.H3(words(f"family.{family}"), className="wk-title"))
        if rules:
            parts.append(widgets.quiet(words("service.rules", names=", ".join(rules))))
        if shown:
            parts.append(widgets.grid_of(shown, smallest=420))
        if empty:
            parts.append(widgets.quiet(words("service.no_data_of", names=", ".join(empty))))
    others = sorted(name for family, names in data["rules_of"].items() if family not in FAMILIES for name in names)
    if others:
        parts.append(widgets.quiet(words("service.other_rules", names=", ".join(others))))
    if silent:
        parts.append(widgets.quiet(words("service.silent", families=", ".join(silent))))
    return parts


def silent_chart(chart: Mapping[str, Any]) -> bool:
    """Nothing was measured in its time; a mistake in the query is no silence."""
    points = (value for row in chart["series"] for _, value in row["points"])
    return not chart["error"] and all(value is None for value in points)


def _incidents(caller: Caller, ids: Sequence[str]) -> Any:
    if not ids:
        return None
    links = [dcc.Link(one, href=f"/incidents/{quote(one, safe='')}", className="wk-strong") for one in ids]
    return (
        widgets.notice(caller.words("service.incidents", count=len(ids)), "red")
        if not links
        else html.Div(
            [html.Span(caller.words("service.incidents", count=len(ids))), *links],
            className="wk-notice wk-notice-red wk-row",
        )
    )


def _about(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    pairs: list[tuple[str, Any]] = [
        (words(f"services.{name}"), data[name]) for name in ("owner", "tier", "environment", "region") if data[name]
    ]
    if data["replicas"] is not None:
        pairs.append((words("service.replicas"), words.number(data["replicas"], 0)))
    if data["available"] is not None:
        pairs.append((words("service.available"), words.number(data["available"], 0)))
    pairs += [(words("service.place"), data["place"])] if data["place"] else []
    pairs += [(words("service.gone_at"), words.moment(data["gone_at"]))] if data["gone_at"] else []
    pairs += [
        (words("service.limit", resource=name), _limit(words, name, value)) for name, value in data["limits"].items()
    ]
    pairs += [(words("service.contact"), ", ".join(data["contacts"]))] if data["contacts"] else []
    links = [(name, link) for name, link in data["links"].items() if marks.web(link)]
    pairs += [(name, html.A(link, href=link, rel="noreferrer")) for name, link in links]
    for key in ("depends_on", "dependents"):
        if data[key]:
            pairs.append((words(f"service.{key}"), widgets.row(*[_link(name) for name in data[key]])))
    if data["objectives"]:
        pairs.append((words("service.objectives"), dcc.Link(", ".join(data["objectives"]), href="/sla")))
    parts = [widgets.facts(pairs)]
    if data["single_point"]:
        parts.insert(0, widgets.notice(words("service.single"), "orange"))
    return html.Div(parts)


def _link(name: str) -> Any:
    return dcc.Link(name, href=f"/services/{quote(name, safe='')}")


def _limit(words: Any, resource: str, value: float) -> str:
    return str(words.bytes(value) if resource in ("memory", "disk", "cache") else words.number(value))


def _signals(caller: Caller, data: Mapping[str, Any]) -> Any:
    words = caller.words
    covered = data["coverage"] or {}
    rows = [
        [
            words(f"service.signal.{one['signal']}"),
            words.number(one["value"], 4),
            dcc.Link(html.Code(one["query"], className="wk-series"), href=_explore(one["query"])),
        ]
        for one in data["signals"]
    ]
    marks = [
        widgets.badge(words(f"services.part.{part}"), "teal" if covered.get(part) else "orange")
        for part in ("golden", "logs", "rule", "owner")
    ]
    return html.Div(
        [
            widgets.row(*marks),
            widgets.table([words(f"service.{n}") for n in ("signal", "value", "query")], rows, numeric=(1,)),
            *([] if data["rules"] else [widgets.quiet(words("service.no_rules"))]),
        ]
    )


def _explore(query: str) -> str:
    return "/explore?" + urlencode({"expr": query})


def _panel(caller: Caller, one: Mapping[str, Any], chart: Mapping[str, Any]) -> Any:
    """A picture of the last hours that leads to Explore; what is not there says so."""
    words = caller.words
    title = one["title"][words.language]
    series = [row["points"] for row in chart["series"][:DRAWN]]
    if chart["error"] or not any(value is not None for row in series for _, value in row):
        return widgets.card(widgets.quiet(chart["error"] or words("service.no_data")), title=title)
    low, high = value_extent(series)
    y_text = {"low": words.quantity(low, one["unit"]), "high": words.quantity(high, one["unit"])}
    times = sorted({row[0] for points in series for row in points})
    ticks = [Tick(at, words.clock(from_ms(at))) for at in (times[0], times[len(times) // 2], times[-1])]
    done = [(marks.at_ms(row), marks.colour(row)) for row in chart["marks"]]
    drawn = panel(series, figures.palette(caller.theme), x_ticks=ticks, y_text=y_text, marks=done)
    image = html.Img(src=figures.image(drawn), alt=title, className="wk-panel")
    more = len(chart["series"]) - DRAWN
    notes = [widgets.quiet(words("service.more", count=more))] if more > 0 else []
    return widgets.card(dcc.Link(image, href=_explore(one["query"])), *notes, title=title)


def _sources(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    if not rows:
        return widgets.empty(caller, "service.sources")
    head = [words(f"collectors.{name}") for name in ("state", "name", "kind", "series", "error")]
    cells = [
        [widgets.state(caller, one["state"]), one["name"], one["kind"], words.number(one["series"], 0), one["error"]]
        for one in rows
    ]
    return widgets.table(head, cells, numeric=(3,))


def _metrics(caller: Caller, rows: Sequence[Mapping[str, Any]]) -> Any:
    words = caller.words
    if not rows:
        return widgets.empty(caller, "service.metrics")
    head = [words(f"service.{name}") for name in ("metric", "type", "unit", "meaning")]
    cells = [
        [html.Code(one["name"], className="wk-series"), one["type"], one["unit"], one["help"][words.language]]
        for one in rows
    ]
    return widgets.table(head, cells)
