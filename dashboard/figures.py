"""Every Plotly figure of the pages, checked by Plotly's own graph objects and sent as JSON; numpy is not needed.

Times are shown on the reader's clock; unknown is a gap, never a line through nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from plotly import graph_objects

from .context import Theme
from .reports.svg import DARK, LIGHT, Palette, Points, sparkline

Figure = dict[str, Any]
#: Colours of series, told apart by people who see red and green alike (Okabe and Ito, 2008).
SERIES = ("#2563eb", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8b5cf6", "#64748b")
#: A score from here on is drawn as a mark.
ANOMALOUS = 0.5
#: Signals whose name does not tell their unit, where the source does not either.
SIGNAL_UNITS = {
    **dict.fromkeys(("cpu_usage", "memory_usage", "cache_hit_rate", "error_rates"), "ratio"),
    **dict.fromkeys(("disk_io", "network_io"), "bytes_per_second"),
    "api_response_times": "seconds",
}
#: How values of a unit are written on axes.
AXES: Mapping[str, Figure] = {
    "ratio": {"tickformat": ".3~%"},  # digits as the range needs them: a flat share had "100%" at every tick
    "bytes": {"tickformat": "~s", "ticksuffix": "B"},
    "bytes_per_second": {"tickformat": "~s", "ticksuffix": "B/s"},
    "seconds": {"tickformat": "~s", "ticksuffix": "s"},
}
#: Characters of an address that stay as they are inside a link.
SAFE = ":/?#[]@!$&()*+,;=%~"


@dataclass(frozen=True, slots=True)
class Mark:
    """One deed on a chart."""

    at_ms: float
    text: str
    colour: str
    href: str = ""


def unit_of(series: Sequence[Mapping[str, Any]]) -> str:
    """The unit that series name, by their label or by their name; empty: none, or not the same."""
    found = {_unit(one) for one in series}
    return found.pop() if len(found) == 1 else ""


def _unit(one: Mapping[str, Any]) -> str:
    labels = one.get("labels", {})
    said, name = str(labels.get("unit", "")), str(labels.get("__name__", ""))
    ends = next((unit for unit in ("ratio", "seconds", "bytes") if name.endswith(f"_{unit}")), "")
    return said or SIGNAL_UNITS.get(name) or ends


def palette(theme: Theme) -> Palette:
    return DARK if theme == "dark" else LIGHT


def tile_image(points: Points, band: Points, forecast: Points, theme: Theme) -> str:
    """A sparkline as an image address: no script can run in it and it costs the browser nothing."""
    return image(sparkline(points, band, forecast, palette(theme)))


def image(svg: str) -> str:
    """SVG text as an image address."""
    return "data:image/svg+xml," + quote(svg)


def chart(
    series: Sequence[Mapping[str, Any]], theme: Theme, zone: ZoneInfo, names: Mapping[str, str],
    marks: Sequence[Mark] = (),
) -> Figure:  # fmt: skip
    """Lines with, when only few are drawn, the band each is expected in and marks where it was not.

    ``names`` are the texts "band" and "anomaly"; ``marks`` are deeds of the chart's time. Ratios are drawn in per cent,
    and a share is never expected above 100 %.
    """
    traces: list[Figure] = []
    unit = unit_of(series)
    for index, one in enumerate(series):
        colour = SERIES[index % len(SERIES)]
        times = local_times([row[0] for row in one["points"]], zone)
        if len(series) <= len(SERIES) and any(value is not None for value in one.get("lower") or ()):
            edges = (one["lower"], one["upper"])
            low, high = (share(edge, one["points"]) if unit == "ratio" else edge for edge in edges)
            traces += _band(times, low, high, colour, names["band"], named=index == 0)
        traces.append(_line(times, [row[1] for row in one["points"]], str(one["name"]), colour))
        marked = _anomalies(times, one, names["anomaly"])
        if marked:
            traces.append(marked)
    look = layout(theme, legend=len(series) > 1)
    look["yaxis"] |= AXES.get(unit, {})
    return figure(traces, look | deeds(marks, zone))


def deeds(marks: Sequence[Mark], zone: ZoneInfo) -> Figure:
    """A dotted line and a sign above it for each deed; the sign tells what it was and leads there."""
    times = local_times([one.at_ms for one in marks], zone)
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 1, "dash": "dot"}, "layer": "below"}
    sign = {"yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
    shapes = [
        {**line, "x0": at, "x1": at, "line": {**line["line"], "color": one.colour}}  # type: ignore[dict-item]
        for at, one in zip(times, marks, strict=True)
    ]
    signs = [
        {**sign, "x": at, "text": _sign(one), "hovertext": plain(one.text), "font": {"size": 11, "color": one.colour}}
        for at, one in zip(times, marks, strict=True)
    ]
    return {"shapes": shapes, "annotations": signs} if marks else {}


def _sign(one: Mark) -> str:
    return f'<a href="{quote(one.href, safe=SAFE)}">▼</a>' if one.href else "▼"


def capacity(row: Mapping[str, Any], theme: Theme, zone: ZoneInfo, names: Mapping[str, str]) -> Figure:
    """History, forecast with 80 and 95 % bands, and the limit. ``names``: history, forecast, band80, band95, limit."""
    colours = palette(theme)
    history, ahead = row.get("history") or [], row.get("forecast") or []
    before = local_times([point[0] for point in history], zone)
    after = local_times([point[0] for point in ahead], zone)
    columns = [[point[index] for point in ahead] for index in range(6)] if ahead else []
    traces = [_line(before, [point[1] for point in history], names["history"], colours.line)]
    if columns:
        traces += _band(after, columns[1], columns[5], colours.forecast, names["band95"], 0.10)
        traces += _band(after, columns[2], columns[4], colours.forecast, names["band80"], 0.18)
        traces.append(_line(after, columns[3], names["forecast"], colours.forecast, "dash"))
    if row.get("limit") is not None and (before or after):
        span = [(before or after)[0], (after or before)[-1]]
        traces.append(_line(span, [row["limit"]] * 2, names["limit"], colours.limit, "dot"))
    look = layout(theme, legend=True)
    look["yaxis"] |= AXES.get(str(row.get("unit") or ""), {})
    return figure(traces, look)


def share(edge: Sequence[float | None], points: Points) -> list[float | None]:
    """The edge of a band within 0 to 1, where the share itself stays there."""
    if any(value is not None and not 0 <= value <= 1 for _, value in points):
        return list(edge)
    return [None if value is None else min(max(value, 0.0), 1.0) for value in edge]


def component(points: Points, name: str, theme: Theme, zone: ZoneInfo) -> Figure:
    """One part of a decomposition."""
    times = local_times([row[0] for row in points], zone)
    line = _line(times, [row[1] for row in points], name, palette(theme).line)
    return figure([line], {**layout(theme, legend=False), "height": 150})


def figure(traces: Sequence[Figure], look: Figure) -> Figure:
    """The JSON of a figure. Raises ValueError on any property that Plotly does not know; no template is added."""
    data = [graph_objects.Scatter(trace).to_plotly_json() for trace in traces]
    return {"data": data, "layout": graph_objects.Layout(look).to_plotly_json()}


def layout(theme: Theme, *, legend: bool) -> Figure:
    """One look for all: no title (the page has it), quiet grid, room for the legend below."""
    colours = palette(theme)
    axis = {"gridcolor": colours.grid, "zeroline": False, "linecolor": colours.grid, "automargin": True}
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": colours.text, "size": 12, "family": "inherit"},
        "margin": {"l": 48, "r": 16, "t": 12, "b": 36},
        "xaxis": {**axis, "type": "date", "hoverformat": "%Y-%m-%d %H:%M:%S", "tickformatstops": _TICKS},
        "yaxis": {**axis, "exponentformat": "SI"},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "#1e293b" if theme == "dark" else "#ffffff", "namelength": 60},
        "showlegend": legend,
        "legend": {"orientation": "h", "y": -0.18, "font": {"size": 11}},
        "uirevision": "keep",
    }


#: Digits alone, so that every language reads them.
_TICKS = [
    {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
    {"dtickrange": [60_000, 86_400_000], "value": "%H:%M\n%m-%d"},
    {"dtickrange": [86_400_000, "M1"], "value": "%m-%d\n%Y"},
    {"dtickrange": ["M1", None], "value": "%Y-%m"},
]


def local_times(times: Sequence[Any], zone: ZoneInfo) -> list[int]:
    """What the reader's clock showed, in milliseconds; Plotly knows no zones, and reads numbers faster than texts."""
    return [round(ms + _ahead(ms, zone)) for ms in times]


