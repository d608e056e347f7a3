"""A small chart of several series, and the map of who calls whom: SVG text, where no script may run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from .svg import Frame, Palette, Points, Tick, axes, extent, known, label_at, polylines, strokes, svg

#: Colours of series, told apart by people who see red and green alike (Okabe and Ito, 2008).
SERIES = ("#2563eb", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8b5cf6", "#64748b")
STATES = {"up": "#0d9488", "failing": "#dc2626", "unknown": "#94a3b8", "gone": "#94a3b8"}
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN, BEND = 132, 34, 24, 46, 12, 48


def panel(
    series: Sequence[Points], palette: Palette, *, x_ticks: Sequence[Tick], y_text: Mapping[str, str],
    marks: Sequence[tuple[float, str]] = (), width: int = 420, height: int = 170,
) -> str:  # fmt: skip
    """Lines over one time axis; rows of a series are [ms, value or None]. ``y_text`` names "low" and "high".

    ``marks`` are deeds as (ms, colour): a dotted line with a sign on top.
    """
    points = [pair for one in series for pair in known(one)]
    if not points:
        return svg(width, height, "")
    times = [float(row[0] or 0) for one in series for row in one]  # gaps too: what is not known is time as well
    frame = Frame(64, 12, width - 92, height - 40, min(times), max(times), *value_extent(series))
    parts = axes(frame, x_ticks, dict(y_text), palette)
    parts += [_mark(frame, at, colour) for at, colour in marks if frame.first <= at <= frame.last]
    for index, one in enumerate(series):
        parts += strokes(polylines(one, frame), SERIES[index % len(SERIES)], 1.6)
    return svg(width, height, "".join(parts))


def _mark(frame: Frame, at: float, colour: str) -> str:
    x, top, bottom = float(frame.x(at)), frame.top, frame.top + frame.height
    return (
        f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{colour}" stroke-width="1.2" '
        f'stroke-dasharray="2 3"/><path d="M{x - 4:.1f},{top - 7:.1f} h8 l-4,7 z" fill="{colour}"/>'
    )


def value_extent(series: Sequence[Points]) -> tuple[float, float]:
    """Lowest and highest value drawn, with a margin; what is never negative is not drawn below 0."""
    values = [value for one in series for _, value in known(one)]
    low, high = extent(values)
    return (max(low, 0.0), high) if min(values, default=0.0) >= 0 else (low, high)


def service_map(
    services: Sequence[Mapping[str, str | int]], edges: Sequence[tuple[str, str, bool]], palette: Palette
) -> str:
    """Boxes in layers, callers above what they call.

    ``services`` have name, title, layer and state (up | failing | unknown); ``edges`` are (caller, called, observed).
    """
    rows: dict[int, list[str]] = {}
    for one in sorted(services, key=lambda one: str(one["name"])):
        rows.setdefault(int(one["layer"]), []).append(str(one["name"]))
    widest = max((len(row) for row in rows.values()), default=0)
    width = 2 * MARGIN + widest * (BOX_WIDTH + GAP_X)
    places = {
        name: (_left(index, len(row), width), MARGIN + layer * (BOX_HEIGHT + GAP_Y))
        for layer, row in enumerate(rows[key] for key in sorted(rows))
        for index, name in enumerate(row)
    }
    parts = [_arrow(places[a], places[b], palette, seen) for a, b, seen in edges if a in places and b in places]
    width += BEND  # for arrows that pass beside boxes
    parts += [_box(places[str(one["name"])], one, palette) for one in services]
    return svg(width, 2 * MARGIN + len(rows) * (BOX_HEIGHT + GAP_Y), _head(palette) + "".join(parts))


def _left(index: int, count: int, width: int) -> float:
    room = (width - count * (BOX_WIDTH + GAP_X)) / 2
    return room + index * (BOX_WIDTH + GAP_X) + GAP_X / 2


def _box(place: tuple[float, float], one: Mapping[str, str | int], palette: Palette) -> str:
    left, top = place
    colour = STATES.get(str(one["state"]), STATES["unknown"])
    title = str(one["title"])
    shown = title if len(title) <= 18 else title[:17] + "…"
    box = f'<rect x="{left:.1f}" y="{top:.1f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7"'
    return (
        f'{box} fill="{palette.ground}"/>'  # an arrow to a lower layer passes behind, not through the name
        f'{box} fill="{colour}" fill-opacity=".14" stroke="{colour}" stroke-width="1.4">'
        f"<title>{escape(title)}</title></rect>"
        + label_at(left + BOX_WIDTH / 2, top + BOX_HEIGHT / 2 + 4, shown, palette.text, "middle")
    )


def _arrow(a: tuple[float, float], b: tuple[float, float], palette: Palette, observed: bool) -> str:
    x1, x2 = a[0] + BOX_WIDTH / 2, b[0] + BOX_WIDTH / 2
    down = b[1] >= a[1]
    y1, y2 = (a[1] + BOX_HEIGHT, b[1] - 3) if down else (a[1], b[1] + BOX_HEIGHT + 3)
    bend = (y1 + y2) / 2
    if abs(b[1] - a[1]) > BOX_HEIGHT + GAP_Y and abs(x2 - x1) < BOX_WIDTH:
        return _beside(a, b, palette, observed)
    dashed = ' stroke-dasharray="4 3"' if observed else ""
    return (
        f'<path d="M{x1:.1f},{y1:.1f} C{x1:.1f},{bend:.1f} {x2:.1f},{bend:.1f} {x2:.1f},{y2:.1f}" fill="none" '
        f'stroke="{palette.text}" stroke-opacity=".6" stroke-width="1.3" marker-end="url(#to)"{dashed}/>'
    )


def _beside(a: tuple[float, float], b: tuple[float, float], palette: Palette, observed: bool) -> str:
    """An arrow over several layers, past the boxes between."""
    x1, x2 = a[0] + BOX_WIDTH, b[0] + BOX_WIDTH + 3
    y1, y2 = a[1] + BOX_HEIGHT / 2, b[1] + BOX_HEIGHT / 2
    out = max(x1, x2) + BEND
    dashed = ' stroke-dasharray="4 3"' if observed else ""
    return (
        f'<path d="M{x1:.1f},{y1:.1f} C{out:.1f},{y1:.1f} {out:.1f},{y2:.1f} {x2:.1f},{y2:.1f}" fill="none" '
        f'stroke="{palette.text}" stroke-opacity=".6" stroke-width="1.3" marker-end="url(#to)"{dashed}/>'
    )


def _head(palette: Palette) -> str:
    return (
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{palette.text}"/></marker></defs>'
    )
