"""Charts of an incident: what its alerts measured around it, with the deeds of that time and when it was opened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from dash import dcc, html

from dashboard import figures, marks, widgets
from dashboard.context import Caller
from dashboard.reports.panel_svg import panel, value_extent
from dashboard.reports.svg import Tick
from watchkeeper.clock import from_ms, to_ms

#: Charts of one incident; how much is shown before it was opened and after it was over; points of a line.
MOST, BEFORE, AFTER, POINTS = 3, timedelta(hours=1), timedelta(minutes=15), 120
#: Longer incidents are drawn from their beginning.
LONGEST = timedelta(hours=12)
OPENED = "#dc2626"


async def ask(caller: Caller, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """One chart for each thing that its alerts measure."""
    one = data["incident"]
    opened = datetime.fromisoformat(one["opened_at"])
    over = datetime.fromisoformat(one["resolved_at"]) + AFTER if one["resolved_at"] else caller.now()
    end = min(over, caller.now(), opened + LONGEST)
    step = max(round((end - opened + BEFORE).total_seconds() * 1000 / POINTS), 5000)
    service = one["labels"].get("service", "")
    asked = {"start_ms": to_ms(opened - BEFORE), "end_ms": to_ms(end), "step_ms": step, "bands": False}
    asked |= {"service": service} if service else {}
    found = await asyncio.gather(*(caller.get("/api/wk/chart", expr=expr, **asked) for expr in measured(data)))
    return list(found)


def measured(data: Mapping[str, Any]) -> list[str]:
    """Each expression once, the worst alert's first."""
    rows = sorted(data["alerts"], key=lambda row: str(row["severity"]))
    return list(dict.fromkeys(row["measured"] for row in rows if row["measured"]))[:MOST]


def cards(caller: Caller, data: Mapping[str, Any], charts: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Nothing where nothing is known."""
    words, opened = caller.words, to_ms(datetime.fromisoformat(data["incident"]["opened_at"]))
    shown = [
        drawn
        for expr, chart in zip(measured(data), charts, strict=False)
        if (drawn := _chart(caller, expr, chart, _concerned(data, expr), opened)) is not None
    ]
    if not shown:
        return []
    told = marks.legend(caller, charts[0]["marks"])
    opening = html.Div([html.Span("▼ ", style={"color": OPENED}), words("incident.opened")], className="wk-line")
    return [widgets.card(widgets.grid_of(shown, smallest=360), opening, *told, title=words("incident.charts"))]


def _concerned(data: Mapping[str, Any], expr: str) -> list[Mapping[str, str]]:
    return [row["labels"] for row in data["alerts"] if row["measured"] == expr]


def _chart(caller: Caller, expr: str, chart: Mapping[str, Any], about: Sequence[Mapping[str, str]], opened: int) -> Any:
    """The series that the alerts speak of; None: there is nothing to draw."""
    words = caller.words
    series = [row["points"] for row in chart["series"] if any(_speaks_of(row["labels"], labels) for labels in about)]
    series = [points for points in series if any(value is not None for _, value in points)][: len(figures.SERIES)]
    if not series:
        return None
    low, high = value_extent(series)
    times = sorted({row[0] for points in series for row in points})
    ticks = [Tick(at, words.clock(from_ms(at))) for at in (times[0], times[len(times) // 2], times[-1])]
    unit = figures.unit_of(chart["series"])
    y_text = {"low": words.quantity(low, unit), "high": words.quantity(high, unit)}
    done = [*((marks.at_ms(row), marks.colour(row)) for row in chart["marks"]), (float(opened), OPENED)]
    drawn = panel(series, figures.palette(caller.theme), x_ticks=ticks, y_text=y_text, marks=done)
    image = html.Img(src=figures.image(drawn), alt=expr, className="wk-panel")
    return html.Div(
        [dcc.Link(image, href="/explore?" + urlencode({"expr": expr})), html.Code(expr, className="wk-series")]
    )


def _speaks_of(series: Mapping[str, str], alert: Mapping[str, str]) -> bool:
    """What both name is the same."""
    return all(alert.get(name, value) == value for name, value in series.items() if name != "__name__")