def _ahead(ms: float, zone: ZoneInfo) -> float:
    """How far the zone's clock is before UTC at a time, in milliseconds."""
    offset = datetime.fromtimestamp(ms / 1000, zone).utcoffset() or timedelta()
    return offset.total_seconds() * 1000


def _line(times: Sequence[int], values: Sequence[Any], name: str, colour: str, dash: str = "solid") -> Figure:
    return {
        "type": "scatter",
        "mode": "lines" if len(values) > 1 else "lines+markers",  # one point is no line, and would not be seen
        "x": times,
        "y": list(values),
        "name": plain(name),
        "line": {"color": colour, "width": 1.8, "dash": dash},
        "connectgaps": False,
    }


def _band(
    times: Sequence[int], lower: Sequence[Any], upper: Sequence[Any], colour: str, name: str, opacity: float = 0.12,
    *, named: bool = True,
) -> list[Figure]:  # fmt: skip
    """``named``: it stands in the legend, where one of several bands is enough."""
    edge = {"type": "scatter", "mode": "lines", "x": times, "line": {"width": 0}, "hoverinfo": "skip"}
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    fill = f"rgba({red},{green},{blue},{opacity})"
    return [
        {**edge, "y": list(lower), "showlegend": False},
        {**edge, "y": list(upper), "fill": "tonexty", "fillcolor": fill, "name": plain(name), "showlegend": named},
    ]


def _anomalies(times: Sequence[int], one: Mapping[str, Any], name: str) -> Figure | None:
    scores = one.get("score") or ()
    at = [index for index, score in enumerate(scores) if score is not None and score >= ANOMALOUS]
    if not at:
        return None
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [times[index] for index in at],
        "y": [one["points"][index][1] for index in at],
        "name": plain(name),
        "marker": {"color": "#dc2626", "size": 7, "symbol": "circle-open", "line": {"width": 2}},
        "showlegend": False,
    }


def plain(text: str) -> str:
    """Plotly reads some markup in names: a label's text must stay text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
