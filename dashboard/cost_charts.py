"""Charts of money: every day by service, and the month so far on its way to the budget's lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import Any

from plotly import graph_objects

from . import figures
from .context import Theme

#: Name of a line -> the text beside it.
Names = Mapping[str, str]
INTERVAL = "rgba(37,99,235,0.15)"
LINES = {"warn": "#e69f00", "breach": "#d55e00"}


def stacked(row: Mapping[str, Any], theme: Theme, others: str) -> dict[str, Any]:
    """Bars of every day, a colour a service; credits hang below the line."""
    traces = [
        graph_objects.Bar(
            x=row["days"], y=one["values"], name=figures.plain(one["name"] or others),
            marker={"color": figures.SERIES[index % len(figures.SERIES)]},
        ).to_plotly_json()
        for index, one in enumerate(row["series"])
    ]  # fmt: skip
    look = {**figures.layout(theme, legend=True), "barmode": "relative"}
    return {"data": traces, "layout": graph_objects.Layout(look).to_plotly_json()}


def whole(budgets: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The budget that the month of all services is held against: of this currency, this month, and everything."""
    for budget in budgets:
        everything = not (budget["service"] or budget["tags"] or budget["part_of"])
        first, last = date.fromisoformat(budget["first"]), date.fromisoformat(budget["last"])
        month = first.day == 1 and (first.year, first.month) == (last.year, last.month)
        if everything and month and budget["currency"] == row["currency"] and row["days"][0][:7] == budget["first"][:7]:
            return budget
    return None


def running(
    row: Mapping[str, Any],
    ahead: Mapping[str, Any] | None,
    budget: Mapping[str, Any] | None,
    theme: Theme,
    names: Names,
) -> dict[str, Any]:
    """The month so far, added up day by day, where it ends with the 80 % interval, and where the budget's lines lie.

    ``names`` are the texts of so_far, forecast, interval, warn and breach.
    """
    days = row["days"]
    sums = list(accumulate(map(sum, zip(*(one["values"] for one in row["series"]), strict=True))))
    traces = [_line(days, sums, names["so_far"], figures.SERIES[0])]
    end = days[-1]
    if ahead and ahead["expected"] is not None and ahead["last"] > end:
        end = ahead["last"]
        if ahead["low80"] is not None:
            edges = [float(ahead["low80"]), float(ahead["high80"])]
            traces.append(_interval([days[-1], end], sums[-1], edges, names["interval"]))
        way = [sums[-1], float(ahead["expected"])]
        traces.append(_line([days[-1], end], way, names["forecast"], figures.SERIES[0], "dash"))
    for edge, colour in LINES.items():
        if budget is not None:
            traces.append(_line([days[0], end], [float(budget[f"{edge}_at"])] * 2, names[edge], colour, "dot"))
    look = figures.layout(theme, legend=True)
    return {"data": traces, "layout": graph_objects.Layout(look).to_plotly_json()}


def _line(days: Sequence[str], values: Sequence[float], name: str, colour: str, dash: str = "solid") -> dict[str, Any]:
    line = {"color": colour, "width": 2, "dash": dash}
    trace = graph_objects.Scatter(x=days, y=values, name=figures.plain(name), mode="lines", line=line)
    found: dict[str, Any] = trace.to_plotly_json()
    return found


def _interval(days: Sequence[str], now: float, edges: Sequence[float], name: str) -> dict[str, Any]:
    """A wedge from what is known to the two edges."""
    trace = graph_objects.Scatter(
        x=[days[0], days[1], days[1]], y=[now, edges[1], edges[0]], name=figures.plain(name), mode="lines",
        fill="toself", fillcolor=INTERVAL, line={"width": 0}, hoverinfo="skip",
    )  # fmt: skip
    found: dict[str, Any] = trace.to_plotly_json()
    return found
